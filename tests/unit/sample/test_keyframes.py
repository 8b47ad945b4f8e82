"""Whether keyframes are enough, and when to ask for one."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.sample.keyframes import DecodeMode, KeyframePlanner
from tests.fakes.keyframe_sender import STEP_S, Sender


def auto(pli_interval_s: float | None = 2.0) -> KeyframePlanner:
    """The default planner."""
    return KeyframePlanner(DecodeMode.AUTO, pli_interval_s)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_pace_that_makes_no_sense_is_refused(seconds: float) -> None:
    """Never asking is None, not 0."""
    with pytest.raises(ValueError, match="pli_interval_s"):
        auto(seconds)


def test_a_start_asks_at_once() -> None:
    """The first picture is wanted now, and asked for until it is there."""
    planner = auto()
    assert planner.decide(0.0, 5.0).request_keyframe
    assert not planner.decide(1.9, 5.0).request_keyframe
    assert planner.decide(2.0, 5.0).request_keyframe
    planner.observe_keyframe(2.1)
    assert not planner.decide(4.5, 5.0).request_keyframe


def test_natural_keyframes_often_enough_are_left_alone() -> None:
    """After the start nothing is asked for and nothing but keyframes decoded."""
    sender = Sender(auto(), natural_s=2.0)
    sender.run(60.0, interval_s=2.0)
    assert sender.all_s == 0.0
    assert sender.asked == []
    assert sender.planner.period_s == pytest.approx(2.0, abs=STEP_S)


def test_the_period_is_unknown_at_first() -> None:
    """One keyframe has no period."""
    planner = auto()
    planner.decide(0.0, 1.0)
    planner.observe_keyframe(0.0)
    assert planner.period_s is None


def test_a_sender_that_answers_is_asked() -> None:
    """A browser sends keyframes only when asked: about one an interval."""
    sender = Sender(auto())
    sender.run(100.0, interval_s=5.0)
    assert sender.all_s == 0.0
    assert len(sender.keyframes) == pytest.approx(100 / 5, abs=2)
    gaps = [b - a for a, b in itertools.pairwise(sender.asked)]
    assert min(gaps) >= 2.0


def test_a_sender_that_does_not_answer_is_decoded_whole() -> None:
    """Within a few intervals, and it is tried again only now and then."""
    sender = Sender(auto(), answer_s=None, natural_s=20.0)
    sender.run(25.0, interval_s=3.0)
    assert sender.is_all()
    before = len(sender.asked)
    sender.run(240.0, interval_s=3.0)
    assert sender.is_all()
    assert len(sender.asked) - before <= 240 / 60 + 1
    assert sender.all_s > 240.0


def test_answers_that_come_too_rarely_count_as_ignored() -> None:
    """Two gaps too long in a row, though keyframes do come."""
    sender = Sender(auto(), answer_s=None, natural_s=6.0)
    sender.run(30.0, interval_s=2.0)
    assert sender.is_all()


def test_a_trial_that_is_answered_ends_decoding_all() -> None:
    """A server that heeds requests later on is found out without a blind time."""
    sender = Sender(auto(), answer_s=None)
    sender.run(30.0, interval_s=3.0)
    assert sender.is_all()
    sender.answer_s = 0.1
    sender.run(70.0, interval_s=3.0)
    assert not sender.is_all()
    keyframes = len(sender.keyframes)
    sender.run(30.0, interval_s=3.0)
    assert len(sender.keyframes) - keyframes >= 30 / 3 - 2


def test_a_trial_answered_late_proves_nothing() -> None:
    """A keyframe long after the request came by itself."""
    sender = Sender(auto(), answer_s=None)
    sender.run(30.0, interval_s=3.0)
    sender.answer_s = 1.5
    sender.run(61.0, interval_s=3.0)
    assert sender.is_all()


def test_a_burst_beyond_keyframes_decodes_all_and_goes_back() -> None:
    """An interval shorter than requests may be sent: all at once; calm: keyframes."""
    sender = Sender(auto(), natural_s=2.0)
    sender.run(20.0, interval_s=4.0)
    sender.run(0.1, interval_s=0.2)
    assert sender.is_all()
    sender.run(10.0, interval_s=0.2)
    sender.run(0.1, interval_s=4.0)
    assert not sender.is_all()


def test_a_burst_of_an_asked_sender_goes_back_to_asking() -> None:
    """After a long time without any keyframe it is given its chance anew."""
    sender = Sender(auto())
    sender.run(20.0, interval_s=4.0)
    sender.run(60.0, interval_s=0.2)
    assert sender.is_all()
    keyframes = len(sender.keyframes)
    sender.run(40.0, interval_s=4.0)
    assert not sender.is_all()
    assert len(sender.keyframes) - keyframes >= 8


def test_decoding_all_asks_for_its_first_keyframe() -> None:
    """A chain begins at a keyframe; without one in sight it is asked for."""
    sender = Sender(auto(), answer_s=0.1)
    sender.run(10.0, interval_s=1.0)
    assert sender.is_all()
    assert len(sender.keyframes) == 2


def test_natural_keyframes_that_get_more_frequent_end_asking() -> None:
    """An encoder set to a shorter group is left alone again."""
    sender = Sender(auto(), answer_s=0.1)
    sender.run(20.0, interval_s=5.0)
    sender.natural_s, sender._next = 1.0, sender.now
    sender.run(10.0, interval_s=5.0)
    asked = len(sender.asked)
    sender.run(30.0, interval_s=5.0)
    assert len(sender.asked) == asked


def test_never_asking_falls_back_at_once() -> None:
    """Without requests, keyframes too rare mean decoding all."""
    sender = Sender(auto(None), natural_s=2.0)
    sender.run(4.0, interval_s=1.0)
    assert sender.is_all()
    assert sender.asked == []


def test_keyframes_only_never_decodes_all() -> None:
    """It asks, and takes what comes."""
    planner = KeyframePlanner(DecodeMode.KEYFRAMES, 2.0)
    sender = Sender(planner, answer_s=None, natural_s=30.0)
    sender.run(120.0, interval_s=1.0)
    assert sender.all_s == 0.0
    assert len(sender.asked) > 30


def test_all_always_decodes_all() -> None:
    """From the start, and asks for the first keyframe only."""
    planner = KeyframePlanner(DecodeMode.ALL, 2.0)
    sender = Sender(planner, natural_s=5.0)
    sender.run(60.0, interval_s=30.0)
    assert sender.all_s == pytest.approx(60.0, abs=1.0)
    assert sender.asked == []


def test_a_torn_picture_asks_for_a_keyframe() -> None:
    """At once, unless one was asked for just now."""
    planner = auto()
    planner.observe_keyframe(0.0)
    planner.decide(0.1, 5.0)
    planner.need()
    assert planner.decide(0.2, 5.0).request_keyframe
    planner.need()
    assert not planner.decide(0.3, 5.0).request_keyframe


def test_a_time_without_looking_teaches_nothing() -> None:
    """A caller that was busy for long does not make keyframes rare."""
    planner = auto()
    planner.decide(0.0, 2.0)
    planner.observe_keyframe(0.0)
    planner.pause(50.0)
    assert not planner.decide(50.0, 2.0).all
    planner.observe_keyframe(51.0)
    assert planner.period_s is None
    assert not planner.decide(51.0, 2.0).request_keyframe


_LATE_THEN_URGENT = [
    (0.0, "keyframe", 0.2),
    (1.0, "keyframe", 0.2),
    (3.0, "keyframe", 5.0),
    (0.375, "keyframe", 0.2),
]
_LATE_THEN_PACED = [(0.0, "torn", 1.0), (0.6, "torn", 1.0), (0.46, "torn", 1.0)]


@example(DecodeMode.AUTO, 2.0, _LATE_THEN_URGENT)
@example(DecodeMode.KEYFRAMES, 0.5, _LATE_THEN_PACED)
@given(
    st.sampled_from(list(DecodeMode)),
    st.sampled_from([None, 0.5, 2.0]),
    st.lists(
        st.tuples(
            st.floats(0.0, 5.0),
            st.sampled_from(["keyframe", "torn", "pause", ""]),
            st.sampled_from([0.2, 1.0, 5.0]),
        ),
        max_size=80,
    ),
)
def test_requests_are_paced_and_modes_kept(
    mode: DecodeMode,
    pli_interval_s: float | None,
    news: list[tuple[float, str, float]],
) -> None:
    """In any order of news: never two requests too close, never against the mode."""
    planner = KeyframePlanner(mode, pli_interval_s)
    now, asked = 0.0, float("-inf")
    for gap, what, interval_s in news:
        now += gap
        if what == "keyframe":
            planner.observe_keyframe(now)
        if what == "torn":
            planner.need()
        if what == "pause":
            planner.pause(now)
        plan = planner.decide(now, interval_s)
        if plan.request_keyframe:
            assert pli_interval_s is not None
            nearest_s = min(0.9 * pli_interval_s, 0.5)  # a tenth if the last was late
            assert now - asked >= nearest_s - 1e-9
            asked = now
        assert mode is DecodeMode.AUTO or plan.all == (mode is DecodeMode.ALL)


def test_full_decoding_starts_without_waiting_for_the_pace() -> None:
    """A burst's first keyframe is asked for at once; the next at the usual pace."""
    planner = KeyframePlanner(DecodeMode.AUTO, 2.0)
    planner.decide(0.0, 4.0)
    planner.observe_keyframe(0.2)
    planner.need()
    assert planner.decide(2.5, 4.0).request_keyframe
    burst = planner.decide(3.1, 0.2)
    assert burst.all
    assert burst.request_keyframe
    assert not planner.decide(3.9, 0.2).request_keyframe
    assert planner.decide(5.2, 0.2).request_keyframe


def test_two_keyframes_at_the_start_are_no_natural_period() -> None:
    """A sender that starts with two keyframes does not make the means flap."""
    planner = KeyframePlanner(DecodeMode.AUTO, 2.0)
    planner.decide(0.0, 1.0)
    planner.observe_keyframe(0.1)
    planner.observe_keyframe(0.13)
    assert planner.decide(1.5, 1.0).all
    planner.observe_keyframe(1.53)
    assert all(planner.decide(at / 10, 1.0).all for at in range(16, 100))
