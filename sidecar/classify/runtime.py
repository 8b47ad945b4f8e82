"""The installed onnxruntime: which package, and what it can run on."""

from collections.abc import Iterable
from functools import lru_cache
from importlib import metadata
from typing import Final

import onnxruntime as ort

from sidecar.errors import ConfigError

# Each brings the same module `onnxruntime`: what is installed last overwrites the
# other, file by file, and removing one then breaks what is left.
PACKAGES: Final = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-openvino",
    "onnxruntime-directml",
    "onnxruntime-rocm",
    "onnxruntime-migraphx",
)

USE_LIMITED_MEMORY: Final = "session.use_env_allocators"
"""Of a session's configuration; `limit_memory` comes first."""
OUT_OF_MEMORY: Final = "Available memory of"
"""In the error of a batch for which there is no room within the limit."""
_AS_REQUESTED: Final = 1  # not the next power of two: nothing is taken in advance


def installed() -> tuple[str, ...]:
    """The runtime packages that are installed, by name."""
    return tuple(name for name in PACKAGES if _is_there(name))


def require_one(packages: Iterable[str]) -> None:
    """Raises ConfigError if several runtime packages are installed at once."""
    found = sorted(packages)
    if len(found) > 1:
        raise ConfigError(
            f"{' and '.join(found)} are installed together, and overwrite each other's"
            f" files; mend: pip uninstall -y {' '.join(found)}, then install the one"
            " that is wanted: onnxruntime for CPUs, onnxruntime-gpu for NVIDIA,"
            " onnxruntime-openvino for Intel"
        )


def available() -> list[str]:
    """The providers that were built into it, by onnxruntime's names."""
    names: list[str] = ort.get_available_providers()
    return names


@lru_cache(maxsize=1)
def limit_memory(limit: int) -> None:
    """Bounds the bytes that all models on the CPU take together for their batches.

    It holds for sessions that are opened from now on with `USE_LIMITED_MEMORY`. What a
    model's own weights take is not counted.
    """
    info = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    arena = {"max_mem": limit, "arena_extend_strategy": _AS_REQUESTED}
    ort.create_and_register_allocator(info, ort.OrtArenaCfg(arena))


def _is_there(name: str) -> bool:
    """Whether a distribution is installed."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
