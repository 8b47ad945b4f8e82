"""The receiving end of one video track, in place of aiortc's RTCRtpReceiver.

aiortc 1.16 decodes every picture in a thread per track and queues without bound. Here
decrypted packets go straight down a `PacketPath`: no thread, no task, no decoder. See
`aiortc_bend` for what is relied on.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Final

from aiortc import MediaStreamTrack, RTCRtpTransceiver
from aiortc.codecs import is_rtx
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpSrPacket, RtpPacket

from sidecar.clock import Clock
from sidecar.domain import Codec
from sidecar.errors import StreamError, StreamUnavailable
from sidecar.ingest import aiortc_bend
from sidecar.ingest.buffer import AccessUnitBuffer
from sidecar.ingest.feedback import Feedback
from sidecar.ingest.packet_path import Agreement, PacketPath
from sidecar.ingest.rtp import Packet
from sidecar.log import get_logger
from sidecar.stats import Stats

aiortc_bend.check()
aiortc_bend.know_more_h264_profiles()

log = get_logger(__name__)

_TICK_S: Final = 1.0  # receiver reports, and how often the watchdog looks


def _place(error: BaseException) -> str:
    """File and line at which it was raised; read from no file, as a traceback is."""
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


class EndsStream:
    """A context in which any error ends the stream, with its reason, and no more.

    An exception that gets as far as aiortc's transport would kill its task, silently.
    """

    def __init__(self, stream_id: str, buffer: AccessUnitBuffer) -> None:
        self._stream_id = stream_id
        self._buffer = buffer

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if isinstance(error, StreamError):
            self._buffer.fail(error)
            return True
        log.error(
            "packet_path_failed",
            stream=self._stream_id,
            error=type(error).__name__,
            at=_place(error),
        )
        failure = StreamUnavailable(
            self._stream_id, f"{type(error).__name__} while receiving packets"
        )
        failure.__cause__ = error
        self._buffer.fail(failure)
        return True


class TrackReceiver:
    """Packets of one track in, access units out; what aiortc calls a receiver.

    Args:
        transceiver: Whose receiver it takes the place of.
        stream_id: For errors and logs.
        clock: When packets came.
        stats: Counts.
        packet_timeout_s: Silence after which the stream is given up.
    """

    def __init__(
        self,
        transceiver: RTCRtpTransceiver,
        stream_id: str,
        clock: Clock,
        stats: Stats,
        packet_timeout_s: float,
    ) -> None:
        self.transport: RTCDtlsTransport = transceiver.receiver.transport
        self.buffer = AccessUnitBuffer(stats)
        self.described({}, frozenset())
        self._track: MediaStreamTrack | None = None
        self._enabled = True
        self._clock = clock
        self._tick_s = min(_TICK_S, packet_timeout_s / 4)
        self._timer: asyncio.TimerHandle | None = None
        self._ends_stream = EndsStream(stream_id, self.buffer)
        self._feedback = Feedback(
            self.transport._send_rtp,  # noqa: SLF001
            transceiver.sender._ssrc,  # noqa: SLF001
            stats,
        )
        self.path = PacketPath(
            stream_id, self.buffer, self._feedback, stats, packet_timeout_s
        )
        self._lost_path = StreamUnavailable(stream_id, "the network path was lost")
        transceiver._RTCRtpTransceiver__receiver = self  # type: ignore[attr-defined] # noqa: SLF001

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

    def request_keyframe(self) -> None:
        """Sends a PLI, at once or as soon as the sender is heard."""
        if not self.buffer.ended:
            with self._ends_stream:
                self.path.keyframe_requested(self._clock.monotonic())

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Begins: the transport is connected and the codecs are agreed on."""
        if self._timer is not None or self.buffer.ended:
            return
        self.path.begin(self._agreement(parameters), self._clock.monotonic())
        # All payload types: a codec that was not agreed on must be seen, not lost.
        self.transport._rtp_router.register_receiver(  # noqa: SLF001
            self, ssrcs=[], payload_types=list(range(128))
        )
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
        if self._timer is not None:
            self._timer.cancel()
            self.transport._unregister_rtp_receiver(self)  # noqa: SLF001

    def setTransport(self, transport: RTCDtlsTransport) -> None:  # noqa: N802
        """Part of aiortc's interface, for bundled sections; there is but one here."""
        self.transport = transport

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._tick_s, self._tick)

    def _tick(self) -> None:
        """Looks after what must happen without packets, too."""
        with self._ends_stream:
            now = self._clock.monotonic()
            self.path.check(now)
            self._feedback.report(now)
        if not self.buffer.ended:
            self._schedule()

    def _handle_disconnect(self) -> None:
        """The DTLS transport ended: the peer left, or the path under it broke."""
        if self.transport.transport._connection._closing:  # noqa: SLF001
            self.buffer.fail(self._lost_path)
        self.buffer.close()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        with self._ends_stream:
            if isinstance(packet, RtcpSrPacket):
                self._feedback.sender_report(packet, self._clock.monotonic())
            elif isinstance(packet, RtcpByePacket) and self.path.ssrc in packet.sources:
                self.buffer.close()

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        del arrival_time_ms  # wall time; ours is monotonic
        if self.buffer.ended:
            return
        with self._ends_stream:
            plain = Packet(
                packet.sequence_number,
                packet.timestamp,
                bool(packet.marker),
                packet.payload,
                self._clock.monotonic(),
            )
            self.path.take(packet.payload_type, packet.ssrc, plain)
