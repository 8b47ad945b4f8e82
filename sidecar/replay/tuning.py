"""Which thresholds find what was labelled soonest at how many false takedowns; pure.

The stream is the unit. A candidate is one takedown rule on one category; what it costs
is measured in two figures: `shown_s`, how long a labelled episode was shown on the mean
(all of it if it was missed), and false takedowns. Candidates that another one beats in
both are left out: the rest is the Pareto front.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from typing import Final

import numpy as np

from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.decide.rules import Rule
from sidecar.domain import ActionKind, Category
from sidecar.errors import ConfigError
from sidecar.recording.columns import Columns
from sidecar.recording.whatif import Fired, what_if
from sidecar.replay.intervals import needed_for_rate, needed_for_share
from sidecar.replay.labels import Episode, Label, episodes
from sidecar.replay.metrics import HOURS, Figures, figures

_ENTERS: Final = 10
_EXITS: Final = (0.5, 0.75)  # of the enter threshold
_WINDOWS: Final = ((2, 3), (3, 5), (2, 5), (4, 6), (5, 8))
_SPANS: Final = (5.0, 10.0, 30.0)
_COOLDOWN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be shown of a policy, and so how much data is needed.

    Attributes:
        recall: Share of the labelled streams that must be found.
        false_per_1000h: False takedowns in 1,000 hours of harmless streams.
    """

    recall: float = 0.9
    false_per_1000h: float = 10.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule, and what came of it.

    Attributes:
        rule: The takedown rule.
        found: Its figures, on all streams.
        shown_s: How long an episode was shown, on the mean.
    """

    rule: Rule
    found: Figures
    shown_s: float

    @property
    def false(self) -> int:
        """How many false takedowns."""
        return len(self.found.false)


@dataclass(frozen=True, slots=True)
class Tuned:
    """One category's outcome.

    Attributes:
        category: Which.
        candidates: All that were tried.
        front: Those that none beats in both figures, fewest false takedowns first.
        best: The one that is recommended.
        held_out: What was chosen on one half of the streams, on the other half, and
            the other way round: figures that the choice could not flatter.
    """

    category: Category
    candidates: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    best: Candidate
    held_out: tuple[Figures, ...]


@dataclass(frozen=True, slots=True)
class Data:
    """What is tuned on: samples, how long each stream was watched, and labels."""

    columns: Columns
    watched_s: dict[str, float]
    labels: Sequence[Label]

    def part(self, wanted: Callable[[str], bool]) -> "Data":
        """The same of some streams; their samples stay where they are."""
        watched = {name: s for name, s in self.watched_s.items() if wanted(name)}
        return Data(self.columns, watched, self.labels)


def require_enough(data: Data, category: Category, wishes: Wishes) -> None:
    """Raises ConfigError if there is too little, with the count that is needed."""
    spans = _spans(data, category)
    bad = {span.stream for span in spans}
    streams = needed_for_share(wishes.recall)
    hours = needed_for_rate(wishes.false_per_1000h / HOURS)
    harmless_h = sum(s for n, s in data.watched_s.items() if n not in bad) / 3600
    faults = []
    if len(bad) < streams:
        faults.append(
            f"{category}: labelled in {len(bad)} streams, and a recall of "
            f"{wishes.recall:g} needs {streams} to be shown with 95 % confidence: "
            "label more, or ask for less with --recall"
        )
    if harmless_h < hours:
        faults.append(
            f"{category}: {harmless_h:.1f} hours of harmless streams, and "
            f"{wishes.false_per_1000h:g} false takedowns in 1,000 hours need "
            f"{hours:.0f} (rule of three): record more, or ask for less with "
            "--false-per-1000h"
        )
    if faults:
        raise ConfigError(*faults)


def tune(
    data: Data,
    category: Category,
    wishes: Wishes,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> Tuned:
    """The best rule for one category; `tell` hears how many of how many were tried."""
    rules = list(_rules(data, category))
    tried: list[tuple[Rule, Candidate]] = []
    halves = [data.part(_half(0)), data.part(_half(1))]
    by_half: list[list[Candidate]] = [[], []]
    for number, rule in enumerate(rules):
        fired = what_if(data.columns, _policies(rule))
        tried.append((rule, _candidate(rule, data, category, fired)))
        for half, found in zip(halves, by_half, strict=True):
            found.append(_candidate(rule, half, category, fired))
        tell(number + 1, len(rules))
    candidates = [candidate for _, candidate in tried]
    places = [_best(found, wishes) for found in by_half]
    return Tuned(
        category=category,
        candidates=tuple(candidates),
        front=tuple(_front(candidates)),
        best=candidates[_best(candidates, wishes)],
        held_out=(by_half[1][places[0]].found, by_half[0][places[1]].found),
    )


def _half(which: int) -> Callable[[str], bool]:
    """Half of all streams, always the same."""
    return lambda name: sha256(name.encode()).digest()[0] % 2 == which


def _policies(rule: Rule) -> PolicySet:
    return PolicySet((Policy("tuning", Selector(), (rule,), None, 10.0),))


def _spans(data: Data, category: Category) -> list[Episode]:
    return [
        span
        for span in episodes(data.labels)
        if span.category is category and span.stream in data.watched_s
    ]


def _rules(data: Data, category: Category) -> Iterator[Rule]:
    """Enter thresholds where the labelled samples are; windows of a few shapes."""
    for enter, share, (hits, of), within_s in product(
        _enters(data, category), _EXITS, _WINDOWS, _SPANS
    ):
        yield Rule(
            f"takedown-{category}",
            category,
            ActionKind.TAKEDOWN,
            enter=enter,
            exit=round(enter * share, 3),
            hits=hits,
            of=of,
            within_s=within_s,
            cooldown_s=_COOLDOWN_S,
        )


def _enters(data: Data, category: Category) -> list[float]:
    """Quantiles of the scores inside labelled spans, rounded to hundredths."""
    inside = [data.columns.scores[category][:0]]
    for span in _spans(data, category):
        index = data.columns.index(span.stream)
        if index is None:
            continue
        own = data.columns.span(index)
        times = data.columns.captured_at[own]
        chosen = (times >= span.start) & (times <= span.end)
        inside.append(data.columns.scores[category][own][chosen])
    scores = np.concatenate(inside)
    scores = scores[~np.isnan(scores)]
    if not len(scores):
        raise ConfigError(f"{category}: no sample was taken in any labelled span")
    points = np.quantile(scores, np.linspace(0.05, 0.95, _ENTERS))
    return sorted({min(0.99, max(0.05, round(float(p), 2))) for p in points})


def _candidate(
    rule: Rule, data: Data, category: Category, fired: Iterable[Fired]
) -> Candidate:
    mine = [label for label in data.labels if label.category is category]
    cuts = [one for one in fired if one.stream in data.watched_s]
    found = figures(data.watched_s, cuts, mine, data.columns)
    shown = [
        d.episode.end - d.episode.start
        if d.after_s is None
        else min(d.after_s, d.episode.end - d.episode.start)
        for d in found.detections
    ]
    return Candidate(rule, found, sum(shown) / len(shown) if shown else 0.0)


def _best(candidates: Sequence[Candidate], wishes: Wishes) -> int:
    """Reaches the recall, or comes nearest; then fewest false; then soonest."""

    def rank(place: int) -> tuple[float, int, float, float]:
        one = candidates[place]
        short = max(0.0, wishes.recall - (one.found.recall.value or 0.0))
        return short, one.false, one.shown_s, -one.rule.enter

    return min(range(len(candidates)), key=rank)


def _front(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Each is shown for less time than all with fewer false takedowns."""
    shown_s = float("inf")
    for one in sorted(candidates, key=lambda c: (c.false, c.shown_s, -c.rule.enter)):
        if one.shown_s < shown_s:
            shown_s = one.shown_s
            yield one
