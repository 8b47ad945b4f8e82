"""The receiving end of one video track, in place of aiortc's RTCRtpReceiver.

aiortc 1.16 decodes every picture in a thread per track and queues without bound. Here
packets go from the socket through libsrtp straight down a `PacketPath`, in one call: no
thread, no task, no queue, no decoder. See `aiortc_bend` for what is relied on.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiortc import MediaStreamTrack, RTCRtpTransceiver
from aiortc.codecs import is_rtx
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import AnyRtcpPacket, RtpPacket
from pylibsrtp import Error as SrtpError

from sidecar.clock import Clock
from sidecar.domain import Codec
from sidecar.errors import StreamUnavailable
from sidecar.ingest import aiortc_bend, rtcp, rtp_header
from sidecar.ingest.buffer import AccessUnitBuffer
from sidecar.ingest.door import Door
from sidecar.ingest.ends_stream import EndsStream
from sidecar.ingest.feedback import Feedback
from sidecar.ingest.gate import Gate
from sidecar.ingest.gatekeeper import Gatekeeper
from sidecar.ingest.packet_path import Agreement, PacketPath
from sidecar.ingest.rtp_header import Header
from sidecar.ingest.source import Want
from sidecar.stats import Stats

aiortc_bend.check()
aiortc_bend.know_more_h264_profiles()

_TICK_S: Final = 1.0  # receiver reports, and how often the watchdog looks
_CALM_TICK_S: Final = 5.0  # while keyframes are enough; RFC 3550's least interval
_HEAR_S: Final = 0.1  # three pictures of a sender at 30 a second
_REST_S: Final = 10.0  # at a stretch; a sender that has gone is noticed after it


class TrackReceiver:
    """Packets of one track in, access units out; what aiortc calls a receiver.

    Args:
        transceiver: Whose receiver it takes the place of.
        stream_id: For errors and logs.
        door: Where the connection's packets come in.
        clock: When packets came.
        stats: Counts.
        packet_timeout_s: Silence after which the stream is given up.
    """

    def __init__(
        self,
        transceiver: RTCRtpTransceiver,
        stream_id: str,
        door: Door,
        clock: Clock,
        stats: Stats,
        packet_timeout_s: float,
    ) -> None:
        self.transport: RTCDtlsTransport = transceiver.receiver.transport
        self.buffer = AccessUnitBuffer(stats)
        self.described({}, frozenset())
        self._track: MediaStreamTrack | None = None
        self._enabled = True
        self._door = door
        self._clock = clock
        self._longest_tick_s = packet_timeout_s / 4
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.TimerHandle | None = None  # a PLI that is to be sent
        self._ssrc: int | None = None
        self._ends_stream = EndsStream(stream_id, self.buffer)
        send, ssrc = aiortc_bend.feedback_path(transceiver)
        self._feedback = Feedback(send, ssrc, stats)
        self.path = PacketPath(
            stream_id, self.buffer, self._feedback, stats, packet_timeout_s
        )
        gate = Gate(min(_REST_S, packet_timeout_s))
        self._gatekeeper = Gatekeeper(gate, door, self.path, clock, stats)
        self._lost_path = StreamUnavailable(stream_id, "the network path was lost")
        aiortc_bend.put_receiver(transceiver, self)

    def described(self, sprop: Mapping[int, str], ignored: frozenset[int]) -> None:
        """What the remote description says beside what aiortc reads in it.

        Args:
            sprop: H.264 parameter sets by payload type.
            ignored: Payload types of other tracks.
        """
        self._sprop = sprop
        self._ignored = ignored

    @property
    def track(self) -> MediaStreamTrack | None:
        """Aiortc puts one there for its own receiver; never read from."""
        return self._track

    def want(self, want: Want) -> None:
        """Sets what is delivered from now on; `ALL` lets packets in at once."""
        self.buffer.want(want)
        if want is Want.ALL:
            self._gatekeeper.open()

    def rest(self, until: float) -> None:
        """Nothing is needed before `until`."""
        if not self.buffer.ended:
            self._gatekeeper.rest(until)

    def request_keyframe(self) -> None:
        """Sends a PLI and awaits its answer.

        Not before the sender is heard, or has been silent for a moment: if the first
        packet of the answer is lost, the one before it tells so, and it is sent again.
        """
        if self.buffer.ended:
            return
        self._gatekeeper.open()
        if self._gatekeeper.heard_any:
            self._ask()
        elif self._asking is None:
            loop = asyncio.get_running_loop()
            self._asking = loop.call_later(_HEAR_S, self._ask)

    def _ask(self) -> None:
        """Sends the PLI now."""
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        with self._ends_stream:
            self.path.keyframe_requested(self._clock.monotonic())

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begins: the transport is connected and the codecs are agreed on."""
        if self._timer is not None or self.buffer.ended:
            return
        self.path.begin(self._agreement(parameters), self._clock.monotonic())
        aiortc_bend.register(self.transport, self)
        self._door.media = self._received
        self._door.rtcp = self._reported
        self._schedule()

    def _agreement(self, parameters: RTCRtpReceiveParameters) -> Agreement:
        agreed = [(c.payloadType or 0, c) for c in parameters.codecs]
        apt = {number: codec.parameters.get("apt") for number, codec in agreed}
        return Agreement(
            codecs={n: Codec(c.name.upper()) for n, c in agreed if not is_rtx(c)},
            rtx={rtx: media for rtx, media in apt.items() if isinstance(media, int)},
            sprop=self._sprop,
            ignored=self._ignored,
        )

    async def stop(self) -> None:
        """Ends for good; the reader ends after what is in the buffer."""
        self.buffer.close()
        self._gatekeeper.stop()
        if self._asking is not None:
            self._asking.cancel()
        self._door.media = self._door.rtcp = None
        if self._timer is not None:
            self._timer.cancel()
            aiortc_bend.unregister(self.transport, self)

    def setTransport(self, transport: RTCDtlsTransport) -> None:  # noqa: N802
        """Part of aiortc's interface, for bundled sections; there is but one here."""
        self.transport = transport

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        calm = self.buffer.wanted is Want.KEYFRAMES
        tick_s = min(_CALM_TICK_S if calm else _TICK_S, self._longest_tick_s)
        self._timer = loop.call_later(tick_s, self._tick)

    def _tick(self) -> None:
        """Looks after what must happen without packets, too."""
        with self._ends_stream:
            now = self._clock.monotonic()
            self.path.check(now)
            self._feedback.report(now)
        if self.buffer.ended:
            self._gatekeeper.stop()
        else:
            self._schedule()

    def _handle_disconnect(self) -> None:
        """The DTLS transport ended: the peer left, or the path under it broke."""
        if aiortc_bend.lost_path(self.transport):
            self.buffer.fail(self._lost_path)
        self.buffer.close()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """Part of aiortc's interface; RTCP does not get as far as aiortc."""

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        """Part of aiortc's interface; neither does RTP."""

    def _reported(self, datagram: bytes) -> None:
        """One RTCP packet, encrypted, as it came from the socket."""
        try:
            data = aiortc_bend.srtp(self.transport).unprotect_rtcp(datagram)
        except (SrtpError, ValueError):
            return  # not from our peer, repeated, or longer than any packet
        with self._ends_stream:
            now = self._clock.monotonic()
            for said in rtcp.parse(data):
                if isinstance(said, rtcp.SenderReport):
                    self._feedback.sender_report(said, now)
                    self._gatekeeper.reported(said.packets, now)
                elif self.path.ssrc in said.sources:
                    self.buffer.close()

    def _received(self, datagrams: list[bytes]) -> None:
        """RTP packets that came together, encrypted, as they were in the socket."""
        with self._ends_stream:
            now = self._clock.monotonic()
            for header, together in rtp_header.runs(datagrams):
                if self.buffer.ended or self._door.closed:
                    return
                self._take(header, together, now)

    def _take(self, header: Header, datagrams: list[bytes], now: float) -> None:
        """Packets of one picture, whatever is wrong with some of them."""
        while datagrams and not self._door.closed:
            taken = self._take_some(header, datagrams, now)
            datagrams = datagrams[taken:]
            if datagrams:
                header = _after(header, taken, datagrams[0])

    def _take_some(self, header: Header, datagrams: list[bytes], now: float) -> int:
        """How many: up to one that is not as it should be."""
        passed_over = self.path.passes_over(header)
        payload = b"" if passed_over else self._decrypted(datagrams[0])
        if payload is None or not self.path.take(header, payload, now):
            return 1
        if not passed_over:
            self._heard(header, now)
        if self._door.closed:
            return 1
        return 1 + self._take_more(header, datagrams[1:], now)

    def _take_more(self, header: Header, datagrams: list[bytes], now: float) -> int:
        """How many of those that follow one that was taken."""
        passed_over = self.path.passes_over(header)
        if passed_over:
            payloads = [b""] * len(datagrams)
        else:
            decrypted = map(self._decrypted, datagrams)
            payloads = list(iter(lambda: next(decrypted, None), None))
        if payloads:
            last = _after(header, len(payloads), datagrams[len(payloads) - 1])
            first = _after(header, 1, datagrams[len(payloads) - 1])
            self.path.more(first, payloads, now)
            if not passed_over:
                self._heard(last, now)
        return len(payloads)

    def _decrypted(self, datagram: bytes) -> bytes | None:
        """Its payload; None if it is not from our peer, repeated, or malformed."""
        try:
            packet = aiortc_bend.srtp(self.transport).unprotect(datagram)
        except (SrtpError, ValueError):  # the latter: longer than any packet
            return None
        return rtp_header.payload_of(packet)

    def _heard(self, header: Header, now: float) -> None:
        """A packet of the video watched came through."""
        if header.ssrc != self._ssrc:
            self._ssrc = header.ssrc
            self._gatekeeper.renumbered()
        self._gatekeeper.heard(header.sequence, now)
        if self._asking is not None:
            self._ask()


def _after(header: Header, places: int, datagram: bytes) -> Header:
    """The header so many places on, with the marker of `datagram`."""
    sequence = (header.sequence + places) & 0xFFFF
    return header._replace(sequence=sequence, marker=rtp_header.is_marked(datagram))
