"""What a receiver says back by RTCP: keyframe requests, losses, reports."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiortc.rtp import (
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
)

from sidecar.ingest.rtcp import SenderReport
from sidecar.ingest.rtp import Missing, Packet, Reception, Run
from sidecar.stats import Stats

_NACKED: Final = 60  # sequence numbers in one packet: at most 4 bytes each
_DELAY_UNITS: Final = 65_536  # DLSR counts 1/65536 s (RFC 3550 section 6.4.1)
_DELAY_MAX_S: Final = 65_535.0

Send = Callable[[bytes], Coroutine[Any, Any, None]]


class Feedback:
    """RTCP about one media source, sent at once and without a task.

    Args:
        send: The DTLS transport's: a coroutine that never suspends (tested).
        ssrc: Our own, as sender of RTCP.
        stats: Counts keyframe requests.
    """

    def __init__(self, send: Send, ssrc: int, stats: Stats) -> None:
        self._send = send
        self._ssrc = ssrc
        self._requests = stats.keyframe_requests
        self._media: int | None = None
        self._pli_wanted = False
        self._missing = Missing()
        self._reception = Reception()
        self._heard: tuple[int, float] | None = None

    def about(self, media_ssrc: int) -> None:
        """From now on it is about this source."""
        self._media = media_ssrc
        self._missing = Missing()
        self._reception = Reception()
        self._heard = None
        if self._pli_wanted:
            self.request_keyframe()

    def interrupted(self) -> None:
        """Packets are kept away on purpose from now on: they are not lost."""
        self._missing.clear()
        self._reception.interrupt()

    def request_keyframe(self) -> None:
        """Sends a PLI (RFC 4585 section 6.3.1), as soon as the source is known."""
        self._pli_wanted = self._media is None
        if self._media is not None:
            self._requests.inc()
            self._put(
                RtcpPsfbPacket(
                    fmt=RTCP_PSFB_PLI, ssrc=self._ssrc, media_ssrc=self._media
                )
            )

    def came(self, packet: Packet, *, repeated: bool) -> None:
        """Takes note of a packet, `repeated` by RTX; asks again for lost ones."""
        if not repeated:
            self._reception.add(packet)
        self._missing.add(packet.sequence, packet.arrived_at)
        if len(self._missing):
            self.nack(packet.arrived_at)

    def more(self, run: Run) -> None:
        """As `came` for each packet of `run`, none of them repeated by RTX."""
        self._reception.extend(run)
        self._missing.extend(run)
        if len(self._missing):
            self.nack(run.arrived_at)

    def nack(self, now: float) -> None:
        """Asks for what is missing and due (RFC 4585 section 6.2.1)."""
        lost = self._missing.due(now)
        for i in range(0, len(lost), _NACKED):
            self._put(
                RtcpRtpfbPacket(
                    fmt=RTCP_RTPFB_NACK,
                    ssrc=self._ssrc,
                    media_ssrc=self._media or 0,
                    lost=lost[i : i + _NACKED],
                )
            )

    def sender_report(self, said: SenderReport, now: float) -> None:
        """Takes note of when the sender said it sent."""
        if said.ssrc == self._media:
            self._heard = (said.middle, now)

    def report(self, now: float) -> None:
        """Sends a receiver report (RFC 3550 section 6.4.2), if there is anything."""
        said = self._reception.report()
        if said is None or self._media is None:
            return
        lsr, at = self._heard or (0, now)
        delay = int(min(now - at, _DELAY_MAX_S) * _DELAY_UNITS)
        block = RtcpReceiverInfo(
            ssrc=self._media,
            fraction_lost=said.fraction_lost,
            packets_lost=said.packets_lost,
            highest_sequence=said.highest_sequence,
            jitter=said.jitter,
            lsr=lsr,
            dlsr=delay,
        )
        self._put(RtcpRrPacket(ssrc=self._ssrc, reports=[block]))

    def _put(self, packet: AnyRtcpPacket) -> None:
        """Runs the transport's coroutine to its end, which it reaches at once."""
        sending = self._send(bytes(packet))
        try:
            sending.send(None)
        except StopIteration:
            return
        except ConnectionError:
            return  # closed meanwhile: nobody to tell
        sending.close()
        raise RuntimeError("sending RTCP had to wait; aiortc has changed")
