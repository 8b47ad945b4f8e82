"""How much a stream deserves to be looked at."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.sample.risk import Risk


def at_rest(seconds: float = 0.0, trigger: float = 0.5) -> Risk:
    """Begun at 0 and clean for so long."""
    risk = Risk(trigger)
    risk.begin(0.0)
    risk.observe(0.0, seconds)
    return risk


def test_what_was_never_seen_is_most_urgent() -> None:
    """Before its first connection nothing is known."""
    assert Risk(0.5).level(5.0, bursting=False) == 1.0


def test_a_burst_is_most_urgent() -> None:
    """A report, or a score at the trigger."""
    assert at_rest(9e9).level(9e9, bursting=True) == 1.0


def test_a_new_stream_comes_before_a_calm_one() -> None:
    """It fades within a minute, then further the longer it is clean."""
    levels = [at_rest(t).level(t, bursting=False) for t in (0, 30, 61, 600, 6000)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == pytest.approx(0.6)
    assert levels[2] < 0.2
    assert levels[-1] < 0.01


def test_reconnecting_makes_nobody_new() -> None:
    """Nor does it make anybody clean."""
    risk = at_rest(300)
    before = risk.level(300.0, bursting=False)
    risk.begin(300.0)
    assert risk.level(300.0, bursting=False) == before


def test_scores_near_the_trigger_come_first() -> None:
    """And are remembered for a while, then the stream counts as clean anew."""
    risk = at_rest(6000)
    risk.observe(0.4, 6000)
    assert risk.level(6000, bursting=False) > 0.7
    risk.observe(0.0, 6001)
    assert risk.level(6001, bursting=False) > 0.7
    assert 0.1 < risk.level(6200, bursting=False) <= 0.2


def test_a_rising_score_counts_more_than_a_steady_one() -> None:
    """What the stream always looks like is no news."""
    steady, rising = at_rest(6000), at_rest(6000)
    for second in range(200):
        steady.observe(0.2, 6000 + second)
        rising.observe(0.02, 6000 + second)
    steady.observe(0.2, 6200)
    rising.observe(0.2, 6200)
    assert rising.level(6200, bursting=False) > steady.level(6200, bursting=False)


def test_a_trigger_of_nothing_divides_by_nothing() -> None:
    """A policy that bursts always."""
    assert at_rest(0.0, 0.0).level(0.0, bursting=False) == pytest.approx(0.6)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=30),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_higher_score_is_no_lower_risk(
    past: list[tuple[float, float]], one: float, other: float
) -> None:
    """After any past; and the level stays within 0 and 1."""
    low, high = at_rest(), at_rest()
    now = 0.0
    for gap, score in past:
        now += gap
        low.observe(score, now)
        high.observe(score, now)
    low.observe(min(one, other), now)
    high.observe(max(one, other), now)
    levels = [r.level(now, bursting=False) for r in (low, high)]
    assert 0 <= levels[0] <= levels[1] <= 1


def test_what_is_no_score_is_suspect() -> None:
    """NaN is not clean."""
    risk = at_rest(6000)
    risk.observe(math.nan, 6000)
    assert risk.level(6000, bursting=False) == pytest.approx(0.9)
