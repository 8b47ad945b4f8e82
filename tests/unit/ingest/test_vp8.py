"""VP8 payloads and frames (RFC 7741, RFC 6386)."""

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import Codec
from sidecar.ingest.vp8 import Vp8Depacketizer, is_keyframe
from tests.fakes.rtp_streams import sent

KEYFRAME, DELTA = sent(Codec.VP8)[0].data, sent(Codec.VP8)[1].data


@given(
    picture_id=st.none() | st.integers(0, 32_767),
    tl0picidx=st.none() | st.integers(0, 255),
    tid=st.none() | st.tuples(st.integers(0, 3), st.integers(0, 1)),
    keyidx=st.none() | st.integers(0, 31),
)
def test_every_descriptor_is_passed_over(
    picture_id: int | None,
    tl0picidx: int | None,
    tid: tuple[int, int] | None,
    keyidx: int | None,
) -> None:
    """Whatever extensions the descriptor has, the frame behind it is found."""
    first = bytes(VpxPayloadDescriptor(1, 0, picture_id, tl0picidx, tid, keyidx))
    more = bytes(VpxPayloadDescriptor(0, 0, picture_id, tl0picidx, tid, keyidx))
    payloads = [first + KEYFRAME[:100], more + KEYFRAME[100:]]
    assert Vp8Depacketizer().join(payloads) == (KEYFRAME, True)


def test_short_picture_id_is_one_byte() -> None:
    """Without its M bit a picture id has 7 bits (RFC 7741 section 4.2)."""
    assert Vp8Depacketizer().join([b"\x90\x80\x11" + DELTA]) == (DELTA, False)


@pytest.mark.parametrize(
    ("payload", "starts"),
    [
        (b"\x10data", True),
        (b"\x11data", False),  # another partition
        (b"\x00data", False),  # no start of a partition
        (b"\x90\x80\x11data", True),
    ],
)
def test_start_of_a_frame_is_partition_zero_with_its_start_bit(
    payload: bytes, *, starts: bool
) -> None:
    """S=1 and PID=0, nothing else, prove the first packet of a frame."""
    assert Vp8Depacketizer().starts(payload, first=False) is starts


@pytest.mark.parametrize(
    "payloads",
    [
        [b"\x00" + DELTA],  # no beginning
        [b"\x10" + DELTA, b"\x10" + DELTA],  # two beginnings
        [b"\x10"],  # no data
        [b"\x80"],  # extensions cut off
        [b"\x90\x80"],  # picture id cut off
        [b"\x10\x01"],  # no whole tag
        [b"\x10" + KEYFRAME[:60]],  # first partition cut off
        [b"\x10" + KEYFRAME[:3] + b"abc" + KEYFRAME[6:]],  # no start code
    ],
)
def test_what_is_no_whole_frame_is_refused(payloads: list[bytes]) -> None:
    """Nothing torn or malformed is ever joined."""
    with pytest.raises(ValueError, match="VP8"):
        Vp8Depacketizer().join(payloads)


def test_keyframes_are_told_from_deltas() -> None:
    """The tag's lowest bit says so."""
    assert is_keyframe(KEYFRAME)
    assert not is_keyframe(DELTA)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5))
def test_any_payloads_give_a_frame_or_the_documented_error(
    payloads: list[bytes],
) -> None:
    """A stranger's bytes never raise anything but ValueError."""
    depacketizer = Vp8Depacketizer()
    assert depacketizer.starts(payloads[0], first=True) in {True, False}
    try:
        data, keyframe = depacketizer.join(payloads)
    except ValueError:
        return
    assert is_keyframe(data) == keyframe


@given(st.binary(min_size=1, max_size=20))
def test_deltas_are_known_by_their_first_payload(payload: bytes) -> None:
    """Nothing that `join` would call a keyframe is called a delta."""
    depacketizer = Vp8Depacketizer()
    assert depacketizer.is_delta(b"\x10" + DELTA)
    assert not depacketizer.is_delta(b"\x10" + KEYFRAME)
    assert not depacketizer.is_delta(b"\x00" + DELTA)
    assert not depacketizer.is_delta(b"\x10")
    try:
        _, keyframe = depacketizer.join([payload])
    except ValueError:
        return
    assert depacketizer.is_delta(payload) is not keyframe
