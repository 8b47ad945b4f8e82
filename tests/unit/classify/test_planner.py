"""The batch planner: examples, and its laws under any sequence of events."""

from collections.abc import Iterable

import pytest

from sidecar.classify.planner import (
    BatchPlanner,
    GivenWay,
    Plan,
    PlannerSettings,
    Ticket,
)
from sidecar.errors import GivenWayReason

OVERLOADED, STALE = GivenWayReason.OVERLOADED, GivenWayReason.STALE


def planner(**bounds: float) -> BatchPlanner:
    """A planner with roomy bounds but for those given."""
    roomy = {
        "max_batch_size": 2,
        "max_queue_delay_s": 1.0,
        "max_age_s": 10.0,
        "per_stream": 8,
        "capacity": 8,
    }
    return BatchPlanner(PlannerSettings(**{**roomy, **bounds}))  # type: ignore[arg-type]


def offer_all(queue: BatchPlanner, *streams: str) -> list[GivenWay]:
    """Offers tickets 0, 1 … of these streams, each captured and offered at its id."""
    given_way = []
    for number, stream in enumerate(streams):
        given_way += queue.offer(Ticket(number, stream, float(number)), float(number))
    return given_way


def ids(tickets: Iterable[Ticket]) -> list[int]:
    """Their ids in order."""
    return [ticket.id for ticket in tickets]


@pytest.mark.parametrize(
    "bounds",
    [
        {"max_batch_size": 0},
        {"per_stream": 0},
        {"capacity": 0},
        {"max_queue_delay_s": -1.0},
        {"max_age_s": 0.0},
    ],
)
def test_hopeless_bounds_are_refused(bounds: dict[str, float]) -> None:
    """Bounds under which nothing could run are a ValueError."""
    with pytest.raises(ValueError, match="at least"):
        planner(**bounds)


def test_an_empty_queue_wants_nothing() -> None:
    """Nobody waits: no batch, no wake-up."""
    queue = planner()
    assert queue.take(5.0) == Plan((), ())
    assert queue.next_wake(5.0) is None


def test_a_full_batch_goes_at_once() -> None:
    """As soon as `max_batch_size` wait, they are due; what is left waits on."""
    queue = planner()
    offer_all(queue, "a", "b", "c")
    assert queue.next_wake(2.0) == 2.0
    assert ids(queue.take(2.0).batch) == [0, 1]
    assert len(queue) == 1
    assert queue.take(2.5) == Plan((), ())


def test_a_lonely_sample_goes_after_the_delay() -> None:
    """A batch that does not fill goes `max_queue_delay_s` after its first offer."""
    queue = planner()
    offer_all(queue, "a")
    assert queue.next_wake(0.2) == 1.0
    assert not queue.take(0.99).batch
    assert ids(queue.take(1.0).batch) == [0]
    assert queue.next_wake(1.0) is None


def test_a_stale_sample_gives_way() -> None:
    """Who has reached `max_age_s` is never taken, and the queue wakes up for it."""
    queue = planner(max_queue_delay_s=100.0)
    offer_all(queue, "a")
    assert queue.next_wake(0.0) == 10.0
    plan = queue.take(10.0)
    assert plan == Plan((), (GivenWay(Ticket(0, "a", 0.0), STALE),))
    assert len(queue) == 0


def test_a_streams_oldest_gives_way_to_its_newest() -> None:
    """`per_stream` bounds a stream's line."""
    queue = planner(per_stream=1)
    assert offer_all(queue, "a", "a") == [GivenWay(Ticket(0, "a", 0.0), OVERLOADED)]
    assert len(queue) == 1


def test_the_longest_line_pays_for_want_of_room() -> None:
    """At `capacity` the oldest of the longest line gives way, not a quiet stream."""
    queue = planner(capacity=3)
    given_way = offer_all(queue, "quiet", "loud", "loud", "new")
    assert given_way == [GivenWay(Ticket(1, "loud", 1.0), OVERLOADED)]


def test_of_equal_lines_the_oldest_gives_way() -> None:
    """With one sample a stream, capacity costs the one that waits longest."""
    queue = planner(capacity=2)
    assert offer_all(queue, "a", "b", "c") == [
        GivenWay(Ticket(0, "a", 0.0), OVERLOADED)
    ]


def test_the_nearest_deadline_goes_first() -> None:
    """Age since capture decides, not the order of arrival."""
    queue = planner()
    for number, captured_at in enumerate((3.0, 1.0, 2.0)):
        queue.offer(Ticket(number, f"s{number}", captured_at), 4.0)
    assert ids(queue.take(4.0).batch) == [1, 2]


def test_a_second_sample_goes_after_everybodys_first() -> None:
    """A busy stream does not fill the batch while another one waits."""
    queue = planner()
    offer_all(queue, "loud", "loud", "quiet")
    assert ids(queue.take(3.0).batch) == [0, 2]
    assert ids(queue.take(3.0).batch) == [1]


def test_a_ticket_can_be_withdrawn_once() -> None:
    """A caller that has gone takes no place in a batch."""
    queue = planner()
    offer_all(queue, "a")
    assert queue.withdraw(Ticket(0, "a", 0.0))
    assert not queue.withdraw(Ticket(0, "a", 0.0))
    assert len(queue) == 0


def test_an_id_waits_once() -> None:
    """Two waiting tickets of one id would answer the wrong caller."""
    queue = planner()
    offer_all(queue, "a")
    with pytest.raises(ValueError, match="waiting already"):
        queue.offer(Ticket(0, "b", 0.0), 0.0)
