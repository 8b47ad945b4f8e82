"""Who goes together into a batch, and when. Pure: time comes in as an argument.

Laws, each tested: taken + given way + withdrawn + waiting = offered; a stream's samples
keep their order; no batch is larger than `max_batch_size`; while the engine is free
nobody waits longer than `max_queue_delay_s`; nobody older than `max_age_s` is taken;
of the streams' first samples the nearest deadline goes first, and a stream's second
sample never goes before another stream's first.
"""

from collections import deque
from dataclasses import dataclass

from sidecar.errors import GivenWayReason


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """Bounds of the queue before the engine.

    Attributes:
        max_batch_size: Samples per batch.
        max_queue_delay_s: How long a batch may wait to fill while the engine is free.
        max_age_s: Staleness budget: a sample this old is worthless.
        per_stream: How many samples of one stream may wait; its oldest gives way.
        capacity: How many may wait in all; the oldest of the longest line gives way.
    """

    max_batch_size: int = 4
    max_queue_delay_s: float = 0.01
    max_age_s: float = 2.0
    per_stream: int = 2
    capacity: int = 256

    def __post_init__(self) -> None:
        """Refuses bounds under which nothing would ever be classified."""
        if min(self.max_batch_size, self.per_stream, self.capacity) < 1:
            raise ValueError("max_batch_size, per_stream and capacity are at least 1")
        if self.max_queue_delay_s < 0 or self.max_age_s <= 0:
            raise ValueError("max_queue_delay_s is at least 0, max_age_s above 0")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A sample's place in the queue; `id` is unique among those that wait."""

    id: int
    stream_id: str
    captured_at: float


@dataclass(frozen=True, slots=True)
class GivenWay:
    """A ticket that will not be taken, and why."""

    ticket: Ticket
    reason: GivenWayReason


@dataclass(frozen=True, slots=True)
class Plan:
    """What `take` decided: who goes now (may be nobody), and who is too old."""

    batch: tuple[Ticket, ...]
    given_way: tuple[GivenWay, ...]


class BatchPlanner:
    """The queue before the engine."""

    def __init__(self, settings: PlannerSettings) -> None:
        self._settings = settings
        self._offered_at: dict[int, float] = {}  # oldest offer first
        self._streams: dict[str, deque[Ticket]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._offered_at)

    def offer(self, ticket: Ticket, now: float) -> list[GivenWay]:
        """Queues `ticket`; those it displaces give way.

        Raises:
            ValueError: A ticket with this id is waiting already.
        """
        if ticket.id in self._offered_at:
            raise ValueError(f"ticket {ticket.id} is waiting already")
        self._offered_at[ticket.id] = now
        line = self._streams.setdefault(ticket.stream_id, deque())
        line.append(ticket)
        if len(line) > self._settings.per_stream:
            return [self._overloaded(line[0])]
        if len(self) > self._settings.capacity:
            return [self._overloaded(self._longest_line()[0])]
        return []

    def take(self, now: float, *, busy: bool = False) -> Plan:
        """The next batch if one is due; while the engine is busy only a full one.

        One that is not full goes on collecting until the engine has time for it.
        """
        stale = tuple(self._drop_stale(now))
        size = self._settings.max_batch_size
        if len(self) < size and (busy or not self._delay_is_over(now)):
            return Plan((), stale)
        offered_at = self._offered_at
        ranked = [
            (rank, ticket.captured_at, offered_at[ticket.id], ticket.id, ticket)
            for line in self._streams.values()
            for rank, ticket in enumerate(line)
        ]
        ranked.sort()
        batch = tuple([entry[-1] for entry in ranked[:size]])
        for ticket in batch:
            self._remove(ticket)
        return Plan(batch, stale)

    def next_wake(self, now: float, *, busy: bool = False) -> float | None:
        """When `take` will next have something to say; None while nobody waits."""
        if not self._offered_at:
            return None
        if len(self) >= self._settings.max_batch_size:
            return now
        oldest_capture = min(t.captured_at for q in self._streams.values() for t in q)
        stale_at = oldest_capture + self._settings.max_age_s
        if busy:
            return stale_at
        return min(self._first_offer() + self._settings.max_queue_delay_s, stale_at)

    def withdraw(self, ticket: Ticket) -> bool:
        """Removes `ticket` if it is waiting; whether it was."""
        if ticket.id not in self._offered_at:
            return False
        self._remove(ticket)
        return True

    def _drop_stale(self, now: float) -> list[GivenWay]:
        """Everybody whose age has reached the staleness budget."""
        max_age_s = self._settings.max_age_s
        stale = [
            ticket
            for line in self._streams.values()
            for ticket in line
            if now >= ticket.captured_at + max_age_s
        ]
        for ticket in stale:
            self._remove(ticket)
        return [GivenWay(ticket, GivenWayReason.STALE) for ticket in stale]

    def _delay_is_over(self, now: float) -> bool:
        """Whether somebody has waited long enough for company."""
        if not self._offered_at:
            return False
        return now >= self._first_offer() + self._settings.max_queue_delay_s

    def _first_offer(self) -> float:
        """When the one that waits longest was offered."""
        return next(iter(self._offered_at.values()))

    def _longest_line(self) -> deque[Ticket]:
        """The stream with most tickets; of equals the one whose first waits longest."""
        return max(
            self._streams.values(),
            key=lambda line: (len(line), -self._offered_at[line[0].id]),
        )

    def _overloaded(self, ticket: Ticket) -> GivenWay:
        """Removes `ticket` for want of room."""
        self._remove(ticket)
        return GivenWay(ticket, GivenWayReason.OVERLOADED)

    def _remove(self, ticket: Ticket) -> None:
        """Forgets a waiting ticket."""
        del self._offered_at[ticket.id]
        line = self._streams[ticket.stream_id]
        if len(line) == 1:  # as nearly always
            del self._streams[ticket.stream_id]
        else:
            line.remove(ticket)
