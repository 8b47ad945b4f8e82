"""What a planner says of resting, and what it makes of it."""

import itertools

import pytest

from sidecar.sample.keyframes import DecodeMode, KeyframePlanner
from tests.fakes.keyframe_sender import Sender


def natural(period_s: float = 2.0, interval_s: float = 4.0) -> Sender:
    """A sender whose period is learned."""
    sender = Sender(KeyframePlanner(DecodeMode.AUTO, 2.0), natural_s=period_s)
    sender.run(5 * period_s, interval_s)
    return sender


def asked(interval_s: float = 4.0) -> Sender:
    """A sender that answers; the first look for natural keyframes is over."""
    sender = Sender(KeyframePlanner(DecodeMode.AUTO, 2.0))
    sender.run(6 * interval_s, interval_s)
    return sender


def test_nobody_rests_before_the_period_is_known() -> None:
    """Nor where a keyframe is needed, nor while everything is decoded."""
    planner = KeyframePlanner(DecodeMode.AUTO, 2.0)
    planner.decide(0.0, 4.0)
    assert not planner.rests(0.0)
    for at in (0.1, 2.1, 4.1, 6.1):
        assert not planner.rests(at)
        planner.observe_keyframe(at)
    assert planner.rests(6.1)
    planner.need()
    assert not planner.rests(6.1)
    planner.observe_keyframe(8.1)
    assert planner.decide(8.2, 0.2).all
    assert not planner.rests(8.2)
    assert planner.grid_s == 0.0


def test_a_rest_does_not_make_keyframes_rare() -> None:
    """However long: what is natural stays so, and its grid is known."""
    sender = natural()
    planner = sender.planner
    assert planner.grid_s == pytest.approx(2.0, abs=0.06)
    planner.rest(sender.now + 100.0)
    plan = planner.decide(sender.now + 100.1, 4.0)
    assert not plan.all
    assert not plan.request_keyframe


def test_a_keyframe_that_does_not_come_after_a_rest_is_asked_for() -> None:
    """Counted from the opening on."""
    sender = natural()
    planner = sender.planner
    planner.rest(100.0)
    assert not planner.decide(104.0, 4.0).request_keyframe
    assert planner.decide(105.2, 4.0).request_keyframe


def test_asked_senders_have_no_grid_and_are_asked_at_once() -> None:
    """As soon as the rest is over, no sooner than requests may be sent (or a tenth)."""
    sender = asked()
    planner, now = sender.planner, sender.now
    assert planner.asking
    assert planner.grid_s == 0.0
    assert planner.rests(now)
    assert planner.spacing_s == 2.0
    assert sender.asked[-1] + 1.8 <= planner.may_ask_at <= sender.asked[-1] + 2.0
    planner.rest(now + 4.0)
    assert not planner.decide(now + 3.9, 4.0).request_keyframe
    assert planner.decide(now + 4.01, 4.0).request_keyframe


def test_rested_senders_that_stop_answering_are_decoded_whole() -> None:
    """The rest is no time in which they could have answered."""
    sender = asked()
    planner, now = sender.planner, sender.now
    planner.rest(now + 4.0)
    assert planner.decide(now + 4.1, 4.0).request_keyframe
    assert not planner.decide(now + 11.0, 4.0).all
    assert planner.decide(now + 4.0 + 8.1, 4.0).all


def test_who_may_not_ask_may_always() -> None:
    """There is no pace to wait for where nothing is sent."""
    planner = KeyframePlanner(DecodeMode.KEYFRAMES, None)
    planner.decide(0.0, 1.0)
    assert planner.may_ask_at == float("-inf")
    assert not planner.asking


def test_natural_keyframes_are_looked_for_now_and_then() -> None:
    """For one interval, a minute after the last look, or twenty intervals."""
    sender = asked()
    planner = sender.planner
    rests = [planner.rests(sender.now + t) for t in range(200)]
    assert rests.count(False) == pytest.approx(2 * 4, abs=4)


def test_the_period_is_known_before_the_grid() -> None:
    """From one gap, roughly."""
    planner = KeyframePlanner(DecodeMode.AUTO, None)
    planner.decide(0.0, 4.0)
    planner.observe_keyframe(0.0)
    assert planner.grid_s == 0.0
    planner.observe_keyframe(2.0)
    assert planner.period_s == 2.0
    assert planner.grid_s == 2.0


def test_requests_that_are_late_do_not_make_all_later_ones_late() -> None:
    """One in 2 s in the mean, never two nearer than 1.8 s, with timers of 50 ms."""
    planner = KeyframePlanner(DecodeMode.KEYFRAMES, 2.0)
    asked_at = []
    for tick in range(4000):
        now = tick * 0.05 + (tick % 7) * 0.006
        planner.need()
        if planner.decide(now, 2.0).request_keyframe:
            asked_at.append(now)
    gaps_s = [b - a for a, b in itertools.pairwise(asked_at)]
    assert min(gaps_s) >= 1.8
    assert sum(gaps_s) / len(gaps_s) == pytest.approx(2.0, rel=0.005)
