"""The queue's async shell: every sample is answered exactly once, whatever happens."""

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from sidecar.arena import slot_of
from sidecar.classify.alarm import Alarm
from sidecar.classify.answers import Answers, Waiter
from sidecar.classify.begin import BatchTasks, Begins, Leave
from sidecar.classify.engine import Engine
from sidecar.classify.lane import Rows
from sidecar.classify.planner import BatchPlanner, GivenWay, PlannerSettings, Ticket
from sidecar.clock import Clock
from sidecar.domain import Sample, Scores
from sidecar.errors import EngineDead, EngineError
from sidecar.log import get_logger
from sidecar.stats import Stats

__all__ = ["Batcher", "Waiter"]

log = get_logger(__name__)


@dataclass(eq=False, slots=True)
class _Run:
    """A batch on the engine.

    Attributes:
        members: Who is in it, in the order in which their pictures lie.
        started: When the engine took it up; until then, when it was put together.
        leave: Has the engine forget it.
    """

    members: list[Waiter]
    started: float
    leave: Leave | None = None


class Batcher:
    """Collects the samples of all streams into batches for one engine.

    While batches run, the next is being collected; once it is full it is handed over,
    so that the engine finds it ready. All of it happens in callbacks of the loop: a
    sample that comes, a batch that ends and a delay that is over each lead to a turn.
    `run` waits for the end; when it comes, for whatever reason, nobody is left waiting.
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
        self._concurrency = engine.concurrency
        self._tasks = BatchTasks(engine)  # none of them if the engine can do without
        self._begin = engine.begin if isinstance(engine, Begins) else self._tasks.begin
        self._clock = clock
        self._stats = stats
        self._patience = max_consecutive_errors
        self._planner = BatchPlanner(settings)
        self._answers = Answers(engine, stats)
        self._ids = itertools.count()
        self._waiters: dict[int, Waiter] = {}  # in the planner
        self._runs: list[_Run] = []  # on the engine
        self._ready: deque[_Run] = deque()  # those of them that have not begun
        self._failures = 0
        self._closed: EngineError | None = None  # why nothing more is taken
        self._end: asyncio.Future[None] | None = None  # of `run`, while it serves
        self._turn_due = False
        self._alarm = Alarm(self._turn)
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
        loop = asyncio.get_running_loop()
        waiter = Waiter(ticket, sample, loop.create_future())
        self._waiters[ticket.id] = waiter
        self._give_way(self._planner.offer(ticket, self._clock.monotonic()))
        if self._has_room and not self._turn_due and self._end is not None:
            self._turn_due = True  # once for all that enter by then: fuller batches
            loop.call_soon(self._soon_over)
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
            self._answers.cancelled()
        waiter.answer.cancel()

    async def run(self) -> None:
        """Serves until `drain`; once.

        Raises:
            EngineDead: The engine is beyond hope, or failed too often in a row.
        """
        self._idle.clear()
        reason = EngineError("the classifier has stopped")
        self._end = asyncio.get_running_loop().create_future()
        try:
            self._turn()
            await self._end
        except EngineDead as exc:
            reason = exc
            raise
        finally:
            self._close(reason)
            self._end = None
            self._alarm.clear()
            self._answer_rest(reason)
            await self._tasks.close()
            self._idle.set()

    async def drain(self) -> None:
        """Takes no more samples; returns once the batch in flight is answered.

        Samples that wait for a batch of their own get EngineError.
        """
        reason = EngineError("the classifier is stopping")
        self._close(reason)
        self._turn()
        await self._idle.wait()
        self._answer_rest(reason)  # if `run` was never started

    @property
    def _busy(self) -> bool:
        """Whether a batch would have to wait on the engine."""
        return len(self._runs) >= self._concurrency

    @property
    def _has_room(self) -> bool:
        """Whether the engine may be given one more: one is ready beside those run."""
        return len(self._runs) <= self._concurrency

    def _turn(
        self,
        ended: _Run | None = None,
        rows: Rows | None = None,
        error: BaseException | None = None,
    ) -> None:
        """After something has happened: answers a batch, hands over what is due."""
        if self._end is None or self._end.done():
            return
        try:
            if ended is not None:
                self._settle(ended, rows, error)
            if self._closed is None:
                self._hand_over()
            elif not self._runs:
                self._end.set_result(None)
        except Exception as exc:  # noqa: BLE001 (`run` raises it: the loop would not)
            self._end.set_exception(exc)

    def _soon_over(self) -> None:
        """The turn of all samples that have entered since it was due."""
        self._turn_due = False
        self._turn()

    def _hand_over(self) -> None:
        """Gives the engine batches as long as there is one due, and room for it."""
        while self._waiters and self._has_room:
            now = self._clock.monotonic()
            plan = self._planner.take(now, busy=self._busy)
            self._give_way(plan.given_way)
            if not plan.batch:
                self._alarm.set(self._planner.next_wake(now, busy=self._busy), now)
                return
            self._start([self._waiters.pop(t.id) for t in plan.batch])
        self._alarm.clear()

    def _start(self, members: list[Waiter]) -> None:
        """Puts a batch on the engine."""
        members.sort(key=_place)  # side by side in memory they need not be copied
        run = _Run(members, self._clock.monotonic())
        if self._busy:
            self._ready.append(run)
        self._runs.append(run)
        self._stats.batch_size.observe(len(members))
        pictures = [member.sample.picture for member in members]
        run.leave = self._begin(pictures, partial(self._turn, run))

    def _settle(
        self, run: _Run, rows: Rows | None, error: BaseException | None
    ) -> None:
        """Answers a batch's members; its error is the answer of each."""
        if rows is not None:
            inference_s = self._take_up(run)
            self._recovered()
            self._answers.scores(run.members, rows, run.started, inference_s)
        elif isinstance(error, EngineError) and not isinstance(error, EngineDead):
            self._take_up(run)
            self._failed(run, error)
        else:
            self._stats.engine_errors.inc(isinstance(error, EngineDead))
            raise error or AssertionError("neither rows nor an error")
        self._runs.remove(run)

    def _take_up(self, done: _Run) -> float:
        """The engine goes on with the one that is ready; seconds that `done` took."""
        now = self._clock.monotonic()
        if done in self._ready:  # it overtook the others
            self._ready.remove(done)
        elif self._ready:
            self._ready.popleft().started = now
        return now - done.started

    def _failed(self, run: _Run, exc: EngineError) -> None:
        """Answers a batch's members with its error; too many end the engine."""
        self._stats.engine_errors.inc()
        self._failures += 1
        if self._failures == 1:
            log.warning("engine_failing", error=str(exc))
        self._answers.errors(run.members, exc)
        if self._failures >= self._patience:
            dead = EngineDead(f"{self._failures} batches in a row failed")
            self._close(dead)  # what still runs is no recovery
            raise dead from exc

    def _recovered(self) -> None:
        """The engine works (again)."""
        if self._failures and self._closed is None:
            log.info("engine_recovered", failed_batches=self._failures)
            self._failures = 0

    def _give_way(self, given_way: Iterable[GivenWay]) -> None:
        """Answers those the planner gave up on."""
        for given in given_way:
            member = self._waiters.pop(given.ticket.id)
            self._answers.given_way(member, given.reason)

    def _answer_rest(self, reason: EngineError) -> None:
        """Nobody is left hanging when nothing more will be classified."""
        for run in self._runs:
            if run.leave is not None:
                run.leave()
            self._answers.errors(run.members, reason)
        self._runs.clear()
        self._ready.clear()
        waiting = list(self._waiters.values())
        for member in waiting:
            self._forget(member)
        self._answers.errors(waiting, reason)

    def _close(self, reason: EngineError) -> None:
        """Takes no more samples, for the first reason given."""
        if self._closed is None:
            self._closed = reason

    def _forget(self, member: Waiter) -> bool:
        """Takes it out of the queue; whether it was there."""
        self._waiters.pop(member.ticket.id, None)
        return self._planner.withdraw(member.ticket)


def _place(member: Waiter) -> int:
    """Where its picture lies."""
    return slot_of(member.sample.picture)
