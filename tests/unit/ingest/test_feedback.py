"""RTCP that goes back: requests, losses, reports."""

import pytest
from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
)

from sidecar.ingest.feedback import Feedback
from sidecar.ingest.rtcp import SenderReport
from sidecar.ingest.rtp import Packet, Run
from sidecar.stats import Stats

OURS, MEDIA = 7, 8


class Sent:
    """What was sent, parsed again."""

    def __init__(self) -> None:
        self.packets: list[AnyRtcpPacket] = []

    async def send(self, data: bytes) -> None:
        """Like the transport's."""
        self.packets += RtcpPacket.parse(data)


def packet(sequence: int, at: float = 0.0) -> Packet:
    """A packet as far as feedback cares."""
    return Packet(sequence, 0, marker=False, payload=b"x", arrived_at=at)


def test_keyframe_request_waits_for_the_source() -> None:
    """Before the sender is heard nobody can be asked; then it is, at once."""
    sent, stats = Sent(), Stats()
    feedback = Feedback(sent.send, OURS, stats)
    feedback.request_keyframe()
    assert sent.packets == []
    feedback.about(MEDIA)
    feedback.about(MEDIA + 1)
    assert sent.packets == [RtcpPsfbPacket(fmt=1, ssrc=OURS, media_ssrc=MEDIA)]
    assert stats.registry.get_sample_value("sidecar_keyframe_requests_total") == 1


def test_losses_are_asked_for() -> None:
    """A gap is answered by NACKs of at most 60 numbers each."""
    sent = Sent()
    feedback = Feedback(sent.send, OURS, Stats())
    feedback.about(MEDIA)
    feedback.came(packet(1), repeated=False)
    feedback.came(packet(102), repeated=False)
    assert all(isinstance(p, RtcpRtpfbPacket) for p in sent.packets)
    lost = [n for p in sent.packets if isinstance(p, RtcpRtpfbPacket) for n in p.lost]
    assert lost == list(range(2, 102))
    assert len(sent.packets) == 2


def test_a_run_is_taken_note_of_as_its_packets_are() -> None:
    """A gap before it is asked for, once; the report counts each of its packets."""
    sent = Sent()
    feedback = Feedback(sent.send, OURS, Stats())
    feedback.about(MEDIA)
    feedback.came(packet(1), repeated=False)
    feedback.more(Run(2, 0, marker=False, payloads=[b"x"] * 3, arrived_at=0.0))
    assert sent.packets == []
    feedback.more(Run(7, 0, marker=True, payloads=[b"x"] * 2, arrived_at=0.0))
    feedback.report(1.0)
    asked, report = sent.packets
    assert isinstance(asked, RtcpRtpfbPacket)
    assert asked.lost == [5, 6]
    assert isinstance(report, RtcpRrPacket)
    block = report.reports[0]
    assert (block.packets_lost, block.highest_sequence) == (2, 8)


def test_report_tells_losses_and_the_age_of_the_senders() -> None:
    """Numbers as in RFC 3550; a retransmission does not count as received."""
    sent = Sent()
    feedback = Feedback(sent.send, OURS, Stats())
    feedback.report(0.0)
    feedback.about(MEDIA)
    feedback.report(0.0)
    feedback.came(packet(1), repeated=False)
    feedback.came(packet(3), repeated=False)
    feedback.came(packet(2), repeated=True)
    feedback.sender_report(SenderReport(MEDIA, 0x5678_9ABC, 0), 1.0)
    feedback.sender_report(SenderReport(99, 0x5678_9ABC, 0), 2.0)
    feedback.report(2.5)
    report = sent.packets[-1]
    assert isinstance(report, RtcpRrPacket)
    block = report.reports[0]
    assert (block.ssrc, block.packets_lost, block.highest_sequence) == (MEDIA, 1, 3)
    assert block.lsr == 0x5678_9ABC
    assert block.dlsr == round(1.5 * 65_536)


async def _closed(_: bytes) -> None:
    raise ConnectionError


class _Never:
    def __await__(self) -> object:
        yield


async def _waiting(_: bytes) -> None:
    await _Never()  # type: ignore[misc]


def test_closed_transport_is_no_fault() -> None:
    """Feedback after the end goes nowhere."""
    feedback = Feedback(_closed, OURS, Stats())
    feedback.about(MEDIA)
    feedback.request_keyframe()


def test_transport_that_makes_us_wait_is_told() -> None:
    """What is relied on of aiortc: sending never suspends."""
    feedback = Feedback(_waiting, OURS, Stats())
    feedback.about(MEDIA)
    with pytest.raises(RuntimeError, match="aiortc has changed"):
        feedback.request_keyframe()


def test_packets_kept_away_are_neither_asked_for_nor_lost() -> None:
    """Over a gap of 20,000, past the end of the numbers: no NACK, no loss reported."""
    sent = Sent()
    feedback = Feedback(sent.send, OURS, Stats())
    feedback.about(MEDIA)
    for sequence in (65_000, 65_001, 65_003):
        feedback.came(packet(sequence), repeated=False)
    feedback.report(1.0)
    before = len(sent.packets)
    feedback.interrupted()
    feedback.report(2.0)
    feedback.came(packet(19_467, at=3.0), repeated=False)
    feedback.came(packet(19_468, at=3.0), repeated=False)
    feedback.report(4.0)
    while_closed, after = sent.packets[before:]
    for report in (while_closed, after):
        assert isinstance(report, RtcpRrPacket)
        assert report.reports[0].fraction_lost == 0
        assert report.reports[0].packets_lost == 1
    assert isinstance(after, RtcpRrPacket)
    assert after.reports[0].highest_sequence == (1 << 16) + 19_468
