"""What each caller of `classify` is told, and how it is counted: once."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sidecar.classify.engine import Engine
from sidecar.classify.labels import ScoreRow
from sidecar.classify.lane import Rows
from sidecar.classify.planner import Ticket
from sidecar.domain import Sample, Scores
from sidecar.errors import EngineDead, EngineError, GivenWayReason, SampleGivenWay
from sidecar.stats import Stats


@dataclass(eq=False, slots=True)
class Waiter:
    """A caller of `classify`, until it is answered."""

    ticket: Ticket
    sample: Sample
    answer: asyncio.Future[Scores]


class Answers:
    """Answers waiters; one that has an answer, or has gone, is left alone.

    Args:
        engine: Whose scores they are.
        stats: Counts the samples by outcome, and the seconds of their legs.
    """

    def __init__(self, engine: Engine, stats: Stats) -> None:
        self._engine = engine
        self._stats = stats
        self._scored = stats.samples.labels("scored")
        self._queue_leg = stats.leg_seconds.labels("queue")
        self._inference_leg = stats.leg_seconds.labels("inference")

    def scores(
        self, members: Sequence[Waiter], rows: Rows, started: float, inference_s: float
    ) -> None:
        """A row each, in their order, of a batch that began at `started`."""
        self._scored.inc(len(members))
        for member, row in zip(members, rows, strict=True):
            queue_s = max(0.0, started - member.sample.decoded_at)
            self._queue_leg.observe(queue_s)
            self._inference_leg.observe(inference_s)
            scores = self._scores(member.sample, row, queue_s, inference_s)
            if not member.answer.done():
                member.answer.set_result(scores)

    def errors(self, members: Iterable[Waiter], exc: EngineError) -> None:
        """Each gets an exception of its own: one that was raised collects frames."""
        for member in members:
            self._refuse(member, _copy(exc), "error")

    def given_way(self, member: Waiter, reason: GivenWayReason) -> None:
        """It was displaced, or grew too old."""
        self._stats.lost.labels("classify", reason).inc()
        outcome = "stale" if reason is GivenWayReason.STALE else "given_way"
        exc = SampleGivenWay(member.ticket.stream_id, reason)
        self._refuse(member, exc, outcome)

    def cancelled(self) -> None:
        """A caller gave up before its sample was in a batch."""
        self._stats.lost.labels("classify", "cancelled").inc()

    def _scores(
        self, sample: Sample, row: ScoreRow, queue_s: float, inference_s: float
    ) -> Scores:
        return Scores(
            stream_id=sample.stream_id,
            by_category=self._engine.categories.by_category(row),
            model=self._engine.ref,
            captured_at=sample.captured_at,
            receive_s=sample.receive_s,
            decode_s=sample.decode_s,
            queue_s=queue_s,
            inference_s=inference_s,
        )

    def _refuse(self, member: Waiter, exc: EngineError, outcome: str) -> None:
        if not member.answer.done():
            self._stats.samples.labels(outcome).inc()
            member.answer.set_exception(exc)


def _copy(exc: EngineError) -> EngineError:
    kind = EngineDead if isinstance(exc, EngineDead) else EngineError
    copy = kind(str(exc))
    copy.__cause__ = exc.__cause__
    return copy
