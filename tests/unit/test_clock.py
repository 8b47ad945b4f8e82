"""What must hold of time."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.clock import ManualClock, SystemClock, wall_at


def test_the_system_clock_goes_forward_in_utc() -> None:
    """Monotonic seconds never go back; wall time knows its zone."""
    clock = SystemClock()
    first = clock.monotonic()
    assert clock.monotonic() >= first
    assert clock.wall().tzinfo is dt.UTC


@given(st.lists(st.floats(0, 1e6), max_size=20))
def test_a_manual_clock_moves_only_when_told(steps: list[float]) -> None:
    """Both clocks move by the same amount, and not otherwise."""
    clock = ManualClock(5.0)
    begin = clock.wall()
    for step in steps:
        clock.advance(step)
    assert clock.monotonic() == pytest.approx(5.0 + sum(steps))
    assert (clock.wall() - begin).total_seconds() == pytest.approx(sum(steps), abs=1e-3)


def test_time_does_not_go_back() -> None:
    """A test that tries to is wrong."""
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-0.001)


def test_wall_at_follows_the_present_offset() -> None:
    """An instant 3 s ago was 3 s before the wall time of now."""
    now = dt.datetime(2026, 11, 23, 22, 14, 3, tzinfo=dt.UTC)
    clock = ManualClock(100.0, now)
    assert wall_at(clock, 97.0) == now - dt.timedelta(seconds=3)
    assert wall_at(clock, 101.5) == now + dt.timedelta(seconds=1.5)
