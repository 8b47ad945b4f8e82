"""Opens a graph on the best provider that works; home of onnxruntime's set-up.

A provider that cannot be had is not passed over in silence: `Got` says why.
"""

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Final

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from sidecar.classify import runtime
from sidecar.classify.providers import (
    CPU,
    ON_CUDA,
    PROVIDERS,
    Asked,
    Got,
    Input,
    is_half,
    options_of,
    wanted,
)
from sidecar.errors import ConfigError, EngineError

_QUIET: Final = 4  # onnxruntime's own log: fatal only; its errors come as exceptions
_TOLD: Final = 200

# onnxruntime's exceptions share no base and differ from version to version; its
# Python layer adds ValueError and friends.
ORT_ERRORS: Final[tuple[type[Exception], ...]] = (
    *(
        kind
        for kind in vars(ort_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
    *(ValueError, RuntimeError, MemoryError),
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session, and what it runs on."""

    session: Any
    got: Got


def open_on(
    data: bytes, asked: Asked, available: list[str], threads: int, batch: Input
) -> Opened:
    """A session on the first provider of `asked` that works.

    Holds the GIL for as long as it takes.

    Raises:
        ConfigError: None works that `asked` allows.
        EngineError: Not even the CPU runs it.
    """
    names, refused = wanted(asked, available)
    for name in names:
        options = options_of(name, asked, threads, batch)
        try:
            session = _open(data, name, dict(options), threads, asked.memory_limit)
        except ORT_ERRORS as exc:
            if name == CPU:
                raise EngineError(f"onnxruntime refuses it: {first_line(exc)}") from exc
            refused.append((name, first_line(exc)))
            continue
        if PROVIDERS[name] in session.get_providers():
            half = is_half(name, asked)
            if asked.half and not half:
                refused.append(("fp16", f"{name} does not serve it here"))
            return Opened(session, Got(name, half, tuple(refused)))
        refused.append(
            (name, "it is installed, but its device or a library is missing")
        )
    told = "; ".join(f"{name}: {why}" for name, why in refused)
    raise ConfigError(
        f"engine.provider: {', '.join(asked.providers)} is required, but {told};"
        " mend the installation, or take engine.required away to run on the CPU"
    )


def _open(
    data: bytes, name: str, options: dict[str, str], threads: int, limit: int | None
) -> Any:  # noqa: ANN401 (untyped)
    """A session on one provider; what it cannot run falls to the CPU."""
    if name in ON_CUDA:
        # CUDA's libraries come as wheels, where the loader does not look for them.
        with redirect_stdout(sys.stderr):
            ort.preload_dlls()
    session = ort.SessionOptions()
    session.intra_op_num_threads = threads
    session.inter_op_num_threads = 1
    session.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    session.log_severity_level = _QUIET
    # Spinning threads take 1.06 instead of 0.20 cores at 20 frames/s.
    session.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if name == CPU and limit:
        runtime.limit_memory(limit)
        session.add_session_config_entry(runtime.USE_LIMITED_MEMORY, "1")
        # Weights laid out anew would be counted, and beyond the limit end it (1.32).
        session.add_session_config_entry("session.disable_prepacking", "1")
    providers: list[Any] = [(PROVIDERS[name], options)]
    if name != CPU:
        providers.append(PROVIDERS[CPU])
    return ort.InferenceSession(data, session, providers=providers, enable_fallback=0)


def first_line(exc: BaseException) -> str:
    """The first line of a foreign message; of a long one how it begins and ends."""
    line = (str(exc).strip().splitlines() or [type(exc).__name__])[0]
    if len(line) <= _TOLD:
        return line
    return f"{line[: _TOLD // 2]} … {line[-_TOLD // 2 :]}"
