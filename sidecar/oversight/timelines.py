"""Pure: what is remembered of each stream for people to look at."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from sidecar.decide.onlooker import Onlooker
from sidecar.decide.policyset import Policy
from sidecar.decide.state import Step
from sidecar.domain import Category, Scores, Stream, UnknownReason, Verdict
from sidecar.oversight.ledger import Ledger

SPARK: Final = 48
_TURNS: Final = 200
_MOST_ENDED: Final = 1000


@dataclass(slots=True)
class Timeline:
    """One stream's past.

    Attributes:
        stream: Whose.
        policy: That held last.
        spark: Capture instant and highest score of the last samples, oldest first.
        turns: The verdicts as they changed, oldest first.
        scores: The newest.
        ended_at: When the watch ended; None while it goes on.
    """

    stream: Stream
    policy: Policy
    spark: deque[tuple[float, float]] = field(
        default_factory=lambda: deque(maxlen=SPARK)
    )
    turns: deque[Verdict] = field(default_factory=lambda: deque(maxlen=_TURNS))
    scores: Scores | None = None
    ended_at: float | None = None


class Timelines(Onlooker):
    """All streams' pasts; of those that ended the last 1,000. Feeds the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._live: dict[str, Timeline] = {}
        self._ended: OrderedDict[str, Timeline] = OrderedDict()

    def get(self, stream_id: str) -> Timeline | None:
        """One stream's, also if it has ended of late."""
        return self._live.get(stream_id) or self._ended.get(stream_id)

    def began(self, stream: Stream, policy: Policy, now: float) -> None:
        """A watch begins, or goes on under another policy."""
        del now
        known = self._live.get(stream.id) or self._ended.pop(stream.id, None)
        if known is None:
            known = Timeline(stream, policy)
        known.stream, known.policy, known.ended_at = stream, policy, None
        self._live[stream.id] = known

    def scored(
        self, stream: Stream, policy: Policy, scores: Scores, step: Step, now: float
    ) -> None:
        """A sample was classified."""
        del policy, now
        self.ledger.add(scores)
        known = self._live.get(stream.id)
        if known is not None:
            known.scores = scores
            known.spark.append((scores.captured_at, top_of(scores)[1]))
            _turn(known, step.verdict)

    def unseen(
        self,
        stream: Stream,
        policy: Policy,
        reason: UnknownReason,
        step: Step,
        now: float,
    ) -> None:
        """It could not be looked at."""
        del policy, reason, now
        self._turned(stream, step)

    def ticked(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """Time has passed."""
        del policy, now
        self._turned(stream, step)

    def cleared(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """A person cleared the case."""
        del policy, now
        self._turned(stream, step)

    def ended(self, stream: Stream, now: float) -> None:
        """The watch is over; its past is kept for a while."""
        known = self._live.pop(stream.id, None)
        if known is None:
            return
        known.ended_at = now
        self._ended[stream.id] = known
        if len(self._ended) > _MOST_ENDED:
            self._ended.popitem(last=False)

    def _turned(self, stream: Stream, step: Step) -> None:
        known = self._live.get(stream.id)
        if known is not None:
            _turn(known, step.verdict)


def top_of(scores: Scores) -> tuple[Category | None, float]:
    """The highest score of any category but `safe`, and whose it is."""
    found = [
        (label.score, category)
        for category, label in scores.by_category.items()
        if category is not Category.SAFE
    ]
    if not found:
        return None, 0.0
    score, category = max(found)
    return category, score


def _turn(timeline: Timeline, verdict: Verdict) -> None:
    """Notes `verdict` if it says something else than the one before it."""
    last = timeline.turns[-1] if timeline.turns else None
    if last is None or _word(last) != _word(verdict):
        timeline.turns.append(verdict)


def _word(verdict: Verdict) -> tuple[object, ...]:
    return verdict.state, verdict.reason, verdict.categories
