"""What was written as a message is read back, to the millisecond."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import Action, Stream
from sidecar.publish.message import SidecarIdentity, Writer
from sidecar.publish.reading import read_action
from sidecar.publish.topics import Topics
from tests.unit.publish import strategies as some

ID = "0198c1f2-0000-7000-8000-000000000000"
WRITER = Writer(Topics("edge-3"), SidecarIdentity("edge-3", "0.1.0"), some.wall)
_MS = 0.0011  # stamps are cut off to the millisecond


def instant(at: datetime) -> float:
    """The other way round from `some.wall`."""
    return (at - some.EPOCH).total_seconds()


@given(some.actions, some.streams, st.booleans())
def test_written_again_it_says_the_same(
    action: Action,
    stream: Stream,
    require_enforced: bool,  # noqa: FBT001 hypothesis
) -> None:
    """All but the legs of its sample, and instants within a millisecond."""
    payload = WRITER.action(ID, action, stream).payload
    read, told = read_action(payload, instant, require_enforced=require_enforced)
    assert read.require_enforced is require_enforced
    again = json.loads(WRITER.action(ID, read, told).payload)
    for said in (first := json.loads(payload), again):
        del said["timings_ms"]
        said["captured_at"] = said["decided_at"] = said["expires_at"] = None
        for one in said["evidence"]:
            one["captured_at"] = None
            one["unchanged_since"] = one["unchanged_since"] is not None
    assert again == first
    assert read.decided_at == pytest.approx(action.decided_at, abs=_MS)
    assert read.captured_at == pytest.approx(action.captured_at, abs=_MS)
    assert read.expires_s == pytest.approx(action.expires_s, abs=2 * _MS)
    for one, was in zip(read.evidence, action.evidence, strict=True):
        assert one.captured_at == pytest.approx(was.captured_at, abs=_MS)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_anything_else_is_a_value_error(payload: bytes) -> None:
    """Never another exception, whatever a disk gives back."""
    with pytest.raises(ValueError, match="ActionPayload"):
        read_action(payload, instant, require_enforced=False)
