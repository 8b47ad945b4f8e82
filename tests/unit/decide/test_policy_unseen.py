"""From not having been seen to a verdict and actions."""

from dataclasses import replace

from sidecar.decide.policy import UnknownRule
from sidecar.domain import ActionKind, UnknownReason, VerdictState
from tests.fakes.policy_run import CLOSED, POLICY, Run, X


def test_an_old_verdict_is_stale() -> None:
    """Without scores for longer than `stale_after_s` nothing is known any more."""
    run = Run(POLICY)
    run.saw(1.0, 0.1)
    assert run.waited(11.0).verdict.state is VerdictState.CLEAR
    verdict = run.waited(11.5).verdict
    assert verdict.reason is UnknownReason.STALE
    assert (verdict.since, verdict.seen_at) == (11.5, 1.0)
    assert run.waited(20.0).verdict.since == 11.5
    assert run.saw(20.5, 0.1).verdict.state is VerdictState.CLEAR


def test_scores_that_come_too_late_are_stale_but_count() -> None:
    """An old sample makes no fresh verdict, yet its hits are evidence."""
    run = Run(POLICY)
    step = run.saw(1.0, 0.9, late=20.0)
    assert step.verdict.reason is UnknownReason.STALE
    assert run.fired == ["flag"]


def test_an_unknown_reason_starts_its_own_since() -> None:
    """Another reason is another verdict; the same one again is not."""
    run = Run(POLICY)
    run.saw(1.0, 0.1)
    run.missed(2.0, UnknownReason.OVERLOADED)
    assert run.missed(3.0, UnknownReason.OVERLOADED).verdict.since == 2.0
    verdict = run.missed(4.0, UnknownReason.ENGINE_ERROR).verdict
    assert (verdict.since, verdict.seen_at) == (4.0, 1.0)


def test_a_blind_moment_does_not_clear() -> None:
    """A violating stream that was unseen for a while is violating when seen again."""
    run = Run(POLICY)
    run.saw(1.0, 0.9)
    assert run.missed(2.0, UnknownReason.ENGINE_ERROR).verdict.categories == ()
    verdict = run.saw(3.0, 0.6).verdict
    assert (verdict.state, verdict.categories) == (VerdictState.VIOLATING, (X,))
    assert run.fired == ["flag"]


def test_a_publisher_who_comes_back_is_acted_upon_again() -> None:
    """Kicked and back with the same pictures: again, after the cooldown."""
    run = Run(POLICY)
    for second in (1.0, 2.0, 3.0):
        run.saw(second, 0.9)
    run.missed(4.0, UnknownReason.UNREACHABLE)
    for second in range(5, 70):
        run.saw(float(second), 0.9)
    assert run.fired == ["flag", "takedown", "flag", "takedown"]
    assert run.actions[3].decided_at - run.actions[1].decided_at >= 60.0


def test_an_engine_error_does_not_act_again() -> None:
    """Only a stream that was away is acted upon anew."""
    run = Run(POLICY)
    for second in range(1, 200):
        run.saw(float(second), 0.9)
        run.missed(second + 0.5, UnknownReason.ENGINE_ERROR)
    assert run.fired == ["flag", "takedown"]


def test_failing_open_is_visible_only() -> None:
    """Without an action the verdict is all there is."""
    run = Run(replace(POLICY, unknown=UnknownRule(after_s=1.0)))
    step = run.waited(100.0)
    assert step.verdict.state is VerdictState.UNKNOWN
    assert step.actions == ()


def test_failing_closed_acts_once_an_episode() -> None:
    """After `after_s` unseen, whatever the reasons, once; recovery ends the episode."""
    run = Run(CLOSED)
    run.missed(10.0, UnknownReason.UNREACHABLE)
    assert run.waited(29.9).actions == ()
    (action,) = run.waited(30.0).actions
    assert action.kind is ActionKind.INTERRUPT
    assert action.reason.unknown is UnknownReason.UNREACHABLE
    assert action.reason.within_s == 30.0
    assert (action.reason.category, action.reason.score, action.model) == (None,) * 3
    assert (action.policy.rule, action.captured_at) == ("unknown", 10.0)
    assert run.waited(9999.0).actions == ()
    run.saw(10000.0, 0.1)
    run.waited(10011.0)
    assert run.waited(10040.9).actions == ()
    (action,) = run.waited(10041.0).actions
    assert action.reason.unknown is UnknownReason.STALE
    assert action.captured_at == 10000.0


def test_failing_closed_respects_its_cooldown() -> None:
    """A second episode within the cooldown acts when it is over, if still unseen."""
    run = Run(CLOSED)
    run.waited(30.0)
    run.saw(40.0, 0.1)
    run.missed(41.0, UnknownReason.NO_FRAMES)
    run.waited(100.0)
    assert run.waited(329.9).actions == ()
    assert len(run.waited(330.0).actions) == 1


def test_scores_that_always_come_late_fail_closed() -> None:
    """A sidecar that only ever sees the past has not seen the stream."""
    run = Run(CLOSED)
    for second in range(1, 60):
        run.saw(float(second), 0.1, late=11.0)
    assert run.fired == ["unknown"]
