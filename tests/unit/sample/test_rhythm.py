"""When natural keyframes are expected."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.sample.rhythm import Rhythm


def learned(*instants: float) -> Rhythm:
    """After keyframes seen one after the other."""
    rhythm = Rhythm()
    for at in instants:
        rhythm.observe(at, whole=True)
    return rhythm


def test_three_in_a_row_make_a_grid() -> None:
    """Two do not; then the next one is foretold, exactly."""
    assert not learned(10.0, 12.0).ready
    assert learned(10.0, 12.0).next_beat(20.0) is None
    rhythm = learned(10.0, 12.0, 14.0)
    assert rhythm.period_s == pytest.approx(2.0)
    beat = rhythm.next_beat(19.5)
    assert beat is not None
    assert beat.at == pytest.approx(20.0)
    assert beat.spread_s == pytest.approx(0.0)


def test_a_lost_keyframe_makes_no_longer_period() -> None:
    """A double gap folds to two."""
    assert learned(0.0, 4.0, 6.0).period_s is None
    assert learned(0.0, 4.0, 6.0, 8.0).period_s == pytest.approx(2.0)
    assert learned(0.0, 2.0, 6.0, 8.0, 12.0).period_s == pytest.approx(2.0)


def test_what_came_before_two_gaps_alike_does_not_count() -> None:
    """A start off the grid does not make the stream irregular."""
    rhythm = learned(0.0, 1.3, 3.3, 5.3)
    assert rhythm.regular
    beat = rhythm.next_beat(6.0)
    assert beat is not None
    assert beat.at == pytest.approx(7.3)


def test_what_is_asked_for_is_no_part_of_what_is_learned() -> None:
    """The first natural keyframe after it is."""
    rhythm = learned(0.0)
    rhythm.shift(0.7)
    for at in (2.0, 4.0):
        rhythm.observe(at, whole=True)
    assert not rhythm.ready
    rhythm.observe(6.0, whole=True)
    assert rhythm.period_s == pytest.approx(2.0)


def test_what_was_missed_teaches_nothing_while_learning() -> None:
    """Only gaps without a rest between count at first."""
    rhythm = learned(0.0, 2.0)
    rhythm.observe(8.0, whole=False)
    rhythm.observe(10.0, whole=True)
    assert not rhythm.ready
    rhythm.observe(12.0, whole=True)
    assert rhythm.period_s == pytest.approx(2.0)


def test_long_gaps_make_the_period_more_exact() -> None:
    """With any number of keyframes unseen between."""
    rhythm = learned(0.0, 2.03, 3.98)
    for number in (10, 20, 40, 80, 160, 240, 320, 400):
        rhythm.observe(number * 2.0, whole=False)
    assert rhythm.period_s == pytest.approx(2.0, abs=1e-6)
    beat = rhythm.next_beat(899.9)
    assert beat is not None
    assert beat.at == pytest.approx(900.0, abs=0.001)


def test_keyframes_at_any_time_are_not_foretold() -> None:
    """A scene-cut encoder: known to be irregular, and studied anew now and then."""
    rhythm = learned(0.0, 2.0, 2.7, 4.0, 5.9)
    assert (rhythm.ready, rhythm.regular) == (True, False)
    assert rhythm.next_beat(9.0) is None
    for number in range(27):
        rhythm.observe(10.0 + 2 * number, whole=True)
    assert (rhythm.ready, rhythm.regular) == (False, False)
    rhythm.observe(64.0, whole=True)
    rhythm.observe(66.0, whole=True)
    assert (rhythm.ready, rhythm.regular) == (True, True)


def test_one_keyframe_off_the_grid_shifts_it() -> None:
    """Somebody asked for it; the encoder counts anew, with the same period."""
    rhythm = learned(0.0, 2.0, 4.0)
    rhythm.observe(9.0, whole=False)
    beat = rhythm.next_beat(9.1)
    assert beat is not None
    assert beat.at == pytest.approx(11.0)
    rhythm.observe(11.0, whole=False)
    rhythm.observe(16.0, whole=False)
    assert rhythm.ready


def test_two_in_a_row_off_the_grid_end_it() -> None:
    """The period has changed."""
    rhythm = learned(0.0, 2.0, 4.0)
    rhythm.observe(7.0, whole=False)
    rhythm.observe(10.1, whole=False)
    assert not rhythm.ready
    assert rhythm.period_s is None


def test_a_keyframe_that_was_asked_for_shifts_the_grid() -> None:
    """Natural ones count from it."""
    rhythm = learned(0.0, 2.0, 4.0)
    rhythm.shift(5.3)
    beat = rhythm.next_beat(6.0)
    assert beat is not None
    assert beat.at == pytest.approx(7.3)


def test_two_at_once_are_one() -> None:
    """Out of a buffer they may come together."""
    rhythm = learned(0.0, 0.0, 0.0, 0.0)
    assert not rhythm.ready


@given(
    period_s=st.floats(0.2, 20.0),
    noise=st.floats(0.0, 0.03),
    skips=st.lists(st.integers(1, 9), min_size=3, max_size=40),
    seed=st.integers(0, 2**32),
)
def test_every_keyframe_of_a_noisy_grid_is_foretold(
    period_s: float, noise: float, skips: list[int], seed: int
) -> None:
    """Within a few spreads and the noise, however many are skipped, within reason."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    number, off_s = 0, noise * period_s

    def instant() -> float:
        return 100 + number * period_s + rng.uniform(-off_s, off_s)

    rhythm = Rhythm()
    for _ in range(5):
        rhythm.observe(instant(), whole=True)
        number += 1
    for skip in skips:
        number += skip
        real = instant()
        beat = rhythm.next_beat(real - period_s / 2)
        assert beat is not None
        assert abs(beat.at - real) <= off_s * (3 + skip) + 1e-9
        rhythm.observe(real, whole=False)


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans(), st.booleans()), max_size=80))
def test_any_keyframes_are_survived(news: list[tuple[float, bool, bool]]) -> None:
    """No order of them breaks it; what is foretold is never in the past."""
    rhythm, now = Rhythm(), 0.0
    for gap, whole, asked in news:
        now += gap
        if asked:
            rhythm.shift(now)
        else:
            rhythm.observe(now, whole=whole)
        beat = rhythm.next_beat(now)
        assert beat is None or beat.at >= now - 1e-6
        assert rhythm.period_s is None or rhythm.period_s > 0
