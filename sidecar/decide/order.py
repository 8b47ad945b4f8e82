"""How an action is written up: by which rule, on what evidence."""

from sidecar.decide.policyset import REVERSE_RULE, Policy
from sidecar.decide.rules import Rule, UnknownRule
from sidecar.decide.window import Window, hits
from sidecar.domain import (
    Action,
    ActionKind,
    PolicyRef,
    Reason,
    Scores,
    Verdict,
)

MAX_EVIDENCE = 5


def by_scores(
    policy: Policy, rule: Rule, window: Window, scores: Scores, now: float
) -> Action:
    """The action of a rule that fires; the newest sample in `window` is a hit."""
    label = scores.by_category[rule.category]
    found = hits(rule, window)
    return Action(
        kind=rule.action,
        stream_id=scores.stream_id,
        reason=Reason(
            category=rule.category,
            label=label.label,
            score=label.score,
            enter=rule.enter,
            hits=len(found),
            of=rule.of,
            within_s=rule.within_s,
        ),
        policy=PolicyRef(policy.name, policy.hash, rule.name),
        model=scores.model_of(rule.category),
        dry_run=policy.dry_run,
        captured_at=scores.captured_at,
        decided_at=now,
        evidence=found[-MAX_EVIDENCE:],
        scores=scores,
        expires_s=rule.expires_s,
        require_enforced=rule.require_enforced and not policy.dry_run,
    )


def by_absence(
    policy: Policy, rule: UnknownRule, stream_id: str, verdict: Verdict, now: float
) -> Action:
    """The action of the unknown rule, which has one; `verdict` is UNKNOWN."""
    assert rule.action is not None
    return Action(
        kind=rule.action,
        stream_id=stream_id,
        reason=Reason(
            category=None,
            label=None,
            score=None,
            enter=None,
            hits=0,
            of=0,
            within_s=rule.after_s,
            unknown=verdict.reason,
        ),
        policy=PolicyRef(policy.name, policy.hash, rule.name),
        model=None,
        dry_run=policy.dry_run,
        captured_at=verdict.since if verdict.seen_at is None else verdict.seen_at,
        decided_at=now,
    )


def by_person(policy: Policy, stream_id: str, verdict: Verdict, now: float) -> Action:
    """The reversal a person asked for; as sure to arrive as what it reverses."""
    return Action(
        kind=ActionKind.REVERSE_TAKEDOWN,
        stream_id=stream_id,
        reason=Reason(None, None, None, None, hits=0, of=0, within_s=0.0),
        policy=PolicyRef(policy.name, policy.hash, REVERSE_RULE),
        model=None,
        dry_run=policy.dry_run,
        captured_at=now if verdict.seen_at is None else verdict.seen_at,
        decided_at=now,
        require_enforced=not policy.dry_run
        and any(rule.require_enforced for rule in policy.rules),
    )
