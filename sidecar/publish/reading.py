"""Pure: an action's message back to the house's values, as of an earlier process."""

from collections.abc import Callable
from datetime import datetime

from sidecar.domain import (
    Action,
    ActionKind,
    Evidence,
    ModelRef,
    PolicyRef,
    Reason,
    SourceKind,
    Stream,
)
from sidecar.publish import wire

Instant = Callable[[datetime], float]
"""The monotonic instant of a wall time; of one before the start it may be negative."""


def read_action(
    payload: bytes, instant: Instant, *, require_enforced: bool
) -> tuple[Action, Stream]:
    """What `Writer.action` made `payload` of, to the millisecond.

    The legs of its sample, and the stream's labels, are not in it.

    Raises:
        ValueError: It is not of this version.
    """
    said = wire.ActionPayload.model_validate_json(payload)

    def at(stamp: str) -> float:
        return instant(datetime.fromisoformat(stamp))

    decided_at = at(said.decided_at)
    subject, reason, policy, model = said.subject, said.reason, said.policy, said.model
    action = Action(
        kind=ActionKind(said.action),
        stream_id=subject.stream,
        reason=Reason(**reason.model_dump()),
        policy=PolicyRef(policy.name, policy.hash, policy.rule),
        model=None if model is None else ModelRef(model.name, model.hash),
        dry_run=said.dry_run,
        captured_at=at(said.captured_at),
        decided_at=decided_at,
        evidence=tuple(
            Evidence(
                at(one.captured_at),
                one.score,
                None if one.unchanged_since is None else at(one.unchanged_since),
            )
            for one in said.evidence
        ),
        expires_s=at(said.expires_at) - decided_at,
        require_enforced=require_enforced,
    )
    stream = Stream(
        subject.stream, SourceKind(subject.source), subject.publisher, subject.track
    )
    return action, stream
