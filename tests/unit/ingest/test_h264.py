"""H.264 payloads, Annex B and parameter sets (RFC 6184, ITU-T H.264)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import Codec
from sidecar.ingest.h264 import H264Depacketizer, ParameterSets, split_annex_b
from tests.fakes.rtp_streams import sent

START = b"\x00\x00\x00\x01"
SPS, PPS, SEI, AUD = (
    b"\x67\x42\x00\x1f\xe9",
    b"\x68\xce\x3c\x80",
    b"\x06\x05",
    b"\x09\x10",
)
IDR, SLICE, LATER_SLICE = b"\x65\x88\x84", b"\x41\x9a\x21", b"\x41\x42\x21"
SPROP = ",".join(base64.b64encode(nal).decode() for nal in (SPS, PPS))


def annex_b(*nals: bytes) -> bytes:
    """NAL units with start codes of four bytes."""
    return b"".join(START + nal for nal in nals)


def stap_a(*nals: bytes) -> bytes:
    """An aggregation packet."""
    return b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


def test_single_units_aggregates_and_fragments_are_joined() -> None:
    """All three packet kinds of packetization mode 1 give the units they carry."""
    payloads = [
        stap_a(SPS, PPS),
        SEI,
        b"\x7c\x85\x88",  # FU-A: start of an IDR slice
        b"\x7c\x05\x84",
        b"\x7c\x45\x99",  # its end
    ]
    whole = annex_b(SPS, PPS, SEI, b"\x65\x88\x84\x99")
    assert H264Depacketizer().join(payloads) == (whole, True)


@pytest.mark.parametrize(
    "payloads",
    [
        [b"\x7c\x05\x84"],  # fragment without its start
        [b"\x7c\x81\x9a"],  # without its end
        [b"\x7c\x81\x9a", SLICE],  # interrupted
        [b"\x7c\x81\x9a", b"\x7c\x81\x9a"],  # started twice
        [b"\x7c\x81"],  # empty
        [b"\x78\x00\x09\x41"],  # aggregate cut short
        [b"\x78\x00\x00"],  # aggregate of nothing
        [b"\x78\x00"],
        [b"\x00data"],  # type 0
        [b"\x79data"],  # STAP-B, not of mode 1
        [LATER_SLICE],  # the first slice is missing
        [b"\x41"],  # a slice of nothing
        [IDR],  # no parameter sets
    ],
)
def test_what_is_no_whole_access_unit_is_refused(payloads: list[bytes]) -> None:
    """Nothing torn, malformed or undecodable is ever joined."""
    with pytest.raises(ValueError, match=r"FU-A|STAP-A|packet|H\.264"):
        H264Depacketizer().join(payloads)


def test_parameter_sets_alone_show_nothing() -> None:
    """An access unit without a slice is no picture."""
    assert H264Depacketizer().join([stap_a(SPS, PPS)]) is None


def test_remembered_parameter_sets_go_before_a_keyframe_without() -> None:
    """A keyframe is decodable on its own, wherever its SPS and PPS came from."""
    depacketizer = H264Depacketizer()
    depacketizer.join([SPS])
    depacketizer.join([PPS])
    assert depacketizer.join([IDR]) == (annex_b(SPS, PPS, IDR), True)
    assert depacketizer.join([SLICE]) == (annex_b(SLICE), False)
    assert depacketizer.join([AUD, IDR]) == (annex_b(AUD, SPS, PPS, IDR), True)
    other = SPS[:-1] + b"\xe8"
    assert depacketizer.join([other, IDR]) == (annex_b(other, PPS, IDR), True)
    assert depacketizer.join([PPS, IDR]) == (annex_b(other, PPS, IDR), True)


def test_parameter_sets_out_of_band_are_used() -> None:
    """`sprop-parameter-sets` of the SDP complete the first keyframe."""
    assert H264Depacketizer(SPROP).join([IDR]) == (annex_b(SPS, PPS, IDR), True)


@pytest.mark.parametrize("text", ["%%", "Z0I", ",", "Zw==,%"])
def test_malformed_sprop_is_as_good_as_none(text: str) -> None:
    """A stranger's SDP attribute does no harm."""
    with pytest.raises(ValueError, match="without parameter sets"):
        H264Depacketizer(text).join([IDR])


def test_parameter_sets_are_bounded() -> None:
    """Neither their number nor their size grows without end."""
    sets = ParameterSets()
    pps = [
        bytes([0x68]) + bits.to_bytes(4, "big")
        for bits in range(1 << 22, 1 << 23, 1 << 12)
    ]
    sets.remember([SPS, b"\x67" + bytes(5000), *pps])
    assert len(sets._pps) == 32
    assert list(sets._sps.values()) == [SPS]


@pytest.mark.parametrize(
    ("payload", "starts"),
    [
        (SPS, True),
        (AUD, True),
        (stap_a(SPS, PPS), True),
        (stap_a(SEI, SLICE), False),
        (b"\x78\x00", False),
        (SLICE, False),
        (SEI, False),
        (IDR, False),
    ],
)
def test_only_a_sequence_or_a_delimiter_proves_a_beginning(
    payload: bytes, *, starts: bool
) -> None:
    """After a gap nothing else tells that no packet of the picture was lost."""
    assert H264Depacketizer(SPROP).starts(payload, first=False) is starts


@pytest.mark.parametrize(
    ("payload", "starts"),
    [
        (IDR, True),
        (b"\x7c\x85\x88", True),
        (b"\x7c\x85\x08", False),
        (b"\x7c\x05\x88", False),
        (b"\x7c\x81\x9a", False),
        (b"\x65", False),
        (SLICE, False),
    ],
)
def test_first_slice_of_all_begins_a_keyframe_with_sets_from_the_sdp(
    payload: bytes, *, starts: bool
) -> None:
    """A sender with parameter sets in its SDP may begin with the slice itself."""
    assert H264Depacketizer(SPROP).starts(payload, first=True) is starts
    assert H264Depacketizer().starts(payload, first=True) is False


def test_annex_b_is_split_at_both_start_codes() -> None:
    """Start codes of three and four bytes, and trailing zeros, are no data."""
    data = START + SPS + b"\x00\x00\x01" + PPS + b"\x00\x00\x00\x01" + IDR + b"\x00"
    assert list(split_annex_b(data)) == [SPS, PPS, IDR]
    assert list(split_annex_b(b"none")) == []
    assert list(split_annex_b(START + START + SPS)) == [SPS]


def test_real_streams_keep_all_their_units() -> None:
    """What x264 encoded goes through `complete` unchanged."""
    sets = ParameterSets()
    for picture in sent(Codec.H264):
        nals = list(split_annex_b(picture.data))
        assert sets.complete(nals) == (picture.data, picture.keyframe)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=5))
def test_any_payloads_give_a_unit_or_the_documented_error(
    payloads: list[bytes],
) -> None:
    """A stranger's bytes never raise anything but ValueError."""
    depacketizer = H264Depacketizer(SPROP)
    assert depacketizer.starts(payloads[0], first=True) in {True, False}
    try:
        joined = depacketizer.join(payloads)
    except ValueError:
        return
    assert joined is None or joined[0].startswith(START)


@given(st.binary(max_size=200), st.text(max_size=30))
def test_any_bytes_and_text_are_survived(data: bytes, text: str) -> None:
    """Splitting and the SDP attribute take anything."""
    assert all(split_annex_b(data))
    assert H264Depacketizer(text).codec is Codec.H264


@pytest.mark.parametrize(
    ("payload", "delta"),
    [
        (SLICE, True),
        (IDR, False),
        (SPS, False),
        (AUD, False),
        (SEI, False),
        (b"\x7c\x81" + SLICE[1:], True),
        (b"\x7c\x85" + IDR[1:], False),
        (b"\x7c", False),
        (b"\x78\x00\x05" + SPS, False),
    ],
)
def test_deltas_are_known_by_their_first_payload(
    payload: bytes, *, delta: bool
) -> None:
    """A slice that is not IDR, whole or its fragment; anything else tells nothing."""
    assert H264Depacketizer().is_delta(payload) is delta
