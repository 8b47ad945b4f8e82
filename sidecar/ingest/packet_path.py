"""From a decrypted RTP packet to the buffer: whose it is, which codec, what to ask for.

Knows nothing of aiortc; time comes in with each packet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from sidecar.domain import AccessUnit, Codec
from sidecar.errors import StreamUnavailable, StreamUnsupported, UnsupportedReason
from sidecar.ingest.assembler import Assembler
from sidecar.ingest.buffer import AccessUnitBuffer
from sidecar.ingest.h264 import H264Depacketizer
from sidecar.ingest.media_source import MediaSource, TooManySources
from sidecar.ingest.rtp import Packet, Run, unwrap_rtx
from sidecar.ingest.rtp_header import Header
from sidecar.ingest.source import Want
from sidecar.ingest.vp8 import Vp8Depacketizer
from sidecar.stats import Stats

_PLI_S: Final = 1.0  # while nothing at all can be decoded; servers throttle to this
_PLI_KEYFRAMES_S: Final = 5.0  # while the next keyframe is likely to come by itself
_FOREIGN: Final = 50  # packets of a codec not agreed on before it is believed
_FOREIGN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the descriptions agreed on, by payload type.

    Attributes:
        codecs: Of media.
        rtx: Of retransmissions, to that of their media (RFC 4588).
        sprop: H.264 parameter sets out of band (RFC 6184 section 8.1).
        ignored: Of other tracks, which the sender may go on sending.
    """

    codecs: Mapping[int, Codec]
    rtx: Mapping[int, int] = field(default_factory=dict)
    sprop: Mapping[int, str] = field(default_factory=dict)
    ignored: frozenset[int] = frozenset()


class Asking(Protocol):
    """What the path says back; `feedback.Feedback` is the real one."""

    def about(self, media_ssrc: int) -> None:
        """From now on it is about this source."""

    def request_keyframe(self) -> None:
        """Sends a PLI."""

    def came(self, packet: Packet, *, repeated: bool) -> None:
        """Takes note of a packet."""

    def more(self, run: Run) -> None:
        """Takes note of packets that came together, none repeated."""

    def interrupted(self) -> None:
        """Packets are kept away on purpose: they are not lost."""


class PacketPath:
    """One stream's packets in, whole access units into the buffer.

    Args:
        stream_id: For errors.
        buffer: Where access units go.
        asking: Where requests go.
        stats: Counts.
        packet_timeout_s: Silence after which the stream is given up.
    """

    def __init__(
        self,
        stream_id: str,
        buffer: AccessUnitBuffer,
        asking: Asking,
        stats: Stats,
        packet_timeout_s: float,
    ) -> None:
        self._stream_id = stream_id
        self._buffer = buffer
        self._asking = asking
        self._stats = stats
        self._timeout_s = packet_timeout_s
        self._agreed = Agreement({})
        self._source = MediaSource()
        self._payload_type: int | None = None
        self._assembler: Assembler | None = None
        self._foreign = 0
        self._asked_at: float | None = None
        self._heard_at = self._decodable_at = 0.0
        self._interrupted = False
        self._seen_keyframe = False

    @property
    def codec(self) -> Codec:
        """Of what comes; before anything came, the first agreed on."""
        if self._assembler is not None:
            return self._assembler.codec
        return next(iter(self._agreed.codecs.values()), Codec.VP8)

    @property
    def ssrc(self) -> int | None:
        """The source watched."""
        return self._source.current

    def begin(self, agreed: Agreement, now: float) -> None:
        """Packets can come from now on."""
        self._agreed = agreed
        self._heard_at = self._decodable_at = now

    def check(self, now: float) -> None:
        """The watchdog.

        Raises:
            StreamUnavailable: Nothing came for too long.
            StreamUnsupported: Only packets of a codec not agreed on came.
        """
        if not self._interrupted and now - self._heard_at >= self._timeout_s:
            if self._foreign:
                raise self._unsupported()
            message = f"no packets for {self._timeout_s:g} s"
            raise StreamUnavailable(self._stream_id, message)

    def interrupted(self) -> None:
        """Packets are kept away on purpose from now on, until `resumed`."""
        self._interrupted = True
        self._asking.interrupted()
        if self._assembler is not None:
            self._assembler.interrupt()

    def resumed(self, now: float) -> None:
        """Packets can come again: from now on silence counts."""
        self._interrupted = False
        self._heard_at = self._decodable_at = now

    def passes_over(self, header: Header) -> bool:
        """Whether the payload does not matter: of a delta, and none is wanted."""
        assembler = self._assembler
        return (
            assembler is not None
            and header.timestamp == assembler.skipped
            and header.ssrc == self._source.current
            and header.payload_type == self._payload_type
            and self._buffer.wanted is Want.KEYFRAMES
        )

    def take(self, header: Header, payload: bytes, now: float) -> bool:
        """One packet, as it came; whether it is of the video watched.

        Raises:
            StreamUnavailable: The sender's SSRCs are without end.
            StreamUnsupported: It has gone over to a codec not agreed on.
        """
        payload_type, marker, sequence, timestamp, ssrc = header
        packet = Packet(sequence, timestamp, marker, payload, now)
        if payload_type in self._agreed.codecs:
            if not self._hear(ssrc, now):
                return False
            self._assemble(self._chosen(payload_type), packet, repeated=False)
            return True
        if payload_type in self._agreed.rtx:
            self._repeated(self._agreed.rtx[payload_type], packet)
        else:
            self._unknown(payload_type, now)
        return False

    def more(self, header: Header, payloads: list[bytes], now: float) -> None:
        """Further packets, of the picture and source of the one just taken.

        Args:
            header: Of the first of them, but with the marker of the last.
            payloads: Of each, numbered one after the other.
            now: When they came, all of them.
        """
        _, marker, sequence, timestamp, ssrc = header
        if payloads and self._assembler is not None and ssrc == self._source.current:
            run = Run(sequence, timestamp, marker, payloads, now)
            self._asking.more(run)
            deltas = self._buffer.wanted is Want.ALL
            units = self._assembler.extend(run, deltas=deltas)
            self._deliver(units, now, broken=self._assembler.broken)

    def keyframe_requested(self, now: float) -> None:
        """Sends a PLI for the reader."""
        self._asked_at = now
        self._asking.request_keyframe()

    def _repeated(self, payload_type: int, rtx: Packet) -> None:
        """A retransmission (RFC 4588), as if it had come in its place."""
        original = unwrap_rtx(rtx.payload)
        assembler = self._assembler
        if original is None or assembler is None or payload_type != self._payload_type:
            return
        sequence, payload = original
        packet = Packet(sequence, rtx.timestamp, rtx.marker, payload, rtx.arrived_at)
        self._assemble(assembler, packet, repeated=True)

    def _unknown(self, payload_type: int, now: float) -> None:
        """A packet of no codec of ours: audio, or the sender changed its codec."""
        if payload_type in self._agreed.ignored:
            return
        self._foreign += 1
        if self._foreign >= _FOREIGN and now - self._heard_at >= _FOREIGN_S:
            raise self._unsupported()

    def _unsupported(self) -> StreamUnsupported:
        return StreamUnsupported(
            self._stream_id,
            "the sender changed to a codec that was not agreed on",
            reason=UnsupportedReason.CODEC,
        )

    def _hear(self, ssrc: int, now: float) -> bool:
        """Whether this is the video watched; begins anew where it is another one."""
        before = self._source.current
        try:
            ours = self._source.hear(ssrc, now)
        except TooManySources as exc:
            raise StreamUnavailable(self._stream_id, str(exc)) from exc
        if ours:
            self._heard_at = now
            self._foreign = 0
        if self._source.current != before:
            self._assembler = None
            self._asking.about(ssrc)
        return ours

    def _chosen(self, payload_type: int) -> Assembler:
        """The assembler for this payload type; a new one where it has changed."""
        if self._assembler is not None and payload_type == self._payload_type:
            return self._assembler
        self._payload_type = payload_type
        if self._agreed.codecs[payload_type] is Codec.VP8:
            self._assembler = Assembler(Vp8Depacketizer(), self._lost)
        else:
            sprop = self._agreed.sprop.get(payload_type)
            self._assembler = Assembler(H264Depacketizer(sprop), self._lost)
        return self._assembler

    def _assemble(
        self, assembler: Assembler, packet: Packet, *, repeated: bool
    ) -> None:
        self._asking.came(packet, repeated=repeated)
        deltas = self._buffer.wanted is Want.ALL
        units = assembler.add(packet, deltas=deltas)
        self._deliver(units, packet.arrived_at, broken=assembler.broken)

    def _deliver(self, units: list[AccessUnit], now: float, *, broken: bool) -> None:
        """Hands out what became whole; asks for a keyframe where that is broken."""
        for unit in units:
            keyframe = "true" if unit.keyframe else "false"
            self._stats.access_units.labels(unit.codec.value, keyframe).inc()
            self._seen_keyframe = self._seen_keyframe or unit.keyframe
            self._buffer.put(unit)
        self._repair(now, broken=broken)

    def _lost(self, reason: str) -> None:
        self._stats.lost.labels(stage="ingest", reason=reason).inc()

    def _repair(self, now: float, *, broken: bool) -> None:
        """Asks for a keyframe while there is nothing to decode, paced."""
        if not broken:
            self._decodable_at = now
            return
        urgent = self._buffer.wanted is Want.ALL or not self._seen_keyframe
        pace_s = _PLI_S if urgent else _PLI_KEYFRAMES_S
        if self._asked_at is not None and now - self._asked_at < pace_s:
            return
        if urgent or now - self._decodable_at >= pace_s:
            self.keyframe_requested(now)
