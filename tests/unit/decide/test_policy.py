"""From scores to a verdict and actions."""

import math
from dataclasses import replace

import pytest

from sidecar.decide.policy import comeback, observe
from sidecar.domain import (
    Action,
    ActionKind,
    Evidence,
    LabelScore,
    ModelRef,
    UnknownReason,
    VerdictState,
)
from tests.fakes.policy_run import (
    FLAG,
    MODEL,
    POLICY,
    TAKEDOWN,
    Run,
    V,
    X,
    rule,
    scores,
)


def test_an_unseen_stream_is_not_clean() -> None:
    """The first verdict is UNKNOWN(starting), and stays it until the first scores."""
    run = Run(POLICY, now=5.0)
    assert run.state.verdict.state is VerdictState.UNKNOWN
    verdict = run.waited(500.0).verdict
    assert verdict.reason is UnknownReason.STARTING
    assert (verdict.since, verdict.seen_at) == (5.0, None)
    verdict = run.saw(501.0, 0.1).verdict
    assert verdict.state is VerdictState.CLEAR
    assert (verdict.since, verdict.seen_at, verdict.reason) == (501.1, 501.0, None)


def test_rungs_fire_in_turn_each_once() -> None:
    """The mild rung fires at its hit, the strict one at its third, neither again."""
    run = Run(POLICY)
    assert [a.kind for a in run.saw(1.0, 0.9).actions] == [ActionKind.FLAG]
    assert run.saw(2.0, 0.9).actions == ()
    step = run.saw(3.0, 0.95)
    assert [a.kind for a in step.actions] == [ActionKind.TAKEDOWN]
    for second in range(4, 200):
        assert run.saw(float(second), 0.99).actions == ()


def test_an_action_says_why() -> None:
    """It names category, label, score, threshold, hits, policy, model, evidence."""
    run = Run(replace(POLICY, dry_run=True))
    run.saw(1.0, 0.9)
    run.saw(2.0, 0.1)
    run.saw(3.0, 0.85)
    (action,) = run.saw(4.0, 0.95).actions
    assert action.stream_id == "s"
    assert action.reason.category is X
    assert action.reason.label == "label-sexual.explicit"
    assert (action.reason.score, action.reason.enter) == (0.95, 0.8)
    assert (action.reason.hits, action.reason.of) == (3, 5)
    assert (action.reason.within_s, action.reason.unknown) == (30.0, None)
    assert action.policy.hash == run.policy.hash
    assert (action.policy.name, action.policy.rule) == ("default", "takedown")
    assert action.model == MODEL
    assert (action.captured_at, action.decided_at) == (4.0, 4.1)
    assert action.evidence == (
        Evidence(1.0, 0.9),
        Evidence(3.0, 0.85),
        Evidence(4.0, 0.95),
    )
    assert action.scores == scores(4.0, 0.95)
    assert (action.expires_s, action.require_enforced) == (99.0, False)
    assert action.dry_run


def test_of_several_models_the_deciding_one_is_named() -> None:
    """An action's model is the one whose score was the hit."""
    other = ModelRef("other", "sha256:1")
    run = Run(POLICY)
    by = {X: LabelScore(0.9, "x", other)}
    seen = replace(scores(1.0, 0.9), by_category=by)
    (action,) = observe(POLICY, "s", run.state, seen, 1.1).actions
    assert action.model == other


def test_a_kept_score_is_a_hit_like_any_other() -> None:
    """A still picture of a card is taken down; the evidence says which were kept."""
    run = Run(replace(POLICY, rules=(TAKEDOWN,)))
    run.saw(1.0, 0.9)
    state = run.state
    actions: list[Action] = []
    for at in (2.0, 3.0):
        kept = replace(scores(at, 0.9), unchanged_since=1.0)
        step = observe(run.policy, "s", state, kept, at + 0.1)
        state, actions = step.state, [*actions, *step.actions]
    (action,) = actions
    assert action.kind is ActionKind.TAKEDOWN
    assert [e.unchanged_since for e in action.evidence] == [None, 1.0, 1.0]


def test_evidence_is_bounded() -> None:
    """Of many hits the newest five are told."""
    many = replace(TAKEDOWN, hits=8, of=20)
    run = Run(replace(POLICY, rules=(many,)))
    for second in range(8):
        run.saw(float(second), 0.9)
    (action,) = run.actions
    assert action.reason.hits == 8
    assert [e.captured_at for e in action.evidence] == [3.0, 4.0, 5.0, 6.0, 7.0]


def test_a_verdict_names_its_categories() -> None:
    """VIOLATING lists each entered category once, and keeps `since` as they change."""
    run = Run(
        replace(POLICY, rules=(FLAG, TAKEDOWN, rule("gore", ActionKind.FLAG, 1, V)))
    )
    assert run.saw(1.0, 0.1, 0.9).verdict.categories == (V,)
    verdict = run.saw(2.0, 0.9, 0.9).verdict
    assert verdict.state is VerdictState.VIOLATING
    assert verdict.categories == (X, V)
    assert verdict.since == 1.1


def test_a_category_the_model_does_not_know_changes_nothing() -> None:
    """Its rule neither enters, nor leaves, nor fires."""
    run = Run(POLICY)
    run.saw(1.0, 0.9)
    step = run.saw(2.0, None)
    assert step.verdict.state is VerdictState.VIOLATING
    assert step.actions == ()


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.5, 7.3])
def test_what_is_no_score_is_unknown(score: float) -> None:
    """NaN or a logit is an engine's error: no hit, not clean, nothing remembered."""
    run = Run(POLICY)
    run.saw(1.0, 0.1)
    before = run.state.windows
    step = run.saw(2.0, score)
    assert step.verdict.reason is UnknownReason.ENGINE_ERROR
    assert step.verdict.seen_at == 1.0
    assert step.state.windows == before
    assert step.actions == ()


def test_sums_of_probabilities_may_round_above_one() -> None:
    """Float32 sums a little above 1 are scores."""
    assert Run(POLICY).saw(1.0, 1.0000002).verdict.state is VerdictState.VIOLATING


def test_a_trial_is_not_kept_until_somebody_enforces_it() -> None:
    """Nobody acts on a dry run, so it must not wait for `enforced`."""
    rules = tuple(replace(rule, require_enforced=True) for rule in POLICY.rules)
    for dry_run in (True, False):
        run = Run(replace(POLICY, rules=rules, dry_run=dry_run))
        actions = [a for at in (1.0, 2.0, 3.0) for a in run.saw(at, 1.0).actions]
        assert actions
        assert {action.require_enforced for action in actions} == {not dry_run}


def test_a_comeback_brings_its_samples_and_no_cooldown() -> None:
    """It starts UNKNOWN; the first hit completes the count and fires anew."""
    run = Run(POLICY)
    for at in (1.0, 2.0, 3.0):
        run.saw(at, 0.95)
    state = comeback(POLICY, POLICY, run.state, 4.0)
    assert state.verdict.reason is UnknownReason.STARTING
    assert state.verdict.seen_at is None
    step = observe(POLICY, "s", state, scores(5.0, 0.95), 5.0)
    assert {a.kind for a in step.actions} == {ActionKind.FLAG, ActionKind.TAKEDOWN}
    clean = observe(POLICY, "s", state, scores(5.0, 0.0), 5.0)
    assert clean.actions == ()
