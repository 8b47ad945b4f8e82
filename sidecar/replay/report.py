"""The HTML report of a replay: figures on top, then a timeline a stream; pure."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from sidecar.domain import VerdictState
from sidecar.recording.columns import Columns
from sidecar.replay.demands import Verdict
from sidecar.replay.intervals import Estimate, quantile
from sidecar.replay.labels import Episode, Label, episodes
from sidecar.replay.metrics import (
    LEGS,
    PREVALENCES,
    QUANTILES,
    Figures,
)
from sidecar.replay.outcome import Outcome, StreamOutcome
from sidecar.replay.page import cards, legend, page, table
from sidecar.replay.timeline import Scene, draw, drawn_categories

_MOST_STREAMS: Final = 200
_MANY: Final = 100.0


def report(
    outcome: Outcome,
    labels: Sequence[Label] = (),
    found: Figures | None = None,
    verdicts: Sequence[Verdict] = (),
) -> str:
    """The whole page; the figures of labels are there if `found` is."""
    return page("Replay", _parts(outcome, labels, found, verdicts))


def _parts(
    outcome: Outcome,
    labels: Sequence[Label],
    found: Figures | None,
    verdicts: Sequence[Verdict],
) -> Iterator[str]:
    streams = list(outcome.streams.values())
    yield f'<p class="soft">{_about(outcome, streams)}</p>'
    if outcome.partial:
        yield '<p class="bad">Stopped before the end: this is part of it.</p>'
    if verdicts:
        yield "<h2>Demands</h2>" + table(
            ("demand", "asked for", "found", ""),
            [
                (
                    v.name,
                    f"{v.wanted:g}",
                    _number(v.found),
                    "met" if v.met else "NOT MET",
                )
                for v in verdicts
            ],
        )
    if found is not None:
        yield from _figures(found)
    yield "<h2>Streams</h2>"
    yield legend(
        [
            ("labelled", "var(--band)"),
            ("not seen", "var(--unknown)"),
            ("takedown or interrupt", "var(--bad)"),
            ("other action", "var(--soft)"),
        ]
    )
    yield '<p class="soft">Dashed: enter threshold; dotted: exit threshold.</p>'
    spans = episodes(labels)
    columns = outcome.log.snapshot()
    ranked = sorted(streams, key=lambda one: -_interest(one, spans, found))
    for one in ranked[:_MOST_STREAMS]:
        yield _stream(outcome, columns, one, spans, found)
    if len(ranked) > _MOST_STREAMS:
        yield f"<p>And {len(ranked) - _MOST_STREAMS} more, of less interest.</p>"


def _about(outcome: Outcome, streams: Sequence[StreamOutcome]) -> str:
    hours = sum(one.watched_s for one in streams) / 3600
    samples = sum(one.samples for one in streams)
    models = ", ".join(f"{m.name} {m.hash[:19]}" for m in outcome.models)
    policies = ", ".join(f"{p.name} {p.hash[:19]}" for p in outcome.policies.policies)
    return escape(
        f"{len(streams)} streams, {hours:.2f} hours, {samples} samples. "
        f"Models: {models}. Policies: {policies}."
    )


def _figures(found: Figures) -> Iterator[str]:
    yield cards(
        [
            (
                "Streams found (recall)",
                _percent(found.recall.value),
                _within(found.recall),
            ),
            (
                "False takedowns in 1,000 h",
                _number(found.false_per_1000h.value),
                _bounds(found.false_per_1000h),
            ),
            (
                "Time to detect, median",
                _seconds(quantile(found.times(), 0.5)),
                " ".join(_later(found)),
            ),
            ("Watched", f"{found.hours:.2f} h", f"{len(found.detections)} labels"),
        ]
    )
    heads = ("leg", *(f"p{q * 100:g}" for q in QUANTILES))
    rows = [
        (leg, *(_seconds(quantile(found.times(leg), q)) for q in QUANTILES))
        for leg in LEGS
        if found.times(leg)
    ]
    if rows:
        yield "<h2>Time to detect, by leg</h2>" + table(heads, rows)
    yield "<h2>Categories, by stream</h2>" + table(
        ("category", "found", "missed", "false"),
        [
            (category, str(one.found), str(one.missed), str(one.false))
            for category, one in found.by_category.items()
        ],
    )
    yield "<h2>Precision, by how common it is</h2>" + table(
        ("one stream in", "precision"),
        [(f"{1 / p:,.0f}", _percent(found.precision(p))) for p in PREVALENCES],
    )


def _interest(
    one: StreamOutcome, spans: Sequence[Episode], found: Figures | None
) -> float:
    """What went wrong first, then what happened, then the rest."""
    name = one.stream.id
    wrong = found is not None and (
        any(f.stream == name for f in found.false)
        or any(d.action is None and d.episode.stream == name for d in found.detections)
    )
    labelled = any(span.stream == name for span in spans)
    return 8 * wrong + 4 * bool(one.actions) + 2 * labelled + (one.unseen_s > 0)


def _stream(
    outcome: Outcome,
    columns: Columns,
    one: StreamOutcome,
    spans: Sequence[Episode],
    found: Figures | None,
) -> str:
    name = one.stream.id
    scene = Scene(
        index=columns.index(name) or 0,
        start=one.began_at,
        end=one.ended_at,
        blind=list(_blind(one)),
        policy=outcome.policies.select(one.stream),
        actions=one.actions,
        labels=[span for span in spans if span.stream == name],
    )
    lines = [
        (category, colour)
        for category, colour in drawn_categories(columns, scene).items()
    ]
    words = " ".join(_words(one, found))
    return (
        f'<section><p><span class="name">{escape(name)}</span> {words} '
        f'<span class="soft">{one.samples} samples, {len(one.actions)} actions</span>'
        f"</p>{legend(lines)}{draw(columns, scene)}</section>"
    )


def _words(one: StreamOutcome, found: Figures | None) -> Iterator[str]:
    if found is None:
        return
    name = one.stream.id
    for detection in found.detections:
        if detection.episode.stream != name:
            continue
        if detection.after_s is None:
            missed = escape(detection.episode.category)
            yield f'<span class="bad">missed {missed}</span>'
        else:
            yield f'<span class="good">found after {detection.after_s:.1f} s</span>'
    for false in found.false:
        if false.stream == name:
            yield f'<span class="bad">false {escape(false.category or "")}</span>'


def _blind(one: StreamOutcome) -> Iterator[tuple[float, float]]:
    """The spans in which the verdict was UNKNOWN."""
    ends = [change.at for change in one.verdicts[1:]] + [one.ended_at]
    for change, end in zip(one.verdicts, ends, strict=True):
        if change.verdict is VerdictState.UNKNOWN and end > change.at:
            yield change.at, end


def _later(found: Figures) -> Iterator[str]:
    for q in QUANTILES[1:]:
        yield f"p{q * 100:g}: {_seconds(quantile(found.times(), q))}"


def _bounds(one: Estimate) -> str:
    return f"95 %: {one.low:.2f} to {one.high:.2f}"


def _within(one: Estimate) -> str:
    return f"95 %: {_percent(one.low)} to {_percent(one.high)}"


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,.0f}" if value >= _MANY else f"{value:.3g}"


def _seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f} s"
