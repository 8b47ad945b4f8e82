"""RTCP read: what a sender says, and that no bytes can do harm."""

from aiortc.rtp import (
    RtcpByePacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
)
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.ingest.rtcp import Bye, SenderReport, parse

WORD = st.integers(0, (1 << 32) - 1)
REPORT = RtcpSrPacket(
    ssrc=0x8000_0001,
    sender_info=RtcpSenderInfo(0x1234_5678_9ABC_DEF0, 5, 0xFFFF_FFFE, 7),
)
SDES = RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=1, items=[(1, b"somebody")])])


def test_a_compound_packet_is_read_to_its_end() -> None:
    """A sender report with a block of reception, its name, and its leave."""
    block = RtcpReceiverInfo(9, 0, 0, 0, 0, 0, 0)
    report = RtcpSrPacket(REPORT.ssrc, REPORT.sender_info, [block])
    leave = RtcpByePacket(sources=[3, 0x8000_0001])
    data = b"".join(bytes(p) for p in (report, SDES, RtcpRrPacket(ssrc=4), leave))
    assert parse(data) == [
        SenderReport(0x8000_0001, 0x5678_9ABC, 0xFFFF_FFFE),
        Bye((3, 0x8000_0001)),
    ]


@given(WORD, st.integers(0, (1 << 64) - 1), WORD)
def test_a_report_is_read_as_it_was_written(ssrc: int, ntp: int, packets: int) -> None:
    """Whatever its numbers."""
    info = RtcpSenderInfo(ntp, 0, packets, 0)
    said = parse(bytes(RtcpSrPacket(ssrc=ssrc, sender_info=info)))
    assert said == [SenderReport(ssrc, ntp >> 16 & 0xFFFF_FFFF, packets)]


@given(st.binary(max_size=200))
@example(b"\x80\xc8\x00\x01" + bytes(4))  # a report that is too short for one
@example(b"\x9f\xcb\x00\x01" + bytes(4))  # 31 sources announced, one there
@example(b"\x80\xc8\x00\x06")  # longer than the datagram
@example(b"\x40\xc8\x00\x00")  # another version
def test_any_bytes_give_a_list(data: bytes) -> None:
    """Malformed ones too; what was whole before still counts."""
    said = parse(bytes(REPORT) + data)
    assert said[0] == parse(bytes(REPORT))[0]
