"""The flow itself, left to right: pictures in, signals out.

    source -> sampler -> batcher -> policy -> outbox and broker

One task a stream, at most one sample of it in flight; what comes meanwhile waits in the
source's bounded buffer, where the newest wins. Actions go to the outbox in a task of
their own, `Owed`: no stream waits for the disk.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

from sidecar.clock import Clock
from sidecar.decide.onlooker import Onlooker
from sidecar.decide.policy import (
    Policy,
    PolicyState,
    Step,
    carry,
    comeback,
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
    ModelRef,
    Picture,
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
from sidecar.publish.owed import Owed, log_action
from sidecar.publish.publisher import Publisher
from sidecar.sample.stream_sampler import StreamSampler
from sidecar.stats import Stats

log = get_logger(__name__)


class Classifier(Protocol):
    """What the pipeline needs of the classify stage."""

    async def classify(self, sample: Sample) -> Scores:
        """Scores, or EngineError, exactly once a sample."""


@dataclass(slots=True)
class Watch:
    """One stream under watch and all that is known of it.

    Attributes:
        peek: Somebody asked to see the next picture; must keep no view of it.
    """

    stream: Stream
    sampler: StreamSampler
    policy: Policy
    state: PolicyState
    verdict: Verdict
    status: StreamStatus
    scores: Scores | None = None
    samples: int = 0
    cut: bool = False
    began_at: float = 0.0
    accounted_at: float = 0.0
    peek: Callable[[Picture], None] | None = None


class Pipeline:
    """Drives every watch from its pictures to its signals.

    Attributes:
        is_paused: Whether a person has paused a stream's automation: what is decided
            of it meanwhile is a dry run.
    """

    def __init__(
        self,
        classifier: Classifier,
        publisher: Publisher,
        owed: Owed,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._classifier = classifier
        self._publisher = publisher
        self._clock = clock
        self._stats = stats
        self._owed = owed
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self._onlookers: tuple[Onlooker, ...] = ()
        self.is_paused: Callable[[str], bool] = _never

    def add_onlooker(self, onlooker: Onlooker) -> None:
        """`onlooker` is told from now on, after those added before it."""
        self._onlookers = (*self._onlookers, onlooker)

    def begin(self, stream: Stream, sampler: StreamSampler, policy: Policy) -> Watch:
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
        for onlooker in self._onlookers:
            onlooker.began(stream, policy, now)
        return watch

    def resume(self, watch: Watch, before: Policy, state: PolicyState) -> None:
        """A stream came back: what was seen of it goes on counting."""
        now = self._clock.monotonic()
        watch.state = comeback(before, watch.policy, state, now)

    async def watch(self, watch: Watch, source: AccessUnitSource) -> None:
        """Looks at a connected stream until it ends. StreamError: it broke."""
        async with aclosing(watch.sampler.samples(source)) as samples:
            async for sample in samples:
                if not self._stopping:
                    with self._in_flight():
                        await self._look(watch, sample)
                del sample  # whoever keeps it keeps its picture's slot

    async def _look(self, watch: Watch, sample: Sample) -> None:
        if watch.peek is not None:
            watch.peek(sample.picture)
        try:
            scores = await self._classifier.classify(sample)
        except SampleGivenWay as exc:
            self._missed(watch, UnknownReason(exc.reason))
            return
        except EngineError:
            if not self._stopping:
                self._unseen(watch, UnknownReason.ENGINE_ERROR)
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
        step = self._record(watch, step)
        for onlooker in self._onlookers:
            onlooker.scored(watch.stream, watch.policy, scores, step, began)

    def _missed(self, watch: Watch, reason: UnknownReason) -> None:
        """A sample was left out: UNKNOWN, but only once the last look is too old.

        Under overload every other sample may be: each verdict would change twice a
        second, on the bus and in the log, and say no more than its age does.
        """
        seen_at, now = watch.verdict.seen_at, self._clock.monotonic()
        if seen_at is None or now - seen_at > watch.policy.stale_after_s:
            self._unseen(watch, reason)

    def _unseen(self, watch: Watch, reason: UnknownReason) -> None:
        now = self._clock.monotonic()
        step = unseen(watch.policy, watch.stream.id, watch.state, reason, now)
        step = self._record(watch, step)
        for onlooker in self._onlookers:
            onlooker.unseen(watch.stream, watch.policy, reason, step, now)

    def tick(self, watch: Watch) -> None:
        """Called about twice a second: staleness, and the time account."""
        now = self._clock.monotonic()
        self._account(watch, now)
        if not self._stopping:
            step = tick(watch.policy, watch.stream.id, watch.state, now)
            step = self._record(watch, step)
            for onlooker in self._onlookers:
                onlooker.ticked(watch.stream, watch.policy, step, now)

    def report_status(self, watch: Watch, status: StreamStatus) -> None:
        """Takes the supervisor's word; a stream that is not there is UNKNOWN.

        Not so while we are leaving: no stream is cut off for being let go of.
        """
        watch.status = status
        if status.unknown is not None and not self._stopping:
            self._unseen(watch, status.unknown)

    def repolicy(self, watch: Watch, policy: Policy) -> None:
        """Puts a watch under another policy; unchanged rules keep their windows."""
        now = self._clock.monotonic()
        watch.state = carry(watch.policy, policy, watch.state, now)
        watch.policy = policy
        for onlooker in self._onlookers:
            onlooker.began(watch.stream, policy, now)

    async def reverse(self, watch: Watch) -> str:
        """A person cleared the case: says so, and starts the count anew.

        Returns:
            The action's id, once it is on disk.

        Raises:
            PublishError: It is not, and nothing was changed.
        """
        action = self._reversed(watch).actions[0]
        watch.cut = False  # a takedown that is decided meanwhile sets it again
        try:
            action_id = await self.send(action, watch.stream)
        except BaseException:
            watch.cut = True
            raise
        step = self._reversed(watch)  # anew: scores or a policy came meanwhile
        self._record(watch, replace(step, actions=step.actions[1:]))
        now = self._clock.monotonic()
        for onlooker in self._onlookers:
            onlooker.cleared(watch.stream, watch.policy, step, now)
        return action_id

    async def send(self, action: Action, stream: Stream) -> str:
        """A person's action, at once; its id once it is on disk.

        Raises:
            PublishError: It is not, or would overtake one that is still owed.
        """
        if self._owed.has(stream.id):
            raise PublishError("an earlier action is not on disk yet; try again")
        action_id = await self._publisher.publish_action(action, stream)
        self._count(action)
        log_action(action, action_id)
        return action_id

    def _reversed(self, watch: Watch) -> Step:
        now = self._clock.monotonic()
        return reverse(watch.policy, watch.stream.id, watch.state, now)

    def end(self, watch: Watch) -> None:
        """The stream is gone; its retained verdict is emptied."""
        now = self._clock.monotonic()
        self._account(watch, now)
        watch.sampler.close()
        self._publisher.set_verdict(watch.stream, None)
        for onlooker in self._onlookers:
            onlooker.ended(watch.stream, now)

    def _record(self, watch: Watch, step: Step) -> Step:
        """Puts a step into effect; as it went out, if the stream is paused."""
        if step.actions and self.is_paused(watch.stream.id):
            step = replace(step, actions=tuple(map(_dry, step.actions)))
        watch.state = step.state
        self._account(watch, self._clock.monotonic())
        if _differs(watch.verdict, step.verdict):
            model, models = _models_of(watch.scores, step.verdict)
            self._publisher.set_verdict(
                watch.stream, step.verdict, model=model, models=models
            )
            _log_verdict(watch.stream, step.verdict)
        watch.verdict = step.verdict
        for action in step.actions:
            watch.cut = watch.cut or action.kind in CUTS
            self._count(action)
            self._owed.add(action, watch.stream)
        return step

    def _count(self, action: Action) -> None:
        category = action.reason.category or UNKNOWN_LABEL
        dry_run = str(action.dry_run).lower()
        self._stats.actions.labels(action.kind, category, dry_run).inc()

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


def _never(_stream_id: str) -> bool:
    return False


def _dry(action: Action) -> Action:
    return replace(action, dry_run=True, require_enforced=False)


def _models_of(
    scores: Scores | None, verdict: Verdict
) -> tuple[ModelRef | None, tuple[ModelRef, ...]]:
    """Whose score the verdict rests on (of several models), and all who looked."""
    if scores is None:
        return None, ()
    if not verdict.categories:
        return scores.model, scores.models
    return scores.model_of(verdict.categories[0]), scores.models


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
