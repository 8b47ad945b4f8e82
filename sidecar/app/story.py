"""One stream's story, for people who ask what was seen and why it was acted on."""

import math
from typing import Final

import numpy as np

from sidecar.decide.policy import PolicyState
from sidecar.decide.policyset import Policy
from sidecar.decide.why import RuleStanding, standings
from sidecar.domain import Action, Category, Scores, Stream, Verdict
from sidecar.oversight.feed import Item
from sidecar.oversight.ledger import Columns
from sidecar.oversight.pauses import Pause
from sidecar.web.look_schemas import (
    ActionView,
    EvidenceView,
    PauseView,
    SeriesView,
    ShadowActionView,
    StandingView,
    TurnView,
)

_MOST_POINTS: Final = 600


def action_view(item: Item, offset: float) -> ActionView:
    """One action; `offset` makes monotonic seconds Unix ones."""
    action = item.action
    reason, policy = action.reason, action.policy
    return ActionView(
        id=item.id,
        key=f"{action.stream_id}/{policy.rule}/{action.decided_at:.6f}",
        stream=action.stream_id,
        action=action.kind.value,
        policy=policy.name,
        rule=policy.rule,
        category=reason.category,
        score=reason.score,
        enter=reason.enter,
        hits=reason.hits,
        of=reason.of,
        within_s=reason.within_s,
        unknown=reason.unknown,
        dry_run=action.dry_run,
        decided_at=round(action.decided_at + offset, 3),
        captured_at=round(action.captured_at + offset, 3),
        delivery=item.delivery,
        moved_at=round(item.moved_at + offset, 3),
        outcome=item.outcome,
        outcome_by=item.outcome_by,
        evidence=[
            EvidenceView(at=round(e.captured_at + offset, 3), score=round(e.score, 4))
            for e in action.evidence
        ],
        timings_ms=legs_of(action.scores),
    )


def legs_of(scores: Scores | None) -> dict[str, float]:
    """Milliseconds of each leg of one sample."""
    if scores is None:
        return {}
    legs = {
        "receive": scores.receive_s,
        "decode": scores.decode_s,
        "queue": scores.queue_s,
        "inference": scores.inference_s,
    }
    return {leg: round(seconds * 1000, 1) for leg, seconds in legs.items()}


def series_view(columns: Columns, offset: float) -> SeriesView:
    """Scores over time, at most 600 points: of each stretch the highest."""
    size = max(1, math.ceil(len(columns) / _MOST_POINTS))
    starts = np.arange(0, len(columns), size)
    if not len(starts):
        return SeriesView(at=[], scores={})
    at = columns.at[starts] + offset
    scores = {
        category.value: _thinned(column, starts)
        for category, column in columns.scores.items()
        if category is not Category.SAFE and not np.isnan(column).all()
    }
    return SeriesView(at=[round(float(one), 2) for one in at], scores=scores)


def _thinned(
    column: "np.typing.NDArray[np.float32]", starts: "np.typing.NDArray[np.int64]"
) -> list[float | None]:
    highest = np.fmax.reduceat(column, starts)
    return [None if np.isnan(s) else round(float(s), 3) for s in highest]


def turn_view(verdict: Verdict, offset: float) -> TurnView:
    """From when on a verdict held."""
    return TurnView(
        at=round(verdict.since + offset, 2),
        verdict=verdict.state.value,
        reason=verdict.reason,
        categories=[category.value for category in verdict.categories],
    )


def standing_views(
    policy: Policy, state: PolicyState, now: float, offset: float
) -> list[StandingView]:
    """Where a stream stands with each rule."""
    return [_standing_view(one, offset) for one in standings(policy, state, now)]


def _standing_view(one: RuleStanding, offset: float) -> StandingView:
    rule = one.rule
    return StandingView(
        rule=rule.name,
        action=rule.action.value,
        category=rule.category.value,
        enter=rule.enter,
        exit=rule.exit,
        hits=rule.hits,
        of=rule.of,
        within_s=rule.within_s,
        standing=one.standing.value,
        hits_now=one.hits,
        highest=None if one.highest is None else round(one.highest, 4),
        fired_at=None if one.fired_at is None else round(one.fired_at + offset, 2),
        cooldown_s=round(one.cooldown_s, 1),
    )


def pause_view(pause: Pause) -> PauseView:
    """Who paused it, until when and why."""
    return PauseView(until=pause.until, by=pause.by, reason=pause.reason)


def shadow_view(stream: Stream, action: Action, offset: float) -> ShadowActionView:
    """What would have been asked for."""
    return ShadowActionView(
        stream=stream.id,
        action=action.kind.value,
        policy=action.policy.name,
        rule=action.policy.rule,
        category=action.reason.category,
        score=action.reason.score,
        at=round(action.decided_at + offset, 2),
    )
