"""What RTP asks of a receiver, as plain numbers (RFC 3550, RFC 4585, RFC 4588)."""

from collections.abc import Iterator
from dataclasses import dataclass

_CYCLE = 1 << 16
_HALF = 1 << 15
_ORIGINAL = 2  # bytes of the original sequence number
_FAR = 3000  # RFC 3550 A.1, MAX_DROPOUT: a larger jump is another numbering


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet, decrypted, without header extensions and padding.

    Attributes:
        sequence: 0…65535.
        timestamp: 0…2³²-1, ticks of 90 kHz.
        marker: Last packet of its access unit.
        payload: Empty for a packet of padding only.
        arrived_at: Monotonic seconds.
    """

    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    arrived_at: float


@dataclass(frozen=True, slots=True)
class Run:
    """Packets of one picture that came together, each one's number after the other's.

    Attributes:
        sequence: Of the first.
        timestamp: Of all.
        marker: Of the last; the others have none.
        payloads: As in `Packet`.
        arrived_at: Of all.
    """

    sequence: int
    timestamp: int
    marker: bool
    payloads: list[bytes]
    arrived_at: float

    def packets(self) -> Iterator[Packet]:
        """One by one."""
        last = len(self.payloads) - 1
        for place, payload in enumerate(self.payloads):
            sequence = (self.sequence + place) % _CYCLE
            marker = self.marker and place == last
            yield Packet(sequence, self.timestamp, marker, payload, self.arrived_at)


def unwrap_rtx(payload: bytes) -> tuple[int, bytes] | None:
    """Original sequence number and payload of a retransmission (RFC 4588 section 4).

    None for a padding probe.
    """
    if len(payload) < _ORIGINAL:
        return None
    return int.from_bytes(payload[:_ORIGINAL], "big"), payload[_ORIGINAL:]


class Numbering:
    """Sequence numbers made endless.

    A jump of more than `far` packets either way is a stray packet, until the next
    packet continues it: then the sender has started another numbering.
    """

    def __init__(self, far: int = _FAR) -> None:
        self._far = far
        self._highest: int | None = None
        self._expected_stray: int | None = None
        self._gap_ahead = False
        self.restarted = False

    def expect_gap(self) -> None:
        """The next number may be up to half a cycle further on, and is no stray one."""
        self._gap_ahead = True

    def index(self, sequence: int) -> int | None:
        """The endless number of `sequence`; None for a stray packet.

        Sets `restarted` when the numbers begin anew, at `sequence` itself.
        """
        self.restarted = False
        if self._highest is None:
            self._highest = sequence
            return sequence
        delta = (sequence - self._highest + _HALF) % _CYCLE - _HALF
        if abs(delta) <= self._far or (self._gap_ahead and delta > 0):
            self._expected_stray = None
            self._gap_ahead = self._gap_ahead and delta <= 0
            index = self._highest + delta
            self._highest = max(self._highest, index)
            return index
        if sequence != self._expected_stray:
            self._expected_stray = (sequence + 1) % _CYCLE
            return None
        self._highest, self._expected_stray = sequence, None
        self.restarted = True
        return sequence

    def follow(self, sequence: int, count: int) -> bool:
        """Takes `count` numbers from `sequence` on if they continue the highest."""
        if self._highest is None or (sequence - self._highest) % _CYCLE != 1:
            return False
        self._highest += count
        self._expected_stray = None
        self._gap_ahead = self.restarted = False
        return True


@dataclass(slots=True)
class _Wanted:
    """When to ask for one lost packet again, and how often that was done."""

    again_at: float
    asked: int = 0


class Missing:
    """Which packets to ask for again (NACK, RFC 4585 section 6.2.1), bounded.

    Args:
        limit: As many at most; beyond, a keyframe is the better way out.
        tries: Requests for one packet at most.
        interval_s: Between two requests for one packet.
    """

    def __init__(
        self, limit: int = 128, tries: int = 5, interval_s: float = 0.1
    ) -> None:
        self._limit = limit
        self._tries = tries
        self._interval_s = interval_s
        self._numbering = Numbering()
        self._newest: int | None = None
        self._wanted: dict[int, _Wanted] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def add(self, sequence: int, now: float) -> None:
        """Takes note of a packet that came, and of those that should have."""
        index = self._numbering.index(sequence)
        if index is None:
            return
        if self._newest is None or self._numbering.restarted:
            self._newest = index
            self._wanted.clear()
            return
        if index <= self._newest:
            self._wanted.pop(index, None)
            return
        gap = range(self._newest + 1, index)
        self._newest = index
        if len(self._wanted) + len(gap) > self._limit:
            self._wanted.clear()
            return
        self._wanted.update((lost, _Wanted(now)) for lost in gap)

    def extend(self, run: Run) -> None:
        """As `add` for each packet of `run`."""
        count = len(run.payloads)
        if self._newest is not None and self._numbering.follow(run.sequence, count):
            self._newest += count
            return
        for packet in run.packets():
            self.add(packet.sequence, packet.arrived_at)

    def due(self, now: float) -> list[int]:
        """The sequence numbers to ask for now, oldest first."""
        ask = []
        for index, wanted in list(self._wanted.items()):
            if wanted.again_at > now:
                continue
            if wanted.asked == self._tries:
                del self._wanted[index]
                continue
            wanted.asked += 1
            wanted.again_at = now + self._interval_s
            ask.append(index % _CYCLE)
        return ask

    def clear(self) -> None:
        """Forgets all: nothing of it is wanted any more."""
        self._wanted.clear()
        self._newest = None
        self._numbering = Numbering()


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """The numbers of one RTCP report block (RFC 3550 section 6.4.1)."""

    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int


class Reception:
    """Loss and jitter of one media source (RFC 3550 appendices A.3 and A.8).

    What was kept away on purpose is presumed to have come as what was let in did: a
    browser takes the packets lost for a share of all that it sent, and would not notice
    a congested way if only those of a few moments counted (docs/measurements.md).

    Args:
        clock_rate: Ticks a second of the RTP timestamps.
    """

    def __init__(self, clock_rate: int = 90_000) -> None:
        self._clock_rate = clock_rate
        self._numbering = Numbering()
        self._jitter = 0.0
        self._last: tuple[float, int] | None = None
        self._restart(0)
        self._base: int | None = None

    def _restart(self, base: int) -> None:
        self._interrupted = False
        self._base = base
        self._resumed_at = base - _CYCLE
        self._kept_away = 0  # since the last report
        self._presumed = 0.0  # lost among those kept away
        self._highest = base
        self._received = 0
        self._expected_before = 0
        self._received_before = 0

    def add(self, packet: Packet) -> None:
        """Counts a packet that came as media, retransmissions by RTX excluded."""
        index = self._numbering.index(packet.sequence)
        if index is None:
            return
        if self._base is None or self._numbering.restarted:
            self._restart(index)
        elif self._interrupted and index > self._highest:
            gap = index - self._highest - 1
            self._base += gap
            self._kept_away += gap
            self._resumed_at, self._interrupted = index, False
        if index < self._resumed_at:
            return
        self._received += 1
        if index >= self._highest:
            self._highest = index
            self._hear(packet)

    def extend(self, run: Run) -> None:
        """As `add` for each packet of `run`."""
        count = len(run.payloads)
        last = self._last
        goes_on = last is not None and last[1] == run.timestamp
        if goes_on and self._numbering.follow(run.sequence, count):
            self._received += count
            self._highest += count
            self._last = (run.arrived_at, run.timestamp)
            return
        for packet in run.packets():
            self.add(packet)

    def interrupt(self) -> None:
        """What is missing before the next packet was kept away on purpose."""
        self._interrupted = True
        self._last = None
        self._numbering.expect_gap()

    def _hear(self, packet: Packet) -> None:
        """Moves the jitter towards this packet's deviation."""
        if self._last is not None and packet.timestamp != self._last[1]:
            arrival_s, timestamp = self._last
            passed = (packet.arrived_at - arrival_s) * self._clock_rate
            ticks = (packet.timestamp - timestamp + (1 << 31)) % (1 << 32) - (1 << 31)
            self._jitter += (abs(passed - ticks) - self._jitter) / 16
        self._last = (packet.arrived_at, packet.timestamp)

    def report(self) -> ReceptionReport | None:
        """The report of the time since the last one; None before any packet."""
        if self._base is None:
            return None
        expected = self._highest - self._base + 1
        new_expected = expected - self._expected_before
        new_lost = new_expected - (self._received - self._received_before)
        self._expected_before, self._received_before = expected, self._received
        fraction = (new_lost << 8) // new_expected if new_lost > 0 else 0
        if new_lost > 0:
            self._presumed += self._kept_away * new_lost / new_expected
        self._kept_away = 0
        lost = expected - self._received + int(self._presumed)
        return ReceptionReport(
            fraction_lost=min(fraction, 255),
            packets_lost=max(-(1 << 23), min(lost, (1 << 23) - 1)),
            highest_sequence=self._highest % (1 << 32),
            jitter=min(int(self._jitter), (1 << 32) - 1),
        )
