"""When the gate opens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.sample.opening import Openings
from sidecar.sample.rhythm import Rhythm


def grid(period_s: float = 2.0) -> Rhythm:
    """Keyframes at 0, 1, 2 periods."""
    rhythm = Rhythm()
    for number in range(3):
        rhythm.observe(number * period_s, whole=True)
    return rhythm


def test_it_opens_just_before_the_keyframe() -> None:
    """The first at or after the sample's instant, less a small margin."""
    opening = Openings().plan(9.5, grid())
    assert opening.beat_at == pytest.approx(10.0)
    assert opening.until == pytest.approx(9.96)


def test_without_a_grid_it_opens_when_the_sample_is_due() -> None:
    """And stays open until a keyframe comes, which is neither met nor missed."""
    openings = Openings()
    opening = openings.plan(9.5, Rhythm())
    assert opening.until == 9.5
    assert opening.beat_at is None
    assert openings.came(12.0, Rhythm()) is None


def test_a_miss_widens_and_hits_narrow() -> None:
    """Never below the least margin, never beyond a quarter of the period."""
    openings, rhythm = Openings(), grid()

    def margin_s() -> float:
        opening = openings.plan(9.5, rhythm)
        assert opening.beat_at is not None
        return opening.beat_at - opening.until

    assert margin_s() == pytest.approx(0.04)
    assert openings.came(12.0, rhythm) is False
    assert margin_s() == pytest.approx(0.08)
    assert openings.came(10.01, rhythm) is True
    assert margin_s() == pytest.approx(0.072)
    for _ in range(20):
        openings.came(10.0, rhythm)
        assert margin_s() <= 0.072
    assert margin_s() == pytest.approx(0.04)
    for _ in range(9):
        openings.came(12.0, rhythm)
        assert margin_s() <= 0.5
    assert margin_s() == pytest.approx(0.5)


def test_a_keyframe_counts_once() -> None:
    """What comes after it was not planned for; nor what was called off."""
    openings, rhythm = Openings(), grid()
    openings.plan(9.5, rhythm)
    assert openings.came(10.0, rhythm) is True
    assert openings.came(12.0, rhythm) is None
    openings.plan(13.5, rhythm)
    openings.drop()
    assert openings.came(14.0, rhythm) is None
    assert openings.came(14.0, Rhythm()) is None


@given(st.floats(0.1, 20.0), st.lists(st.floats(0.1, 30.0), max_size=40))
def test_it_never_opens_too_late_for_a_true_grid(
    period_s: float, waits: list[float]
) -> None:
    """Each keyframe is met, and less than a quarter period is spent on waiting."""
    rhythm, openings, now = grid(period_s), Openings(), 2 * period_s
    for wait_s in waits:
        opening = openings.plan(now + wait_s, rhythm)
        number = -(-(now + wait_s - 1e-9 * period_s) // period_s)
        real = number * period_s
        assert opening.beat_at is not None
        assert opening.beat_at - opening.until <= period_s / 4 + 1e-9
        if abs(opening.beat_at - real) > period_s / 2:
            real = opening.beat_at  # the instant was on the grid itself
        assert opening.until <= real
        assert openings.came(real, rhythm) is True
        rhythm.observe(real, whole=False)
        now = real


def test_a_late_keyframe_is_expected_for_a_while() -> None:
    """A quarter of the period, 0.4 s at least; then it was missed, once."""
    openings = Openings()
    assert not openings.expects(0.0, grid())
    assert not openings.miss()
    for period_s, late_s in ((2.0, 0.5), (1.0, 0.4)):
        opening = openings.plan(9.5, grid(period_s))
        assert opening.beat_at is not None
        assert openings.expects(opening.until, grid(period_s))
        assert openings.expects(opening.beat_at + late_s - 0.01, grid(period_s))
        assert not openings.expects(opening.beat_at + late_s + 0.01, grid(period_s))
        assert openings.miss()
        assert not openings.expects(opening.beat_at, grid(period_s))
        assert not openings.miss()


def test_a_missed_keyframe_widens_the_next_margin() -> None:
    """As one that came too late does."""
    openings = Openings()
    openings.plan(9.5, grid())
    openings.miss()
    assert openings.plan(11.5, grid()).until == pytest.approx(11.92)
