"""The flow itself, left to right: pictures in, signals out.

    source -> sampler -> batcher -> policy -> outbox and broker

One task a stream, at most one sample of it in flight; what comes meanwhile waits in the
source's bounded buffer, where the newest wins.
"""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from sidecar.clock import Clock
from sidecar.decide.policy import (
    Policy,
    PolicyState,
    Step,
    carry,
    initial,
    observe,
    reverse,
    tick,
    unseen,
)
from sidecar.domain import (
    Action,
    ActionKind,
    Category,
    Sample,
    Scores,
    Stream,
    StreamState,
    UnknownReason,
    Verdict,
    VerdictState,
)
from sidecar.errors import EngineError, PublishError, SampleGivenWay
from sidecar.ingest.source import AccessUnitSource
from sidecar.ingest.supervisor import StreamStatus
from sidecar.log import get_logger
from sidecar.publish.publisher import Publisher
from sidecar.sample.sampler import Sampler
from sidecar.stats import Stats

log = get_logger(__name__)


class Classifier(Protocol):
    """What the pipeline needs of the classify stage."""

    async def classify(self, sample: Sample) -> Scores:
        """Scores, or EngineError, exactly once a sample."""


@dataclass(slots=True)
class Watch:
    """One stream under watch and all that is known of it."""

    stream: Stream
    sampler: Sampler
    policy: Policy
    state: PolicyState
    verdict: Verdict
    status: StreamStatus
    scores: Scores | None = None
    samples: int = 0
    cut: bool = False
    began_at: float = 0.0
    accounted_at: float = 0.0
    owed: dict[str, Action] = field(default_factory=dict)
    paying: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pipeline:
    """Drives every watch from its pictures to its signals."""

    def __init__(
        self,
        classifier: Classifier,
        publisher: Publisher,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._classifier = classifier
        self._publisher = publisher
        self._clock = clock
        self._stats = stats
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    def begin(self, stream: Stream, sampler: Sampler, policy: Policy) -> Watch:
        """A watch that has not seen anything: its verdict is UNKNOWN(starting)."""
        now = self._clock.monotonic()
        state = initial(policy, now)
        watch = Watch(
            stream=stream,
            sampler=sampler,
            policy=policy,
            state=state,
            verdict=state.verdict,
            status=StreamStatus(StreamState.CONNECTING, now, None, None, None),
            began_at=now,
            accounted_at=now,
        )
        self._publisher.set_verdict(stream, watch.verdict)
        return watch

    async def watch(self, watch: Watch, source: AccessUnitSource) -> None:
        """Looks at a connected stream until it ends. StreamError: it broke."""
        async with aclosing(watch.sampler.samples(source)) as samples:
            async for sample in samples:
                with self._in_flight():
                    await self._look(watch, sample)
                if self._stopping:
                    return

    async def _look(self, watch: Watch, sample: Sample) -> None:
        try:
            scores = await self._classifier.classify(sample)
        except SampleGivenWay as exc:
            await self._apply(watch, self._unseen(watch, UnknownReason(exc.reason)))
            return
        except EngineError:
            if self._stopping:
                return
            await self._apply(watch, self._unseen(watch, UnknownReason.ENGINE_ERROR))
            return
        began = self._clock.monotonic()
        watch.scores = scores
        watch.samples += 1
        watch.sampler.observe(risk_of(scores))
        self._publisher.publish_scores(scores)
        step = observe(watch.policy, watch.stream.id, watch.state, scores, began)
        self._stats.leg_seconds.labels("decide").observe(
            self._clock.monotonic() - began
        )
        await self._apply(watch, step)

    def _unseen(self, watch: Watch, reason: UnknownReason) -> Step:
        now = self._clock.monotonic()
        return unseen(watch.policy, watch.stream.id, watch.state, reason, now)

    async def tick(self, watch: Watch) -> None:
        """Called about twice a second: staleness, the time account, what is owed."""
        now = self._clock.monotonic()
        self._account(watch, now)
        step = tick(watch.policy, watch.stream.id, watch.state, now)
        await self._apply(watch, step)

    def report_status(self, watch: Watch, status: StreamStatus) -> None:
        """Takes the supervisor's word; a stream that is not there is UNKNOWN."""
        watch.status = status
        if status.unknown is not None:
            self._record(watch, self._unseen(watch, status.unknown))

    def repolicy(self, watch: Watch, policy: Policy) -> None:
        """Puts a watch under another policy; unchanged rules keep their windows."""
        now = self._clock.monotonic()
        watch.state = carry(watch.policy, policy, watch.state, now)
        watch.policy = policy

    async def reverse(self, watch: Watch) -> str:
        """A person cleared the case: says so, and starts the count anew.

        Returns:
            The action's id, once it is on disk.

        Raises:
            PublishError: It is not, and nothing was changed.
        """
        now = self._clock.monotonic()
        step = reverse(watch.policy, watch.stream.id, watch.state, now)
        await self._pay(watch)  # a takedown that is owed goes first
        (action,) = step.actions
        action_id = await self._publisher.publish_action(action, watch.stream)
        self._count(action)
        _log_action(action, action_id)
        self._record(watch, replace(step, actions=()))
        watch.cut = False
        return action_id

    def end(self, watch: Watch) -> None:
        """The stream is gone; its retained verdict is emptied."""
        self._account(watch, self._clock.monotonic())
        self._publisher.set_verdict(watch.stream, None)

    async def _apply(self, watch: Watch, step: Step) -> None:
        self._record(watch, step)
        await self._pay(watch)

    def _record(self, watch: Watch, step: Step) -> None:
        watch.state = step.state
        self._account(watch, self._clock.monotonic())
        if _differs(watch.verdict, step.verdict):
            model = watch.scores.model if watch.scores else None
            self._publisher.set_verdict(watch.stream, step.verdict, model=model)
            _log_verdict(watch.stream, step.verdict)
        watch.verdict = step.verdict
        for action in step.actions:
            watch.owed[action.policy.rule] = action
            watch.cut = watch.cut or action.kind in CUTS
            self._count(action)

    def _count(self, action: Action) -> None:
        category = action.reason.category or UNKNOWN_LABEL
        dry_run = str(action.dry_run).lower()
        self._stats.actions.labels(action.kind, category, dry_run).inc()

    async def _pay(self, watch: Watch) -> None:
        """Hands what is owed to the outbox; what fails stays owed till next time."""
        async with watch.paying:
            for rule, action in list(watch.owed.items()):
                try:
                    action_id = await self._publisher.publish_action(
                        action, watch.stream
                    )
                except PublishError as exc:
                    log.error(
                        "action_not_on_disk", stream=watch.stream.id, error=str(exc)
                    )
                    return
                if watch.owed.get(rule) is action:
                    del watch.owed[rule]
                _log_action(action, action_id)

    def _account(self, watch: Watch, now: float) -> None:
        """Adds the time since the last account to the present verdict."""
        reason = watch.verdict.reason or ""
        self._stats.coverage_seconds.labels(watch.verdict.state, reason).inc(
            max(0.0, now - watch.accounted_at)
        )
        watch.accounted_at = now

    @contextmanager
    def _in_flight(self) -> Iterator[None]:
        self._busy += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    async def finish(self) -> None:
        """Takes no further sample; returns when those in flight are decided."""
        self._stopping = True
        await self._idle.wait()


UNKNOWN_LABEL: Final = "unknown"
CUTS: Final = (ActionKind.TAKEDOWN, ActionKind.INTERRUPT)


def risk_of(scores: Scores) -> float:
    """The highest score of any category but `safe`: what a burst is triggered by."""
    return max(
        (
            label.score
            for category, label in scores.by_category.items()
            if category is not Category.SAFE
        ),
        default=0.0,
    )


def _differs(old: Verdict, new: Verdict) -> bool:
    return (old.state, old.reason, old.categories) != (
        new.state,
        new.reason,
        new.categories,
    )


def _log_verdict(stream: Stream, verdict: Verdict) -> None:
    level = log.info if verdict.state is VerdictState.CLEAR else log.warning
    level(
        "verdict",
        stream=stream.id,
        verdict=verdict.state,
        reason=verdict.reason,
        categories=list(verdict.categories),
    )


def _log_action(action: Action, action_id: str) -> None:
    log.warning(
        "action",
        id=action_id,
        stream=action.stream_id,
        action=action.kind,
        category=action.reason.category,
        score=action.reason.score,
        unknown=action.reason.unknown,
        rule=action.policy.rule,
        dry_run=action.dry_run,
    )
