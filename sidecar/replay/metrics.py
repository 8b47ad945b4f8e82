"""How good a policy was on labelled streams, with the stream as the unit; pure.

Frames of one stream are no independent cases, so none are counted: a stream was found
or was not. A takedown is *true* if its category was labelled in its stream then, or up
to `GRACE_S` before; any other one is *false*. Streams without a label count as
harmless.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.domain import ActionKind, Category
from sidecar.recording.columns import Columns
from sidecar.recording.diff import CUTS
from sidecar.recording.whatif import Fired
from sidecar.replay.intervals import Estimate, quantile, rate, share
from sidecar.replay.labels import Episode, Label, episodes

GRACE_S: Final = 10.0
PREVALENCES: Final = (1e-2, 1e-3, 1e-4)
HOURS: Final = 1000.0
QUANTILES: Final = (0.5, 0.9, 0.99)
LEGS: Final = ("sampling", "evidence", "receive", "decode", "queue", "inference")


@dataclass(frozen=True, slots=True)
class Detection:
    """A labelled episode, and what became of it.

    Attributes:
        episode: What was there.
        action: The first true action; None if there was none.
        legs: Seconds from the start to the action, by leg; empty without one.
    """

    episode: Episode
    action: Fired | None
    legs: dict[str, float] = field(default_factory=dict)

    @property
    def after_s(self) -> float | None:
        """From the episode's start to the decision."""
        return None if self.action is None else self.action.at - self.episode.start


@dataclass(frozen=True, slots=True)
class CategoryFigures:
    """One category: streams in which it was labelled, or a takedown said so."""

    found: int
    missed: int
    false: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a policy on labelled streams.

    Attributes:
        recall: Of the streams in which something was there, those taken down for it.
        false_per_1000h: False takedowns in 1,000 hours of streams.
        stream_fpr: Of the streams in which nothing was there, those taken down.
        detections: Every labelled episode.
        false: Every false takedown.
        by_category: Streams found, missed, and taken down falsely.
        confusion: By labelled category (or none) and category taken down for.
        hours: How long the streams were watched.
    """

    recall: Estimate
    false_per_1000h: Estimate
    stream_fpr: Estimate
    detections: tuple[Detection, ...]
    false: tuple[Fired, ...]
    by_category: dict[Category, CategoryFigures]
    confusion: dict[tuple[str, str], int]
    hours: float

    def precision(self, prevalence: float) -> float | None:
        """Of the streams taken down, those in which something was, at a prevalence."""
        if self.recall.value is None or self.stream_fpr.value is None:
            return None
        true = prevalence * self.recall.value
        false = (1 - prevalence) * self.stream_fpr.value
        return true / (true + false) if true + false else None

    def times(self, leg: str | None = None) -> list[float]:
        """Seconds from start to decision of all that was found, or one leg of it."""
        if leg is None:
            return [d.after_s for d in self.detections if d.after_s is not None]
        return [d.legs[leg] for d in self.detections if leg in d.legs]


LegsOf = Callable[[Fired], dict[str, float]]


def figures(
    watched_s: dict[str, float],
    fired: Iterable[Fired],
    labels: Sequence[Label],
    columns: Columns,
    legs_of: LegsOf = lambda _: {},
    kinds: Collection[ActionKind] = CUTS,
) -> Figures:
    """How good `fired` was.

    Args:
        watched_s: For how long each stream was watched; labels of others are left out.
        fired: All actions; those of other `kinds` are left out.
        labels: What was there.
        columns: The samples, for when the first one of an episode was taken.
        legs_of: The pipeline's legs of an action, seconds.
        kinds: What counts as taking a stream down.
    """
    cuts = [one for one in fired if one.action in kinds and one.category is not None]
    spans = [one for one in episodes(labels) if one.stream in watched_s]
    detections = tuple(_detection(span, cuts, columns, legs_of) for span in spans)
    false = tuple(one for one in cuts if not any(_true(one, span) for span in spans))
    bad = {span.stream for span in spans}
    found = {d.episode.stream for d in detections if d.action is not None}
    falsely = {one.stream for one in false if one.stream not in bad}
    hours = sum(watched_s.values()) / 3600
    return Figures(
        recall=share(len(found), len(bad)),
        false_per_1000h=_scaled(rate(len(false), hours)),
        stream_fpr=share(len(falsely), len(watched_s) - len(bad)),
        detections=detections,
        false=false,
        by_category=_by_category(detections, false),
        confusion=_confusion(spans, cuts),
        hours=hours,
    )


def _scaled(per_hour: Estimate) -> Estimate:
    value = None if per_hour.value is None else HOURS * per_hour.value
    return Estimate(value, HOURS * per_hour.low, HOURS * per_hour.high)


def _true(one: Fired, span: Episode) -> bool:
    return (
        (one.stream, one.category) == (span.stream, span.category)
        and span.start <= _captured(one)
        and _captured(one) <= span.end + GRACE_S
    )


def _captured(one: Fired) -> float:
    return one.at if one.captured_at is None else one.captured_at


def _detection(
    span: Episode, cuts: Sequence[Fired], columns: Columns, legs_of: LegsOf
) -> Detection:
    action = min(
        (one for one in cuts if _true(one, span)), key=lambda one: one.at, default=None
    )
    if action is None:
        return Detection(span, None)
    first = _first_sample(columns, span)
    seen_at = _captured(action) if first is None else min(first, _captured(action))
    legs = {"sampling": seen_at - span.start, "evidence": _captured(action) - seen_at}
    return Detection(span, action, legs | legs_of(action))


def _first_sample(columns: Columns, span: Episode) -> float | None:
    """When the first sample of an episode was captured."""
    index = columns.index(span.stream)
    if index is None:
        return None
    captured = columns.captured_at[columns.span(index)]
    place = int(captured.searchsorted(span.start))
    return float(captured[place]) if place < len(captured) else None


def _by_category(
    detections: Sequence[Detection], false: Sequence[Fired]
) -> dict[Category, CategoryFigures]:
    found: dict[Category, CategoryFigures] = {}
    for category in Category:
        mine = [d for d in detections if d.episode.category is category]
        bad = {d.episode.stream for d in mine}
        hit = {d.episode.stream for d in mine if d.action is not None}
        falsely = {one.stream for one in false if one.category is category}
        if bad or falsely:
            found[category] = CategoryFigures(len(hit), len(bad - hit), len(falsely))
    return found


def _confusion(
    spans: Sequence[Episode], cuts: Sequence[Fired]
) -> dict[tuple[str, str], int]:
    """Streams by what was labelled in them and what they were taken down for."""
    labelled: dict[str, set[str]] = {}
    taken: dict[str, set[str]] = {}
    for span in spans:
        labelled.setdefault(span.stream, set()).add(span.category)
    for one in cuts:
        taken.setdefault(one.stream, set()).add(one.category or "")
    counts: dict[tuple[str, str], int] = {}
    for stream in labelled.keys() | taken.keys():
        for was in sorted(labelled.get(stream, {"none"})):
            for said in sorted(taken.get(stream, {"none"})):
                counts[was, said] = counts.get((was, said), 0) + 1
    return dict(sorted(counts.items()))


def figures_json(
    found: Figures, prevalences: Iterable[float] = PREVALENCES
) -> dict[str, Any]:
    """For machines; precision at each of `prevalences`."""
    return {
        "recall": _estimate(found.recall),
        "false_takedowns_per_1000h": _estimate(found.false_per_1000h),
        "stream_false_positive_rate": _estimate(found.stream_fpr),
        "stream_hours": round(found.hours, 6),
        "time_to_detect_s": _times(found, None),
        "legs_s": {leg: _times(found, leg) for leg in LEGS if found.times(leg)},
        "precision_at_prevalence": {
            f"{prevalence:g}": _rounded(found.precision(prevalence))
            for prevalence in prevalences
        },
        "categories": {
            category: {"found": one.found, "missed": one.missed, "false": one.false}
            for category, one in found.by_category.items()
        },
        "confusion": [
            {"labelled": was, "taken_down_for": said, "streams": count}
            for (was, said), count in found.confusion.items()
        ],
        "missed": [
            {
                "stream": d.episode.stream,
                "start": d.episode.start,
                "end": d.episode.end,
                "category": d.episode.category,
            }
            for d in found.detections
            if d.action is None
        ],
        "false": [
            {"stream": one.stream, "at": _rounded(one.at), "category": one.category}
            for one in found.false
        ],
    }


def _times(found: Figures, leg: str | None) -> dict[str, float | None]:
    times = found.times(leg)
    return {f"p{q * 100:g}": _rounded(quantile(times, q)) for q in QUANTILES}


def _estimate(one: Estimate) -> dict[str, float | None]:
    return {
        "value": _rounded(one.value),
        "low": _rounded(one.low),
        "high": _rounded(one.high),
    }


def _rounded(value: float | None) -> float | None:
    """Six decimals; None where there is nothing to tell, or no bound."""
    return None if value is None or value == float("inf") else round(value, 6)
