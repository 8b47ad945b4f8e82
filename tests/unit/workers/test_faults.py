"""An error of a stream is the same on both sides of the wire."""

import pytest

from sidecar.errors import (
    StreamError,
    StreamUnavailable,
    StreamUnsupported,
    UnsupportedReason,
)
from sidecar.workers.calls import Fault
from sidecar.workers.faults import to_error, to_fault


@pytest.mark.parametrize(
    "error",
    [
        StreamUnavailable("s", "busy", retry_after_s=7.0),
        StreamUnavailable("s", "gone"),
        StreamUnsupported("s", "AV1 only", reason=UnsupportedReason.CODEC),
        StreamUnsupported("s", "no"),
    ],
)
def test_a_stream_error_crosses_with_all_it_says(error: StreamError) -> None:
    """Kind, message, the server's wish and the reason."""
    found = to_error(to_fault(error), "s")
    assert type(found) is type(error)
    assert vars(found) == vars(error)
    assert str(found) == str(error)


def test_malformed_input_crosses() -> None:
    """As what the callers of a connection look out for."""
    found = to_error(to_fault(ValueError("no candidate")), "s")
    assert type(found) is ValueError
    assert str(found) == "no candidate"


def test_a_reason_is_never_missing() -> None:
    """A worker that gives none refuses."""
    found = to_error(Fault("unsupported", "no"), "s")
    assert isinstance(found, StreamUnsupported)
    assert found.reason is UnsupportedReason.REFUSED
