"""RTP payloads -> access units: whole and with all they refer to, or nothing. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sidecar.domain import AccessUnit, Codec
from sidecar.ingest.depacketizer import Depacketizer
from sidecar.ingest.rtp import Numbering, Packet, Run

_CYCLE: Final = 1 << 16
_EXCUSABLE: Final = frozenset({"torn", "chain_broken"})  # after an interruption


@dataclass(frozen=True, slots=True)
class Limits:
    """What one stream may hold back.

    Attributes:
        packets: Of one access unit, and beyond a gap.
        bytes: Likewise; a 4K keyframe has about 1 MB.
        wait_s: For a lost packet to come after all; five tries of a NACK.
    """

    packets: int = 2048
    bytes: int = 4 << 20
    wait_s: float = 0.5


class Assembler:
    """Orders packets, finds where access units begin and end, keeps their chain.

    An access unit begins where the one before ended, or where its payload proves it;
    it ends at its marker or before the next timestamp; every packet between must have
    come. After a loss nothing is handed out until the next keyframe. Of a picture that
    is not wanted only the first packet is looked at.

    Args:
        depacketizer: Of the codec received.
        lost: Told the reason of every access unit given up: `torn`, `malformed`,
            `too_large`, `chain_broken`.
        limits: Of memory and patience.
    """

    def __init__(
        self,
        depacketizer: Depacketizer,
        lost: Callable[[str], None],
        limits: Limits | None = None,
    ) -> None:
        self._depacketizer = depacketizer
        self._lost = lost
        self._limits = limits or Limits()
        self.reset()

    @property
    def codec(self) -> Codec:
        """Of what it hands out."""
        return self._depacketizer.codec

    @property
    def broken(self) -> bool:
        """Whether a loss keeps back everything until a keyframe comes."""
        return self._broken and not self._excused

    @property
    def skipped(self) -> int | None:
        """Timestamp of the last delta left out: its other payloads do not matter."""
        return self._skipped

    def interrupt(self) -> None:
        """Packets are kept away on purpose from now on: what they break is no loss.

        What comes after is believed to begin a picture only where it proves so: what
        belongs before it may have been kept away.
        """
        self.reset()
        self._first = False
        self._excused = True

    def reset(self) -> None:
        """Forgets all packets: what comes next has no connection to them."""
        self._numbering = Numbering(self._limits.packets)
        self._next: int | None = None
        self._held: dict[int, Packet] = {}
        self._held_bytes = 0
        self._gap_since = 0.0
        self._first = True
        self._parts: list[bytes] = []
        self._size = 0
        self._picture = 0  # timestamp of the parts
        self._received_at = 0.0  # the earliest of them
        self._torn: int | None = None
        self._skipped: int | None = None
        self._deltas = True
        self._excused = False
        self._after_gap()

    def _after_gap(self) -> None:
        """What is known of the next packet's place in its picture: nothing."""
        self._broken = True
        self._previous: int | None = None
        self._ended = False

    def add(self, packet: Packet, *, deltas: bool = True) -> list[AccessUnit]:
        """Takes a packet in; what became whole by it, in decoding order.

        Args:
            packet: As it came.
            deltas: Whether more than keyframes is wanted; it may come all the same.
        """
        self._deltas = deltas
        index = self._numbering.index(packet.sequence)
        if index is None:
            return []
        if self._next is None or self._numbering.restarted:
            self._restart(index)
        if self._next is None or index < self._next or index in self._held:
            return []
        out: list[AccessUnit] = []
        if index == self._next:
            self._take(packet, packet.arrived_at, out)
            self._drain(packet.arrived_at, out)
        else:
            self._hold(index, packet)
        while self._held and self._overdue(packet.arrived_at):
            self._excused = False
            self._tear()
            self._next = min(self._held)
            self._drain(packet.arrived_at, out)
        return out

    def extend(self, run: Run, *, deltas: bool = True) -> list[AccessUnit]:
        """As `add` for each packet of `run`."""
        out: list[AccessUnit] = []
        if not self._goes_on(run):
            for packet in run.packets():
                out += self.add(packet, deltas=deltas)
            return out
        assert self._next is not None
        self._deltas = deltas
        self._next += len(run.payloads)
        self._ended = run.marker
        if run.timestamp != self._skipped:
            self._parts += run.payloads
            self._size += sum(map(len, run.payloads))
            if run.marker:
                self._finish(run.arrived_at, out)
        return out

    def _goes_on(self, run: Run) -> bool:
        """Whether nothing is to be done for `run` but to put it behind what is here."""
        if self._held or self._next is None or (self._next - run.sequence) % _CYCLE:
            return False
        if run.timestamp != self._skipped:
            parts = len(self._parts) + len(run.payloads)
            size = self._size + sum(map(len, run.payloads))
            if not (
                self._parts
                and self._picture == run.timestamp
                and all(run.payloads)
                and parts <= self._limits.packets
                and size <= self._limits.bytes
            ):
                return False
        return self._numbering.follow(run.sequence, len(run.payloads))

    def _restart(self, index: int) -> None:
        """Begins with `index`, whatever was before."""
        self._tear()
        self._held.clear()
        self._held_bytes = 0
        self._next = index

    def _hold(self, index: int, packet: Packet) -> None:
        """Keeps a packet that came before its turn."""
        if not self._held:
            self._gap_since = packet.arrived_at
        self._held[index] = packet
        self._held_bytes += len(packet.payload)

    def _overdue(self, now: float) -> bool:
        """Whether what is missing has been waited for long enough."""
        return (
            len(self._held) > self._limits.packets
            or self._held_bytes > self._limits.bytes
            or now - self._gap_since > self._limits.wait_s
        )

    def _drain(self, now: float, out: list[AccessUnit]) -> None:
        """Takes in what is held and has its turn now."""
        moved = False
        while self._next is not None and self._next in self._held:
            packet = self._held.pop(self._next)
            self._held_bytes -= len(packet.payload)
            self._take(packet, now, out)
            moved = True
        if moved and self._held:
            self._gap_since = self._held[min(self._held)].arrived_at

    def _take(self, packet: Packet, now: float, out: list[AccessUnit]) -> None:
        """The next packet in order: ends, begins or continues a picture."""
        self._next = (self._next or 0) + 1
        if packet.timestamp == self._skipped:
            self._ended = packet.marker
            return
        if not packet.payload:
            return  # padding says nothing of pictures
        if self._parts and packet.timestamp != self._picture:
            self._finish(now, out)
        if self._parts:
            self._append(packet)
        elif self._begins(packet):
            self._begin(packet)
        elif packet.timestamp != self._torn:
            self._torn = packet.timestamp
            self._give_up("torn")
        self._first = False
        self._previous = packet.timestamp
        self._ended = packet.marker
        if packet.marker and self._parts:
            self._finish(now, out)

    def _begins(self, packet: Packet) -> bool:
        """Whether `packet` is surely the first of its picture."""
        if self._previous is None:
            return self._depacketizer.starts(packet.payload, first=self._first)
        return self._ended or packet.timestamp != self._previous

    def _begin(self, packet: Packet) -> None:
        if self._deltas or not self._depacketizer.is_delta(packet.payload):
            self._append(packet)
        else:
            self._skipped = packet.timestamp

    def _append(self, packet: Packet) -> None:
        if not self._parts:
            self._picture, self._received_at = packet.timestamp, packet.arrived_at
        self._parts.append(packet.payload)
        self._size += len(packet.payload)
        self._received_at = min(self._received_at, packet.arrived_at)
        if len(self._parts) > self._limits.packets or self._size > self._limits.bytes:
            self._torn = packet.timestamp
            self._drop_parts()
            self._give_up("too_large")

    def _finish(self, now: float, out: list[AccessUnit]) -> None:
        """The picture has ended: hands it out if it can be decoded."""
        parts = self._drop_parts()
        try:
            joined = self._depacketizer.join(parts)
        except ValueError:
            self._give_up("malformed")
            return
        if joined is None:
            return
        data, keyframe = joined
        if self._broken and not keyframe:
            self._give_up("chain_broken")
            return
        self._broken = self._excused = False
        out.append(AccessUnit(self.codec, data, keyframe, self._received_at, now))

    def _tear(self) -> None:
        """Something before the next packet is lost for good."""
        if self._parts:
            self._torn = self._picture
            self._drop_parts()
            self._give_up("torn")
        self._after_gap()

    def _give_up(self, reason: str) -> None:
        self._broken = True
        if not (self._excused and reason in _EXCUSABLE):
            self._lost(reason)

    def _drop_parts(self) -> list[bytes]:
        parts, self._parts, self._size = self._parts, [], 0
        return parts
