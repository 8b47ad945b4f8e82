"""Errors that are no bugs, as they cross from a worker; pure."""

from sidecar.errors import (
    StreamError,
    StreamUnavailable,
    StreamUnsupported,
    UnsupportedReason,
)
from sidecar.workers.calls import Fault


def to_fault(exc: StreamError | ValueError) -> Fault:
    """What crosses."""
    if isinstance(exc, StreamUnsupported):
        return Fault("unsupported", exc.message, reason=exc.reason)
    if isinstance(exc, StreamError):
        return Fault("unavailable", exc.message, exc.retry_after_s)
    return Fault("malformed", str(exc))


def to_error(fault: Fault, stream_id: str) -> StreamError | ValueError:
    """What it was."""
    if fault.error == "unsupported":
        reason = fault.reason or UnsupportedReason.REFUSED
        return StreamUnsupported(stream_id, fault.message, reason=reason)
    if fault.error == "unavailable":
        return StreamUnavailable(
            stream_id, fault.message, retry_after_s=fault.retry_after_s
        )
    return ValueError(fault.message)
