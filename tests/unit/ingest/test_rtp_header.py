"""RTP headers: as aiortc reads them, and never an error."""

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.ingest.rtp_header import (
    Header,
    is_marked,
    is_rtcp,
    is_rtp,
    parse,
    payload_of,
    runs,
)

_rtp = st.builds(
    lambda first, rest: bytes([0x80 | first]) + rest,
    st.integers(0, 63),
    st.binary(min_size=11, max_size=80),
)


@given(_rtp)
@example(b"\xb0" + bytes(11))
@example(b"\x90\x60" + bytes(10) + b"\xbe\xde\x00\x01" + bytes(4) + b"payload")
@example(b"\xa0\x60" + bytes(10) + b"payload\x03")
@example(b"\xa0\x60" + bytes(10) + b"payload\x00")
@example(b"\xa0\x60" + bytes(10) + b"payload\xff")
def test_packets_are_read_as_aiortc_reads_them(packet: bytes) -> None:
    """Same fields and payload; what it refuses has no payload."""
    header = parse(packet)
    assert header is not None
    try:
        theirs = RtpPacket.parse(packet)
    except (ValueError, UnicodeDecodeError):
        # It also refuses header extensions that are malformed inside; so what?
        return
    assert header == Header(
        theirs.payload_type,
        bool(theirs.marker),
        theirs.sequence_number,
        theirs.timestamp,
        theirs.ssrc,
    )
    assert payload_of(packet) == theirs.payload


@given(st.binary(max_size=40))
def test_any_bytes_are_a_header_or_none(datagram: bytes) -> None:
    """No datagram raises."""
    header = parse(datagram)
    if header is None:
        assert len(datagram) < 12 or datagram[0] >> 6 != 2
    else:
        payload_of(datagram)


@pytest.mark.parametrize(
    "packet",
    [
        b"\x90\x60" + bytes(10),
        b"\x90\x60" + bytes(10) + b"\xbe\xde\x00\x02" + bytes(4),
        b"\x82\x60" + bytes(12),
        b"\xa0\x60" + bytes(10) + b"\x00",
        b"\xa0\x60" + bytes(10) + b"\x02",
    ],
)
def test_packets_cut_short_have_no_payload(packet: bytes) -> None:
    """Extension, sources or padding beyond the end: None."""
    assert payload_of(packet) is None


@pytest.mark.parametrize("datagram", [b"", b"\x80", b"\x80\xc8", b"\x16\xfe", b"\0\1"])
def test_what_is_not_rtp(datagram: bytes) -> None:
    """Too short, RTCP, DTLS, STUN."""
    assert not is_rtp(datagram)
    assert is_rtp(b"\x80\x60")


_near = st.builds(
    lambda kind, sequence, timestamp, ssrc: (
        b"\x80"
        + bytes([kind])
        + sequence.to_bytes(2, "big")
        + timestamp.to_bytes(4, "big")
        + ssrc.to_bytes(4, "big")
    ),
    st.sampled_from([96, 97, 96 | 0x80]),
    st.sampled_from([65_534, 65_535, 0, 1, 2]),
    st.integers(0, 1),
    st.integers(1, 2),
)


@given(st.lists(_near | st.binary(max_size=11), max_size=40))
def test_runs_keep_all_packets_in_order(datagrams: list[bytes]) -> None:
    """What is no RTP apart; a run is of one picture, and its numbers have no gap."""
    found = list(runs(datagrams))
    packets = [one for _, together in found for one in together]
    assert packets == [one for one in datagrams if parse(one)]
    for header, together in found:
        assert parse(together[0]) == header
        for place, one in enumerate(together):
            number = (header.sequence + place) % 65_536
            marker = is_marked(one)
            assert parse(one) == header._replace(sequence=number, marker=marker)
            assert not marker or place == len(together) - 1


def test_packets_of_one_picture_are_one_run() -> None:
    """Over the wrap of their numbers, up to the marker."""
    numbers = [65_534, 65_535, 0, 1]
    one = [b"\x80\x60" + n.to_bytes(2, "big") + bytes(8) for n in numbers]
    last = b"\x80\xe0" + (2).to_bytes(2, "big") + bytes(8)
    after = b"\x80\x60" + (3).to_bytes(2, "big") + bytes(8)
    assert [len(run) for _, run in runs([*one, last, after])] == [5, 1]


@given(st.binary(max_size=20))
def test_a_datagram_is_rtp_or_rtcp_or_neither(datagram: bytes) -> None:
    """By its first two bytes, as RFC 5761 has it."""
    of_srtp = len(datagram) > 1 and datagram[0] >> 6 == 2
    assert (is_rtp(datagram) or is_rtcp(datagram)) is of_srtp
    assert not (is_rtp(datagram) and is_rtcp(datagram))
