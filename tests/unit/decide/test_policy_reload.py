"""What stays when a policy changes, and what a person's reversal resets."""

from dataclasses import replace

from sidecar.decide.policy import carry
from sidecar.domain import ActionKind, UnknownReason, VerdictState
from tests.fakes.policy_run import FLAG, POLICY, TAKEDOWN, Run, V, X, rule


def test_a_reversal_starts_anew() -> None:
    """It says so, clears the verdict, and each rule waits for its cooldown."""
    run = Run(POLICY)
    for second in (1.0, 2.0, 3.0):
        run.saw(second, 0.9)
    step = run.reversed(4.0)
    (action,) = step.actions
    assert action.kind is ActionKind.REVERSE_TAKEDOWN
    assert (action.policy.rule, action.model) == ("reverse", None)
    assert (action.captured_at, action.decided_at) == (3.0, 4.0)
    assert action.require_enforced
    assert step.verdict.state is VerdictState.CLEAR
    run.actions.clear()
    for second in range(5, 64):
        run.saw(float(second), 0.9)
    assert run.fired == []
    run.saw(64.0, 0.9)
    assert run.fired == ["flag", "takedown"]


def test_a_reversal_of_an_unseen_stream_is_possible() -> None:
    """It rests on no sample, and the stream is still unknown."""
    step = Run(POLICY).reversed(4.0)
    assert step.actions[0].captured_at == 4.0
    assert step.verdict.reason is UnknownReason.STARTING


def test_time_that_goes_back_is_held() -> None:
    """`seen_at` and `since` never fall, whatever is handed in."""
    run = Run(POLICY)
    run.saw(5.0, 0.9)
    verdict = run.saw(3.0, 0.9).verdict
    assert verdict.seen_at == 5.0
    assert run.missed(1.0, UnknownReason.OVERLOADED).verdict.since == 5.1


def test_reloading_the_same_policy_changes_nothing() -> None:
    """`carry` to an equal policy is the identity."""
    run = Run(POLICY)
    run.saw(1.0, 0.9)
    assert carry(POLICY, replace(POLICY), run.state, 2.0) == run.state


def test_a_changed_rule_goes_on() -> None:
    """Of the same name: still violating, and not fired again for what it fired."""
    run = Run(POLICY)
    for second in (1.0, 2.0, 3.0):
        run.saw(second, 0.9)
    new = replace(POLICY, rules=(FLAG, replace(TAKEDOWN, hits=4, of=9, enter=0.85)))
    run.state = carry(POLICY, new, run.state, 3.5)
    run.policy = new
    assert run.state.verdict.categories == (X,)
    step = run.saw(4.0, 0.9)
    assert step.verdict.state is VerdictState.VIOLATING
    assert step.actions == ()


def test_a_renamed_rule_goes_on() -> None:
    """Of the same category and action, it is the same rung under another name."""
    run = Run(POLICY)
    for second in (1.0, 2.0, 3.0):
        run.saw(second, 0.9)
    new = replace(POLICY, rules=(replace(TAKEDOWN, name="end-it"),))
    run.state = carry(POLICY, new, run.state, 3.5)
    run.policy = new
    assert run.saw(4.0, 0.9).actions == ()


def test_a_rule_that_asks_for_more_may_fire() -> None:
    """Of the same name with another action: what it fired was something else."""
    run = Run(POLICY)
    for second in (1.0, 2.0):
        run.saw(second, 0.9)
    new = replace(POLICY, rules=(replace(TAKEDOWN, name="flag", hits=2),))
    run.state = carry(POLICY, new, run.state, 2.5)
    run.policy = new
    assert [a.kind for a in run.saw(3.0, 0.9).actions] == [ActionKind.TAKEDOWN]


def test_a_new_rung_takes_over_the_samples() -> None:
    """It needs all its hits, those already seen included; other categories': none."""
    run = Run(POLICY)
    for second in (1.0, 2.0):
        run.saw(second, 0.9)
    blur = rule("blur", ActionKind.BLUR, 3)
    gore = rule("gore", ActionKind.FLAG, 1, V)
    new = replace(POLICY, rules=(blur, gore))
    run.state = carry(POLICY, new, run.state, 2.5)
    run.policy = new
    assert run.state.verdict.state is VerdictState.CLEAR
    assert [a.policy.rule for a in run.saw(3.0, 0.9).actions] == ["blur"]
