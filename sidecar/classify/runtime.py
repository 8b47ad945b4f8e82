"""The installed onnxruntime: which package, and what it can run on."""

from collections.abc import Iterable
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


def _is_there(name: str) -> bool:
    """Whether a distribution is installed."""
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
