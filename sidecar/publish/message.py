"""Pure: actions, verdicts, status and scores to topics, properties and JSON bytes.

No picture, address, URL or free text: what does not have the shape of an id is left
out rather than sent, and an odd number is bent into range rather than lose a takedown.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from sidecar.domain import (
    Action,
    ModelRef,
    PolicyRef,
    Scores,
    Stream,
    Verdict,
)
from sidecar.publish import wire
from sidecar.publish.parts import (
    TEXT_MAX,
    model_part,
    model_part_or_none,
    policy_part,
    reason_part,
    share,
    stamp,
    subject_part,
    timings_part,
)
from sidecar.publish.topics import Topics

JSON_TYPE: Final = "application/json"

WallTime = Callable[[float], datetime]
StatusName = Literal["online", "degraded", "draining", "offline"]


class Kind(StrEnum):
    """What kind of message: the closed set that counters are labelled with."""

    ACTION = "action"
    VERDICT = "verdict"
    STATUS = "status"
    SCORES = "scores"


@dataclass(frozen=True, slots=True)
class SidecarIdentity:
    """Who speaks. `id` has the shape of a stream id."""

    id: str
    version: str


@dataclass(frozen=True, slots=True)
class Properties:
    """MQTT 5 properties; left out under 3.1.1. Expiry is added when it is sent."""

    content_type: str = JSON_TYPE
    correlation: str | None = None
    response_topic: str | None = None
    user: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One message, ready to send.

    Attributes:
        expires_at: Unix seconds after which it is worth nothing; None if retained.
    """

    kind: Kind
    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties = Properties()
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """Turns the house's words into messages.

    Args:
        topics: Where to.
        identity: Who speaks.
        wall: The UTC time of a monotonic instant.
        action_qos: 1, or 2 by choice.
    """

    topics: Topics
    identity: SidecarIdentity
    wall: WallTime
    action_qos: int = 1

    def action(self, action_id: str, action: Action, stream: Stream) -> Message:
        """The signal itself, under the idempotency key `action_id`."""
        decided_at = self.wall(action.decided_at)
        expires_at = decided_at + timedelta(seconds=action.expires_s)
        payload = wire.ActionPayload(
            id=action_id,
            action=action.kind.value,
            dry_run=action.dry_run,
            subject=subject_part(stream),
            reason=reason_part(action.reason),
            policy=policy_part(action.policy),
            model=model_part_or_none(action.model),
            evidence=tuple(
                wire.EvidencePart(
                    captured_at=stamp(self.wall(e.captured_at)),
                    score=share(e.score),
                    unchanged_since=self._stamp_or_none(e.unchanged_since),
                )
                for e in action.evidence
            ),
            captured_at=stamp(self.wall(action.captured_at)),
            decided_at=stamp(decided_at),
            expires_at=stamp(expires_at),
            sidecar=self._sidecar(),
            timings_ms=timings_part(action.scores, action.decided_at),
        )
        return Message(
            Kind.ACTION,
            self.topics.action(stream.id, action.kind.value),
            _json(payload),
            qos=self.action_qos,
            retain=False,
            properties=Properties(
                correlation=action_id, response_topic=self.topics.ack(action_id)
            ),
            expires_at=expires_at.timestamp(),
        )

    def verdict(
        self,
        stream_id: str,
        verdict: Verdict,
        now: float,
        *,
        policy: PolicyRef | None = None,
        model: ModelRef | None = None,
        models: tuple[ModelRef, ...] = (),
    ) -> Message:
        """The stream's present verdict as of `now`, retained."""
        seen = verdict.seen_at
        payload = wire.VerdictPayload(
            stream=stream_id,
            state=verdict.state,
            reason=verdict.reason,
            categories=verdict.categories,
            since=stamp(self.wall(verdict.since)),
            seen_at=None if seen is None else stamp(self.wall(seen)),
            age_s=None if seen is None else round(max(0.0, now - seen), 3),
            at=stamp(self.wall(now)),
            policy=None if policy is None else policy_part(policy),
            model=model_part_or_none(model),
            models=tuple(model_part(one) for one in models),
            sidecar=self._sidecar(),
        )
        topic = self.topics.verdict(stream_id)
        return Message(Kind.VERDICT, topic, _json(payload), qos=1, retain=True)

    def no_verdict(self, stream_id: str) -> Message:
        """Empties the stream's retained verdict: it has ended."""
        return emptied(self.topics.verdict(stream_id))

    def status(
        self, state: StatusName, reasons: Iterable[str] = (), now: float | None = None
    ) -> Message:
        """The sidecar's status, retained; without `now` it is the last will.

        Args:
            state: One of the contract's four.
            reasons: Words such as `outbox_full`, never sentences.
            now: Monotonic instant of the stamp `at`.
        """
        payload = wire.StatusPayload(
            state=state,
            reasons=tuple(reasons),
            at=None if now is None else stamp(self.wall(now)),
            sidecar=self._sidecar(),
        )
        return Message(
            Kind.STATUS, self.topics.status, _json(payload), qos=1, retain=True
        )

    def scores(self, scores: Scores) -> Message:
        """Telemetry of one sample, QoS 0."""
        payload = wire.ScoresPayload(
            stream=scores.stream_id,
            captured_at=stamp(self.wall(scores.captured_at)),
            categories={
                category: wire.LabelScorePart(
                    score=share(one.score),
                    label=one.label[:TEXT_MAX],
                    model=model_part(scores.model_of(category)),
                )
                for category, one in scores.by_category.items()
            },
            model=model_part(scores.model),
            models=tuple(model_part(one) for one in scores.models),
            unchanged_since=self._stamp_or_none(scores.unchanged_since),
            timings_ms=timings_part(scores, None),
            sidecar=self._sidecar(),
        )
        topic = self.topics.scores(scores.stream_id)
        return Message(Kind.SCORES, topic, _json(payload), qos=0, retain=False)

    def _stamp_or_none(self, instant: float | None) -> str | None:
        return None if instant is None else stamp(self.wall(instant))

    def _sidecar(self) -> wire.SidecarPart:
        return wire.SidecarPart(id=self.identity.id, version=self.identity.version)


def emptied(topic: str) -> Message:
    """Takes the retained verdict on `topic` off the broker."""
    return Message(Kind.VERDICT, topic, b"", qos=1, retain=True)


def _json(payload: wire.Out) -> bytes:
    return payload.model_dump_json(by_alias=True).encode()
