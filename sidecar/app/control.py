"""The control API's view of the running sidecar."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sidecar.app.spec import Origin, StreamSpec
from sidecar.app.stages import StreamFactory
from sidecar.app.streams import Streams
from sidecar.clock import Clock
from sidecar.config.schema import StreamConfig
from sidecar.decide.order import by_person
from sidecar.decide.policy import initial
from sidecar.decide.policyset import Policy
from sidecar.decide.rules import Rule
from sidecar.domain import Action, Scores, Stream
from sidecar.pipeline import Pipeline, Watch
from sidecar.publish.mqtt import MqttPublisher
from sidecar.web.ports import PutOutcome
from sidecar.web.problems import (
    NothingToReverse,
    RequestRefused,
    StreamConflict,
    TooManyStreams,
    UnknownStream,
)
from sidecar.web.schemas import (
    OutboxView,
    PendingView,
    PolicyView,
    RuleView,
    SourceView,
    StreamRequest,
    StreamView,
    scores_view,
    verdict_view,
)

_PENDING_SHOWN = 100
_CHANGEABLE = (Origin.API, Origin.MQTT)


@dataclass(frozen=True, slots=True)
class AppControl:
    """Answers and acts for `sidecar.web`; see `web.ports.Control`."""

    streams: Streams
    pipeline: Pipeline
    publisher: MqttPublisher
    factory: StreamFactory
    clock: Clock

    def list_streams(self) -> Sequence[StreamView]:
        """All streams, by id."""
        return [self._view(w) for w in sorted(self.streams, key=lambda w: w.stream.id)]

    def get(self, stream_id: str) -> StreamView:
        """One stream. Raises UnknownStream."""
        return self._view(self._watch(stream_id))

    async def put(self, stream_id: str, request: StreamRequest) -> PutOutcome:
        """Starts, or replaces, a stream; the same again is left as it is.

        Raises:
            ControlError: It is not allowed, or somebody else was quicker.
        """
        settings = await asyncio.to_thread(self._settings, stream_id, request)
        known = self.streams.get(stream_id) is not None
        if known:
            self._must_be_changeable(stream_id)
        elif self.streams.full(stream_id, self.factory.config.control.max_streams):
            raise TooManyStreams("the limit of control.max_streams is reached")
        if not self.streams.runs(stream_id, settings):
            await self._replace(self.factory.from_config(settings, Origin.API))
        return PutOutcome.UPDATED if known else PutOutcome.CREATED

    async def _replace(self, spec: StreamSpec) -> None:
        task = self.streams.exchange(spec.stream.id, spec)
        if task is not None:
            await asyncio.wait([task])
        if self.streams.spec(spec.stream.id) is not spec:
            raise StreamConflict("it was changed or ended at the same time")

    async def delete(self, stream_id: str) -> None:
        """Stops a stream. Raises UnknownStream, StreamConflict."""
        self._watch(stream_id)
        self._must_be_changeable(stream_id)
        await self.streams.remove(stream_id)

    async def report(self, stream_id: str) -> None:
        """Looks closely for a while. Raises UnknownStream."""
        self._watch(stream_id).sampler.burst()

    async def reverse(self, stream_id: str) -> str:
        """Writes a reversal to the outbox; its id. ControlError, PublishError."""
        watch = self.streams.get(stream_id)
        former = self.streams.gone.cut(stream_id)
        if watch is not None:
            if not (watch.cut or former):
                raise NothingToReverse("no takedown or interrupt was decided")
            action_id = await self.pipeline.reverse(watch)
        elif former is not None:
            action_id = await self.pipeline.send(self._reversal(former), former)
        else:
            raise UnknownStream(f"no stream {stream_id!r}")
        self.streams.gone.cleared(stream_id)
        return action_id

    async def outbox(self) -> OutboxView:
        """What waits for delivery. Raises PublishError if the disk fails."""
        now = self.clock.wall().timestamp()
        health = self.publisher.health()
        return OutboxView(
            connected=health.connected,
            depth=health.undelivered + health.awaiting,
            oldest_age_s=health.oldest_s or None,
            pending=[
                PendingView(
                    id=found.id,
                    action=found.action,
                    stream=found.stream,
                    age_s=round(max(0.0, now - found.created_at), 3),
                    attempts=found.tries,
                )
                for found in await self.publisher.pending(_PENDING_SHOWN)
            ],
        )

    def policies(self) -> Sequence[PolicyView]:
        """As they are tried."""
        counts: dict[str, int] = {}
        for watch in self.streams:
            counts[watch.policy.name] = counts.get(watch.policy.name, 0) + 1
        return [
            _policy_view(policy, counts.get(policy.name, 0))
            for policy in self.streams.policies.policies
        ]

    def _watch(self, stream_id: str) -> Watch:
        watch = self.streams.get(stream_id)
        if watch is None:
            raise UnknownStream(f"no stream {stream_id!r}")
        return watch

    def _must_be_changeable(self, stream_id: str) -> None:
        spec = self.streams.spec(stream_id)
        if spec is not None and spec.origin not in _CHANGEABLE:
            raise StreamConflict(
                "it belongs to the configuration file"
                if spec.origin is Origin.CONFIG
                else "it belongs to a publisher"
            )

    def _settings(self, stream_id: str, request: StreamRequest) -> StreamConfig:
        control = self.factory.config.control
        raw: dict[str, Any] = {
            "id": stream_id,
            "publisher": request.publisher,
            "labels": request.labels,
            "sampling": request.sampling.model_dump(exclude_none=True),
        }
        if request.whep is not None:
            raw["whep"] = {"url": request.whep.url, "trickle": request.whep.trickle}
            if request.whep.token_file is not None:
                folder = _required(control.secrets_dir, "control.secrets_dir")
                raw["whep"]["token"] = {"file": str(folder / request.whep.token_file)}
        if request.file is not None:
            folder = _required(control.media_dir, "control.media_dir")
            raw["file"] = {
                "path": folder / request.file.path,
                "loop": request.file.loop,
                "realtime": request.file.realtime,
            }
        try:
            return StreamConfig.model_validate(raw)
        except ValidationError as exc:
            raise RequestRefused(exc.errors()[0]["msg"]) from None

    def _view(self, watch: Watch) -> StreamView:
        spec = self.streams.spec(watch.stream.id)
        now = self.clock.monotonic()
        status = watch.status
        retry = None if status.retry_at is None else max(0.0, status.retry_at - now)
        location = spec.location if spec else None
        return StreamView(
            id=watch.stream.id,
            source=SourceView(kind=watch.stream.source.value, location=location),
            origin=spec.origin.value if spec else "whip",
            publisher=watch.stream.publisher,
            track=watch.stream.track,
            labels=dict(watch.stream.labels),
            state=status.state.value,
            state_age_s=round(max(0.0, now - status.since), 3),
            message=status.message,
            retry_in_s=retry,
            verdict=verdict_view(watch.verdict, self.clock),
            policy=watch.policy.name,
            decode=watch.sampler.settings.decode.value,
            decodes_all=watch.sampler.decodes_all,
            interval_s=watch.sampler.interval_s,
            samples=watch.samples,
            scores=dict(scores_view(watch.scores)),
            unchanged_for_s=_unchanged_for_s(watch.scores),
        )

    def _reversal(self, stream: Stream) -> Action:
        """For a stream that is gone: there is no state to reset."""
        policy = self.streams.policy_of(stream)
        now = self.clock.monotonic()
        return by_person(policy, stream.id, initial(policy, now).verdict, now)


def _unchanged_for_s(scores: Scores | None) -> float | None:
    if scores is None or scores.unchanged_since is None:
        return None
    return round(max(0.0, scores.captured_at - scores.unchanged_since), 3)


def _required(folder: Path | None, key: str) -> Path:
    if folder is None:
        raise RequestRefused(f"not allowed here: {key} is not configured")
    return folder


def _policy_view(policy: Policy, streams: int) -> PolicyView:
    rules = [_rule_view(rule) for rule in policy.rules]
    if policy.unknown is not None:
        rules.append(
            RuleView(
                name=policy.unknown.name,
                action=policy.unknown.action,
                after_s=policy.unknown.after_s,
            )
        )
    return PolicyView(
        name=policy.name,
        hash=policy.hash,
        dry_run=policy.dry_run,
        ids=list(policy.match.ids),
        labels=dict(policy.match.labels),
        rules=rules,
        streams=streams,
    )


def _rule_view(rule: Rule) -> RuleView:
    return RuleView(
        name=rule.name,
        action=rule.action,
        category=rule.category,
        enter=rule.enter,
        exit=rule.exit,
        hits=rule.hits,
        of=rule.of,
        within_s=rule.within_s,
    )
