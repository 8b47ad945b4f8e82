"""The queue's async shell: every sample is answered exactly once, whatever happens."""

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.arena import slot_of
from sidecar.classify.engine import Engine
from sidecar.classify.labels import ScoreRow
from sidecar.classify.planner import BatchPlanner, GivenWay, PlannerSettings, Ticket
from sidecar.clock import Clock
from sidecar.domain import Sample, Scores
from sidecar.errors import EngineDead, EngineError, GivenWayReason, SampleGivenWay
from sidecar.log import get_logger
from sidecar.stats import Stats

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Waiter:
    """A caller of `classify`, until it is answered."""

    ticket: Ticket
    sample: Sample
    answer: asyncio.Future[Scores]


@dataclass(eq=False, slots=True)
class _Run:
    """A batch on the engine.

    Attributes:
        members: Who is in it, in the order in which their pictures lie.
        started: When the engine took it up; until then, when it was put together.
    """

    members: list[Waiter]
    started: float


class Batcher:
    """Collects the samples of all streams into batches for one engine.

    While batches run, the next is being collected; once it is full it is handed over,
    so that the engine finds it ready. `run` is one task of the composition root; when
    it ends, for whatever reason, nobody is left waiting.
    """

    def __init__(
        self,
        engine: Engine,
        settings: PlannerSettings,
        clock: Clock,
        stats: Stats,
        max_consecutive_errors: int = 5,
    ) -> None:
        if settings.max_batch_size > engine.max_batch_size:
            raise ValueError("the planner's batches are larger than the engine's")
        self._engine = engine
        self._clock = clock
        self._stats = stats
        self._patience = max_consecutive_errors
        self._planner = BatchPlanner(settings)
        self._ids = itertools.count()
        self._waiters: dict[int, Waiter] = {}  # in the planner
        self._runs: list[_Run] = []  # on the engine
        self._ready: deque[_Run] = deque()  # those of them that have not begun
        self._collector = asyncio.Lock()  # whose turn it is to put a batch together
        self._scored = stats.samples.labels("scored")
        self._queue_leg = stats.leg_seconds.labels("queue")
        self._inference_leg = stats.leg_seconds.labels("inference")
        self._failures = 0
        self._wake = asyncio.Event()
        self._closed: EngineError | None = None  # why nothing more is taken
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """How many samples wait for a batch."""
        return len(self._planner)

    @property
    def failures_in_a_row(self) -> int:
        """How many batches have failed since one succeeded; 0 is healthy."""
        return self._failures

    async def classify(self, sample: Sample) -> Scores:
        """The model's scores of `sample`.

        Raises:
            SampleGivenWay: Newer ones displaced it, or it grew too old.
            EngineError: Its batch failed, or no batch runs any more.
        """
        waiter = self.enter(sample)
        try:
            return await waiter.answer
        finally:
            self.leave(waiter)
            # An exception keeps this frame, which would keep it, and the picture.
            del waiter, sample

    def enter(self, sample: Sample) -> Waiter:
        """Queues `sample`; to be followed by `answer` or `leave`, once.

        Raises:
            EngineError: No batch runs any more.
        """
        if self._closed is not None:
            raise EngineError(f"no more samples are taken: {self._closed}")
        ticket = Ticket(next(self._ids), sample.stream_id, sample.captured_at)
        answer = asyncio.get_running_loop().create_future()
        waiter = self._waiters[ticket.id] = Waiter(ticket, sample, answer)
        self._give_way(self._planner.offer(ticket, self._clock.monotonic()))
        self._wake.set()
        return waiter

    async def answer(self, waiter: Waiter) -> Scores:
        """The scores of what was entered; raises as `classify`."""
        try:
            return await waiter.answer
        finally:
            self.leave(waiter)
            del waiter  # as in `classify`

    def leave(self, waiter: Waiter) -> None:
        """Nobody waits for its answer any more; it may have one already."""
        if waiter.answer.done() and not waiter.answer.cancelled():
            waiter.answer.exception()  # it may have come just as the caller gave up
            return
        if self._forget(waiter):  # the caller gave up
            self._stats.lost.labels("classify", "cancelled").inc()
        waiter.answer.cancel()

    async def run(self) -> None:
        """Serves until `drain`; once.

        Raises:
            EngineDead: The engine is beyond hope, or failed too often in a row.
        """
        self._idle.clear()
        reason: EngineError = EngineError("the classifier has stopped")
        try:
            async with asyncio.TaskGroup() as lanes:
                for number in range(self._engine.concurrency + 1):
                    lanes.create_task(self._lane(), name=f"batcher-{number}")
        except BaseExceptionGroup as group:
            cause = _cause(group)
            if isinstance(cause, EngineDead):
                reason = cause
            raise cause from cause.__cause__
        finally:
            self._close(reason)
            self._answer_rest(reason)
            self._idle.set()

    async def drain(self) -> None:
        """Takes no more samples; returns once the batch in flight is answered.

        Samples that wait for a batch of their own get EngineError.
        """
        reason = EngineError("the classifier is stopping")
        self._close(reason)
        self._wake.set()
        await self._idle.wait()
        self._answer_rest(reason)  # if `run` was never started

    async def _lane(self) -> None:
        """Serves one batch after the other; there is one lane more than run at once."""
        while run := await self._next():
            await self._serve(run)
            del run

    async def _next(self) -> _Run | None:
        """The next batch, as soon as there is one; None once no more are taken."""
        async with self._collector:
            while self._closed is None:
                now = self._clock.monotonic()
                self._wake.clear()
                plan = self._planner.take(now, busy=self._busy)
                self._give_way(plan.given_way)
                if plan.batch:
                    return self._begin([self._waiters.pop(t.id) for t in plan.batch])
                await self._pause(now)
        return None

    @property
    def _busy(self) -> bool:
        """Whether a batch would have to wait on the engine."""
        return len(self._runs) >= self._engine.concurrency

    async def _pause(self, now: float) -> None:
        """Until something happens, or somebody is due."""
        wake_at = self._planner.next_wake(now, busy=self._busy)
        if wake_at is None:
            await self._wake.wait()
            return
        # Cheaper than `asyncio.timeout`, which would cancel this task each time.
        loop = asyncio.get_running_loop()
        due = loop.call_later(max(0.0, wake_at - now), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            due.cancel()

    def _begin(self, members: list[Waiter]) -> _Run:
        """Puts a batch on the engine's account."""
        members.sort(key=_place)  # side by side in memory they need not be copied
        run = _Run(members, self._clock.monotonic())
        if self._busy:
            self._ready.append(run)
        self._runs.append(run)
        return run

    async def _serve(self, run: _Run) -> None:
        """One batch on the engine; its error is the answer of each member."""
        self._stats.batch_size.observe(len(run.members))
        pictures = [member.sample.picture for member in run.members]
        try:
            rows = await self._engine.infer(pictures)
        except EngineDead:
            self._stats.engine_errors.inc()
            raise
        except EngineError as exc:
            self._take_up(run)
            self._failed(run, exc)
        else:
            inference_s = self._take_up(run)
            self._recovered()
            self._scored.inc(len(run.members))
            for member, row in zip(run.members, rows, strict=True):
                self._answer(member, row, run.started, inference_s)
        self._runs.remove(run)
        self._wake.set()

    def _take_up(self, done: _Run) -> float:
        """The engine goes on with the one that is ready; seconds that `done` took."""
        now = self._clock.monotonic()
        if done in self._ready:  # it overtook the others
            self._ready.remove(done)
        elif self._ready:
            self._ready.popleft().started = now
        return now - done.started

    def _answer(
        self, member: Waiter, row: ScoreRow, started: float, inference_s: float
    ) -> None:
        """Answers one member with what the model said."""
        sample = member.sample
        queue_s = max(0.0, started - sample.decoded_at)
        self._queue_leg.observe(queue_s)
        self._inference_leg.observe(inference_s)
        scores = Scores(
            stream_id=sample.stream_id,
            by_category=self._engine.categories.by_category(row),
            model=self._engine.ref,
            captured_at=sample.captured_at,
            receive_s=sample.receive_s,
            decode_s=sample.decode_s,
            queue_s=queue_s,
            inference_s=inference_s,
        )
        if not member.answer.done():
            member.answer.set_result(scores)

    def _failed(self, run: _Run, exc: EngineError) -> None:
        """Answers a batch's members with its error; too many end the engine."""
        self._stats.engine_errors.inc()
        self._failures += 1
        if self._failures == 1:
            log.warning("engine_failing", error=str(exc))
        for member in run.members:
            self._refuse(member, _copy(exc), "error")
        if self._failures >= self._patience:
            dead = EngineDead(f"{self._failures} batches in a row failed")
            self._close(dead)  # what still runs is no recovery
            raise dead from exc

    def _recovered(self) -> None:
        """The engine works (again)."""
        if self._closed is not None:
            return
        if self._failures:
            log.info("engine_recovered", failed_batches=self._failures)
        self._failures = 0

    def _give_way(self, given_way: Iterable[GivenWay]) -> None:
        """Answers those the planner gave up on."""
        for given in given_way:
            stale = given.reason is GivenWayReason.STALE
            self._stats.lost.labels("classify", given.reason).inc()
            self._refuse(
                self._waiters.pop(given.ticket.id),
                SampleGivenWay(given.ticket.stream_id, given.reason),
                "stale" if stale else "given_way",
            )

    def _answer_rest(self, reason: EngineError) -> None:
        """Nobody is left hanging when nothing more will be classified."""
        rest = [member for run in self._runs for member in run.members]
        rest += self._waiters.values()
        self._runs.clear()
        self._ready.clear()
        for member in rest:
            self._forget(member)
            self._refuse(member, _copy(reason), "error")

    def _close(self, reason: EngineError) -> None:
        """Takes no more samples, for the first reason given."""
        if self._closed is None:
            self._closed = reason

    def _forget(self, member: Waiter) -> bool:
        """Takes it out of the queue; whether it was there."""
        self._waiters.pop(member.ticket.id, None)
        return self._planner.withdraw(member.ticket)

    def _refuse(self, member: Waiter, exc: EngineError, outcome: str) -> None:
        """Answers with `exc`, unless it was answered or its caller has gone."""
        if not member.answer.done():
            self._stats.samples.labels(outcome).inc()
            member.answer.set_exception(exc)


def _place(member: Waiter) -> int:
    """Where its picture lies."""
    return slot_of(member.sample.picture)


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What ended the lanes: the engine's death rather than anything else."""
    dead = group.subgroup(EngineDead)
    return (dead or group).exceptions[0]


def _copy(exc: EngineError) -> EngineError:
    """The same word for one more caller: a raised exception collects tracebacks."""
    kind = EngineDead if isinstance(exc, EngineDead) else EngineError
    copy = kind(str(exc))
    copy.__cause__ = exc.__cause__
    return copy
