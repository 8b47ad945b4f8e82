"""When a stretch between keyframes is looked into."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.sample.audit import Audit, AuditSettings

HALF_LIFE = math.log(2)


def audit(every_s: float | None = 10.0, draw: float = 0.5) -> Audit:
    """Connected at 0."""
    made = Audit(AuditSettings(every_s, 4.0), lambda: draw)
    made.connect(0.0)
    return made


@pytest.mark.parametrize(
    "numbers", [(0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (None, math.inf)]
)
def test_numbers_that_make_no_sense_are_refused(
    numbers: tuple[float | None, float],
) -> None:
    """Finite and above 0; never is None."""
    with pytest.raises(ValueError, match="above 0"):
        AuditSettings(*numbers)


def test_never_is_never() -> None:
    """Nor after one was begun by hand."""
    off = audit(None)
    assert off.at == math.inf
    assert not off.due(1e9)
    off.end(5.0)
    assert not off.due(1e9)


def test_it_begins_at_a_random_instant() -> None:
    """Exponentially drawn, so that having waited tells nothing."""
    one = audit()
    assert one.at == pytest.approx(10 * HALF_LIFE)
    assert not one.due(6.9)
    assert one.due(7.0)


def test_a_picture_in_the_middle_of_the_next_group_is_wanted() -> None:
    """Not the keyframe, not one too early, nor a later keyframe."""
    one = audit()
    assert not one.wants(1.0, keyframe=True)
    one.begin(7.0, group_s=2.0)
    assert not one.due(8.0)
    assert not one.wants(8.0, keyframe=False)
    assert not one.wants(8.5, keyframe=True)
    assert not one.wants(9.4, keyframe=False)
    assert not one.wants(9.6, keyframe=True)
    assert one.wants(9.6, keyframe=False)
    one.end(9.7)
    assert not one.wants(9.8, keyframe=False)
    assert one.at == pytest.approx(9.7 + 10 * HALF_LIFE)


def test_a_stream_of_keyframes_alone_gives_one() -> None:
    """A little later, as there is nothing else."""
    one = audit()
    one.begin(7.0, group_s=2.0)
    one.wants(8.0, keyframe=True)
    assert not one.wants(9.3, keyframe=True)
    assert one.wants(9.6, keyframe=True)


def test_long_groups_are_looked_into_up_to_the_stretch() -> None:
    """Also where nobody knows how long they are."""
    for group_s in (None, 30.0):
        one = audit()
        one.begin(7.0, group_s)
        one.wants(8.0, keyframe=True)
        assert not one.wants(9.9, keyframe=False)
        assert one.wants(10.0, keyframe=False)


def test_a_torn_stretch_begins_at_another_keyframe() -> None:
    """What was decoded so far is of no use."""
    one = audit()
    one.begin(7.0, 2.0)
    one.wants(8.0, keyframe=True)
    one.torn()
    assert not one.wants(9.5, keyframe=False)
    one.wants(10.0, keyframe=True)
    assert one.wants(11.0, keyframe=False)


def test_it_is_given_up_after_a_while() -> None:
    """Where no keyframe comes."""
    one = audit()
    assert not one.given_up(1e9)
    one.begin(7.0, None)
    assert not one.given_up(41.0)
    assert one.given_up(41.1)


def test_a_new_connection_does_not_end_it() -> None:
    """Who reconnects in mid-audit is audited at once, else at the instant drawn."""
    one = audit()
    one.connect(3.0)
    assert one.at == pytest.approx(10 * HALF_LIFE)
    one.begin(7.0, 2.0)
    one.connect(8.0)
    assert not one.active
    assert one.due(8.0)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32))
def test_the_rate_and_the_places_are_as_configured(seed: int) -> None:
    """The mean wait is `every_s`, and no part of the group is left out."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    one = Audit(AuditSettings(10.0, 4.0), rng.random)
    one.connect(0.0)
    now, waits, places = 0.0, [], []
    for _ in range(1000):
        waits.append(one.at - now)
        now = one.at
        one.begin(now, 2.0)
        one.wants(now, keyframe=True)
        places.append(_place(one, now))
        one.end(now)
    assert sum(waits) / len(waits) == pytest.approx(10.0, rel=0.2)
    assert {place // 2 for place in places} >= set(range(1, 10))


def _place(one: Audit, began: float) -> int:
    """Which tenth of a second of the stretch is sampled."""
    return next(n for n in range(22) if one.wants(began + n / 10, keyframe=False))
