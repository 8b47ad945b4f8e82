"""Streams are spread evenly, also over workers that are still starting."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.workers.placement import choose


def test_nobody_runs() -> None:
    """There is nothing to choose."""
    assert choose([], 2, 1) is None


def test_the_emptiest_is_chosen() -> None:
    """The first of equals."""
    assert choose([3, 1, 1], 0, 5) == 1


def test_a_worker_that_starts_gets_its_part() -> None:
    """Two of four streams lost their worker: both wait for the new one."""
    assert choose([2], 1, 2) is None
    assert choose([2, 0], 0, 2) == 1
    assert choose([1], 1, 2) == 0


@given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 40))
def test_all_are_placed_evenly(running: int, starting: int, streams: int) -> None:
    """First as many as are due to those that run, the rest once the others run."""
    loads = [0] * running
    waiting = streams
    while waiting and (found := choose(loads, starting, waiting)) is not None:
        loads[found] += 1
        waiting -= 1
    loads += [0] * starting
    while waiting:
        found = choose(loads, 0, waiting)
        assert found is not None
        loads[found] += 1
        waiting -= 1
    assert max(loads) - min(loads) <= 1
    assert sum(loads) == streams
