"""When a picture is due: interval, jitter, burst."""

import itertools
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.sample.cadence import Cadence, CadenceSettings

STEADY = CadenceSettings(
    interval_s=1.0, jitter=0.0, burst_interval_s=0.25, burst_trigger=0.5, burst_s=2.0
)


def middle() -> float:
    """No jitter either way."""
    return 0.5


@pytest.mark.parametrize("name", ["interval_s", "burst_interval_s", "burst_s"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_intervals_that_make_no_sense_are_refused(name: str, seconds: float) -> None:
    """They are finite and above 0."""
    with pytest.raises(ValueError, match=name):
        replace(STEADY, **{name: seconds})


@pytest.mark.parametrize(
    ("name", "value"),
    [("jitter", 1.0), ("jitter", -0.1), ("burst_trigger", 1.5), ("burst_trigger", -1)],
)
def test_fractions_out_of_range_are_refused(name: str, value: float) -> None:
    """Jitter stays below a whole interval; a trigger is a score."""
    with pytest.raises(ValueError, match=name):
        replace(STEADY, **{name: value})


def test_the_start_is_due_at_once() -> None:
    """The first picture, whenever it comes."""
    cadence = Cadence(STEADY, middle)
    assert cadence.due(123.0)
    assert cadence.earliest(123.0) == 123.0
    assert cadence.interval_s == 1.0


def test_the_next_is_due_after_an_interval() -> None:
    """Not before, exactly then, and ever after until taken."""
    cadence = Cadence(STEADY, middle)
    cadence.taken(10.0)
    assert not cadence.due(10.99)
    assert cadence.earliest(10.5) == 11.0
    assert cadence.due(11.0)
    assert cadence.due(99.0)
    assert not cadence.due(9.0)


def test_jitter_draws_each_interval() -> None:
    """0 is the shortest, nearly 1 the longest interval."""
    draws = iter([0.0, 0.5, 0.9999999, 0.5, 0.5, 0.5])
    cadence = Cadence(replace(STEADY, jitter=0.2), lambda: next(draws))
    cadence.taken(0.0)
    assert cadence.earliest(0.0) == pytest.approx(0.8)
    cadence.taken(0.8)
    assert cadence.earliest(0.8) == pytest.approx(2.0)
    cadence.taken(2.0)
    assert cadence.earliest(2.0) == pytest.approx(3.0)


def test_a_coarse_grid_loses_no_beat() -> None:
    """As rare as samples are due, every beat is taken, whatever is drawn."""
    for draw in (0.0, 0.04, 0.5, 0.999):
        cadence = Cadence(replace(STEADY, jitter=0.3), itertools.repeat(draw).__next__)
        cadence.taken(0.0, 1.0)
        assert cadence.due(1.0, 1.0)
        assert cadence.due(0.97, 1.0), "a little early"
        assert not cadence.due(0.0, 1.0)


def test_a_fine_grid_is_rounded_at_random() -> None:
    """The same interval is taken early or late of its instant: never foretold."""
    taken = set()
    for draw in (0.1, 0.9):
        draws = iter([0.5, draw])
        cadence = Cadence(replace(STEADY, jitter=0.2), draws.__next__)
        cadence.taken(0.0, 0.4)
        taken.add(next(n for n in range(9) if cadence.due(n * 0.4, 0.4)))
    assert taken == {2, 3}


def test_no_grid_brings_samples_closer_than_the_least_interval() -> None:
    """Where no burst is faster, the interval itself less its jitter is the least."""
    settings = replace(STEADY, burst_interval_s=1.0, jitter=0.1)
    cadence = Cadence(settings, lambda: 0.99)
    cadence.taken(0.0, 5.0)
    assert not cadence.due(0.89, 5.0)
    assert cadence.due(0.9, 5.0)


def test_a_late_sample_does_not_delay_the_next() -> None:
    """Off the grid a little lateness is made up for; a long one is not."""
    cadence = Cadence(STEADY, middle)
    cadence.taken(0.0)
    cadence.taken(1.4)
    assert cadence.earliest(1.4) == 2.0
    cadence.taken(2.6)
    assert cadence.earliest(2.6) == 3.6


def test_a_limit_slows_down_and_goes_away() -> None:
    """A share of a common budget bounds bursts too; 0 is no limit."""
    cadence = Cadence(STEADY, middle)
    cadence.taken(0.0)
    cadence.limit(3.0)
    assert cadence.interval_s == 3.0
    cadence.burst(0.0)
    assert cadence.interval_s == 3.0
    assert cadence.bursting(1.9)
    assert cadence.wanted_interval_s(1.9) == 0.25
    assert not cadence.bursting(2.0)
    assert cadence.wanted_interval_s(2.0) == 1.0
    cadence.limit(0.0)
    assert cadence.interval_s == 0.25
    assert cadence.settings == STEADY


def test_a_score_at_the_trigger_starts_a_burst() -> None:
    """Then samples come at the burst interval, and the burst ends by itself."""
    cadence = Cadence(STEADY, middle)
    cadence.taken(0.0)
    cadence.observe(0.49, 0.1)
    assert cadence.interval_s == 1.0
    cadence.observe(0.5, 0.1)
    assert cadence.interval_s == 0.25
    assert cadence.due(0.25)
    cadence.taken(2.0)
    assert cadence.earliest(2.0) == 2.25
    cadence.taken(2.25)
    assert cadence.earliest(2.25) == 3.25


def test_a_burst_lasts_while_scores_stay_up() -> None:
    """Each trigger prolongs it; an earlier one does not shorten it."""
    cadence = Cadence(STEADY, middle)
    cadence.observe(0.9, 0.0)
    cadence.observe(0.9, 1.5)
    cadence.burst(0.5)
    cadence.taken(3.4)
    assert cadence.interval_s == 0.25
    cadence.taken(3.5)
    assert cadence.interval_s == 1.0


def test_what_is_no_score_starts_no_burst() -> None:
    """NaN is above nothing."""
    cadence = Cadence(STEADY, middle)
    cadence.observe(math.nan, 0.0)
    cadence.taken(0.5)
    assert cadence.interval_s == 1.0


def test_a_burst_is_never_slower() -> None:
    """A burst interval above the interval is ignored."""
    cadence = Cadence(replace(STEADY, burst_interval_s=9.0), middle)
    cadence.taken(0.0)
    cadence.burst(0.0)
    assert cadence.interval_s == 1.0


def test_a_restart_is_due_at_once_but_no_closer_than_ever() -> None:
    """A reconnecting publisher is looked at anew, and cannot flood."""
    cadence = Cadence(STEADY, middle)
    cadence.taken(0.0)
    cadence.restart()
    assert not cadence.due(0.2)
    assert cadence.earliest(0.0) == 0.25
    assert cadence.due(0.25)
    cadence.taken(0.25)
    assert not cadence.due(0.6)


def test_settings_change_from_the_last_sample_on() -> None:
    """The next sample falls due by the new interval."""
    cadence = Cadence(STEADY, middle)
    cadence.taken(0.0)
    cadence.update(replace(STEADY, interval_s=5.0))
    assert cadence.earliest(0.0) == 5.0


@given(
    seed=st.integers(0, 2**32),
    jitter=st.floats(0.0, 0.9),
    interval_s=st.floats(0.1, 10.0),
    burst_interval_s=st.floats(0.1, 10.0),
    steps=st.lists(
        st.tuples(st.floats(0.01, 3.0), st.sampled_from(["", "hot", "back", "grid"])),
        max_size=60,
    ),
)
def test_never_closer_and_never_starving(
    seed: int,
    jitter: float,
    interval_s: float,
    burst_interval_s: float,
    steps: list[tuple[float, str]],
) -> None:
    """Whatever happens, gaps stay between the smallest and the longest interval."""
    settings = CadenceSettings(interval_s, jitter, burst_interval_s, 0.5, 2.0)
    cadence = Cadence(settings, random.Random(seed).random)  # noqa: S311 - no secret
    least = min(interval_s, burst_interval_s) * (1 - jitter)
    now, last = 0.0, None
    for gap, what in steps:
        now += gap
        if what == "hot":
            cadence.observe(0.9, now)
        if what == "back":
            cadence.restart()
        due = cadence.due(now, period_s=0.3 if what == "grid" else 0.0)
        if last is not None and now - last > interval_s * (1 + jitter) + 1e-6:
            assert due
        if due:
            assert last is None or now - last >= least - 1e-6
            cadence.taken(now)
            last = now


@given(seed=st.integers(0, 2**32), jitter=st.floats(0.0, 0.99))
def test_the_mean_interval_is_kept(seed: int, jitter: float) -> None:
    """Over 200 evenly spread draws the intervals average to `interval_s`."""
    draws = [(i + 0.5) / 200 for i in range(200)]
    random.Random(seed).shuffle(draws)  # noqa: S311 - no secret
    both = itertools.chain.from_iterable((draw, 0.5) for draw in draws)
    cadence = Cadence(CadenceSettings(2.0, jitter), both.__next__)
    now, instants = 0.0, []
    for _ in draws:
        now = cadence.earliest(now)
        assert cadence.due(now)
        cadence.taken(now)
        instants.append(now)
    gaps = [b - a for a, b in itertools.pairwise([*instants, cadence.earliest(now)])]
    assert sum(gaps) / len(gaps) == pytest.approx(2.0)


@given(
    seed=st.integers(0, 2**32),
    share=st.floats(0.05, 1.2),
    jitter=st.floats(0.0, 0.6),
)
def test_the_mean_interval_is_kept_on_a_grid(
    seed: int, share: float, jitter: float
) -> None:
    """By whole periods of any length, up to the interval; beyond it, each beat."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    cadence = Cadence(CadenceSettings(1.0, jitter, burst_interval_s=0.01), rng.random)
    taken = []
    for beat in range(int(600 / share)):
        if cadence.due(beat * share, share):
            cadence.taken(beat * share, share)
            taken.append(beat)
    mean_s = share * (taken[-1] - taken[0]) / (len(taken) - 1)
    assert mean_s == pytest.approx(max(1.0, share), rel=0.08)


def test_no_jitter_where_pictures_cannot_come_any_sooner() -> None:
    """Requests for keyframes are paced as far apart: a longer interval is a loss."""
    cadence = Cadence(CadenceSettings(1.0, jitter=0.2), random.Random(1).random)  # noqa: S311
    cadence.taken(0.0)
    cadence.space(1.0)
    for second in range(1, 20):
        assert cadence.earliest(second) == pytest.approx(second)
        cadence.taken(second + 0.03)
    cadence.space(0.5)
    assert cadence.earliest(20.0) != pytest.approx(20.0, abs=0.001)
