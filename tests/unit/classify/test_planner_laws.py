"""The planner's laws, under any sequence of events."""

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.classify.planner import (
    BatchPlanner,
    GivenWay,
    PlannerSettings,
    Ticket,
)
from sidecar.errors import GivenWayReason

OVERLOADED, STALE = GivenWayReason.OVERLOADED, GivenWayReason.STALE

BOUNDS = st.builds(
    PlannerSettings,
    max_batch_size=st.integers(1, 5),
    max_queue_delay_s=st.floats(0, 2),
    max_age_s=st.floats(0.5, 5),
    per_stream=st.integers(1, 4),
    capacity=st.integers(1, 12),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["offer", "offer", "offer", "take", "take busy", "withdraw"]),
        st.sampled_from("abcd"),
        st.floats(0, 1),  # how much later than the step before
        st.floats(0, 1),  # how much earlier it was captured
    ),
    max_size=60,
)


class Ledger:
    """Drives a planner and holds every plan against the laws."""

    def __init__(self, bounds: PlannerSettings) -> None:
        self.bounds = bounds
        self.queue = BatchPlanner(bounds)
        self.now = 0.0
        self.waiting: dict[int, tuple[Ticket, float]] = {}
        self.offered = self.taken = self.given_way = self.withdrawn = 0
        self.last_taken: dict[str, int] = defaultdict(lambda: -1)

    def offer(self, stream: str, age: float) -> None:
        """One more ticket; what it displaces was waiting."""
        ticket = Ticket(self.offered, stream, self.now - age)
        self.offered += 1
        self.waiting[ticket.id] = (ticket, self.now)
        for loss in self.queue.offer(ticket, self.now):
            assert loss.reason is OVERLOADED
            self._gone(loss)

    def take(self, *, busy: bool = False) -> None:
        """One plan, checked."""
        plan = self.queue.take(self.now, busy=busy)
        for loss in plan.given_way:
            assert loss.reason is STALE
            assert self.now >= loss.ticket.captured_at + self.bounds.max_age_s
            self._gone(loss)
        assert len(plan.batch) <= self.bounds.max_batch_size
        self._firsts_first(plan.batch)
        for ticket in plan.batch:
            assert self.now < ticket.captured_at + self.bounds.max_age_s
            assert ticket.id > self.last_taken[ticket.stream_id], "order in a stream"
            self.last_taken[ticket.stream_id] = ticket.id
            del self.waiting[ticket.id]
            self.taken += 1
        if busy:  # the next batch is made ready only once it is full
            assert len(plan.batch) in {0, self.bounds.max_batch_size}
        if len(plan.batch) < self.bounds.max_batch_size:
            assert len(self.waiting) < self.bounds.max_batch_size
            if not busy:
                self._nobody_is_due()

    def withdraw(self) -> None:
        """The newest caller leaves."""
        if self.waiting:
            ticket, _ = self.waiting.popitem()[1]
            assert self.queue.withdraw(ticket)
            self.withdrawn += 1

    def balance(self) -> None:
        """Nobody is lost, nobody is counted twice."""
        assert len(self.queue) == len(self.waiting) <= self.bounds.capacity
        gone = self.taken + self.given_way + self.withdrawn
        assert gone + len(self.queue) == self.offered
        for busy in (False, True):
            wake = self.queue.next_wake(self.now, busy=busy)
            assert (wake is None) == (not self.waiting)

    def _gone(self, loss: GivenWay) -> None:
        """Somebody who was waiting gave way."""
        del self.waiting[loss.ticket.id]
        self.given_way += 1

    def _firsts(self) -> dict[str, Ticket]:
        """Each stream's first in line."""
        firsts: dict[str, Ticket] = {}
        for ticket, _ in self.waiting.values():
            firsts.setdefault(ticket.stream_id, ticket)
        return firsts

    def _firsts_first(self, batch: tuple[Ticket, ...]) -> None:
        """Of the first in line none is passed over for a later deadline or a second."""
        firsts = set(self._firsts().values())
        left_out = firsts - set(batch)
        if batch and left_out:
            assert set(batch) <= firsts
            nearest = min(ticket.captured_at for ticket in left_out)
            assert max(ticket.captured_at for ticket in batch) <= nearest

    def _nobody_is_due(self) -> None:
        """With the engine free, who is left has not waited `max_queue_delay_s` yet."""
        for _, offered_at in self.waiting.values():
            assert self.now < offered_at + self.bounds.max_queue_delay_s


@settings(deadline=None)
@given(bounds=BOUNDS, steps=STEPS)
def test_the_laws_hold(
    bounds: PlannerSettings, steps: list[tuple[str, str, float, float]]
) -> None:
    """Balance, order, size, staleness, delay and fairness, whatever happens."""
    ledger = Ledger(bounds)
    for what, stream, later, age in steps:
        ledger.now += later
        if what == "offer":
            ledger.offer(stream, age)
        elif what.startswith("take"):
            ledger.take(busy=what == "take busy")
        else:
            ledger.withdraw()
        ledger.balance()


@given(
    noise=st.lists(st.integers(0, 6), min_size=5, max_size=5),
    backlog=st.integers(0, 9),
    size=st.integers(1, 3),
)
def test_no_stream_starves(noise: list[int], backlog: int, size: int) -> None:
    """However loud another stream is, a quiet one waits for its backlog at most."""
    queue = BatchPlanner(PlannerSettings(size, 0.0, max_age_s=10.0, per_stream=4))
    numbers = iter(range(100))
    for _ in range(backlog):
        queue.offer(Ticket(next(numbers), "loud", 0.0), 0.0)
    quiet = Ticket(next(numbers), "quiet", 1.0)
    queue.offer(quiet, 1.0)
    taken: list[Ticket] = []
    for tick, count in enumerate(noise):
        now = 1.1 + tick / 10
        for _ in range(count):
            queue.offer(Ticket(next(numbers), "loud", now), now)
        taken += queue.take(now).batch
    assert quiet in taken
    ahead = taken[: taken.index(quiet)]
    assert all(ticket.captured_at < quiet.captured_at for ticket in ahead)


@given(
    loud=st.integers(1, 6),
    size=st.integers(1, 4),
    busy=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_no_stream_starves_while_batches_are_made_ready(
    loud: int, size: int, busy: list[bool]
) -> None:
    """Streams that always have two waiting never pass one that has waited longer.

    However often a full batch is taken ahead: the quiet stream's first sample goes as
    soon as all that were captured before it have gone.
    """
    queue = BatchPlanner(PlannerSettings(size, 0.0, max_age_s=100.0, per_stream=2))
    numbers = iter(range(10_000))
    for stream in range(loud):
        queue.offer(Ticket(next(numbers), f"loud-{stream}", 0.0), 0.0)
    quiet = Ticket(next(numbers), "quiet", 0.5)
    queue.offer(quiet, 0.5)
    taken: list[Ticket] = []
    for tick, is_busy in enumerate([*busy, False, False, False, False, False, False]):
        now = 1.0 + tick
        for stream in range(loud):
            queue.offer(Ticket(next(numbers), f"loud-{stream}", now), now)
        taken += queue.take(now, busy=is_busy).batch
    assert quiet in taken
    ahead = taken[: taken.index(quiet)]
    assert len(ahead) < loud + size
