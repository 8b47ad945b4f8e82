"""Pure: the house's values to the parts of a message.

What does not have the shape of an id is left out, and an odd number is bent into
range: no oddity of a model or platform may lose a takedown.
"""

import math
from datetime import UTC, datetime
from typing import Final

from sidecar.domain import (
    ModelRef,
    PolicyRef,
    Reason,
    Scores,
    Stream,
    is_stream_id,
)
from sidecar.publish import wire

TEXT_MAX: Final = 256


def stamp(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds and a `Z`."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def share(score: float) -> float:
    """A score bent into 0…1, six digits; not-a-number is 0."""
    if math.isnan(score):
        return 0.0
    return round(min(max(score, 0.0), 1.0), 6)


def _id_or_none(text: str | None) -> str | None:
    return text if text is not None and is_stream_id(text) else None


def subject_part(stream: Stream) -> wire.SubjectPart:
    """Who the message is about."""
    return wire.SubjectPart(
        stream=stream.id,
        publisher=_id_or_none(stream.publisher),
        source=stream.source.value,
        track=_id_or_none(stream.track) or "video0",
    )


def reason_part(reason: Reason) -> wire.ReasonPart:
    """Why."""
    return wire.ReasonPart(
        category=reason.category,
        label=None if reason.label is None else reason.label[:TEXT_MAX],
        score=None if reason.score is None else share(reason.score),
        enter=None if reason.enter is None else share(reason.enter),
        hits=reason.hits,
        of=reason.of,
        within_s=reason.within_s,
        unknown=reason.unknown,
    )


def policy_part(policy: PolicyRef) -> wire.PolicyPart:
    """By which rule."""
    return wire.PolicyPart(
        name=policy.name[:TEXT_MAX],
        hash=policy.hash,
        rule=policy.rule[:TEXT_MAX],
    )


def model_part_or_none(model: ModelRef | None) -> wire.ModelPart | None:
    """By whose scores, or by none."""
    return None if model is None else model_part(model)


def model_part(model: ModelRef) -> wire.ModelPart:
    """By whose scores."""
    return wire.ModelPart(name=model.name[:TEXT_MAX], hash=model.hash)


def timings_part(scores: Scores | None, decided_at: float | None) -> wire.TimingsPart:
    """Legs in milliseconds; `decide` is what is left, so that they add up."""
    if scores is None:
        return wire.TimingsPart()
    legs = (scores.receive_s, scores.decode_s, scores.queue_s, scores.inference_s)
    decide = None
    if decided_at is not None:
        decide = _ms(decided_at - scores.captured_at - sum(legs))
    receive, decode, queue, inference = (_ms(leg) for leg in legs)
    return wire.TimingsPart(
        receive=receive, decode=decode, queue=queue, inference=inference, decide=decide
    )


def _ms(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 3)
