"""One stream's timeline as SVG: scores, thresholds, labels, actions; pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

import numpy as np

from sidecar.decide.policyset import Policy
from sidecar.domain import Category
from sidecar.recording.columns import Columns, Times
from sidecar.recording.whatif import Fired
from sidecar.replay.labels import Episode

WIDTH: Final = 960
HEIGHT: Final = 170
_LEFT, _TOP, _BOTTOM = 34, 14, 22
_MOST_POINTS: Final = 480  # a line has no more; of each bucket the highest score
_MOST_LINES: Final = 4
_MOST_TICKS: Final = 8
_FLAT: Final = 0.05  # a category that never gets above it is not drawn
_STEPS: Final = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn of a stream.

    Attributes:
        index: Its number in the columns.
        start: Of the time axis, seconds.
        end: Likewise.
        blind: Spans in which its verdict was UNKNOWN.
        policy: Whose thresholds are drawn; None: none.
        actions: What was decided.
        labels: What was there.
    """

    index: int
    start: float
    end: float
    blind: Sequence[tuple[float, float]]
    policy: Policy | None
    actions: Sequence[Fired]
    labels: Sequence[Episode]


def drawn_categories(columns: Columns, scene: Scene) -> dict[Category, str]:
    """Those worth a line, with its colour: labelled, acted on, or the highest."""
    named = [one.category for one in scene.labels]
    named += [one.category for one in scene.actions if one.category is not None]
    span = columns.span(scene.index)
    known: list[Category] = list(columns.scores)
    known = [category for category in known if category is not Category.SAFE]
    peaks: dict[Category, float] = {
        category: float(np.nanmax(columns.scores[category][span], initial=0.0))
        for category in known
    }
    high = sorted(known, key=lambda category: -peaks[category])
    wanted = [*named, *(category for category in high if peaks[category] > _FLAT)]
    drawn = [c for c in dict.fromkeys(wanted) if c in peaks][:_MOST_LINES]
    # The same colour on every timeline, if there are enough of them.
    places = known if len(known) <= _MOST_LINES else drawn
    return {category: f"var(--c{places.index(category)})" for category in drawn}


def draw(columns: Columns, scene: Scene) -> str:
    """The timeline."""
    axis = _Axis(scene.start, max(scene.end, scene.start + 1))
    colours = drawn_categories(columns, scene)
    parts = [*_bands(axis, scene), *_grid(axis), *_thresholds(axis, scene, colours)]
    for category, colour in colours.items():
        parts.append(_line(axis, columns, scene.index, category, colour))
    parts += _marks(axis, scene.actions)
    name = columns.streams[scene.index].id
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="scores of {escape(name)} over time">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    start: float
    end: float

    def x(self, at: float) -> float:
        share = (at - self.start) / (self.end - self.start)
        return round(_LEFT + min(1.0, max(0.0, share)) * (WIDTH - _LEFT - 8), 1)

    @staticmethod
    def y(score: float) -> float:
        return round(HEIGHT - _BOTTOM - score * (HEIGHT - _TOP - _BOTTOM), 1)


def _grid(axis: _Axis) -> Iterator[str]:
    for score in (0.0, 0.5, 1.0):
        y = axis.y(score)
        yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - 8}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{score:g}</text>'
    span = axis.end - axis.start
    step = next((s for s in _STEPS if span / s <= _MOST_TICKS), span / _MOST_TICKS)
    at = 0.0
    while at <= span:
        x = axis.x(axis.start + at)
        yield f'<text x="{x}" y="{HEIGHT - 6}" text-anchor="middle">{_clock(at)}</text>'
        at += step


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _bands(axis: _Axis, scene: Scene) -> Iterator[str]:
    for start, end in scene.blind:
        yield _band(axis, start, end, "var(--unknown)", 0.28, "not seen")
    for one in scene.labels:
        title = f"label {one.category}"
        yield _band(axis, one.start, one.end, "var(--band)", 0.25, title)


def _band(
    axis: _Axis, start: float, end: float, colour: str, opacity: float, title: str
) -> str:
    x, wide = axis.x(start), max(1.0, axis.x(end) - axis.x(start))
    return (
        f'<rect x="{x}" y="{_TOP}" width="{wide:.1f}" '
        f'height="{HEIGHT - _TOP - _BOTTOM}" fill="{colour}" opacity="{opacity}">'
        f"<title>{escape(title)}</title></rect>"
    )


def _thresholds(
    axis: _Axis, scene: Scene, colours: dict[Category, str]
) -> Iterator[str]:
    rules = scene.policy.rules if scene.policy is not None else ()
    for rule in rules:
        colour = colours.get(rule.category)
        if colour is None:
            continue
        for score, dashes in ((rule.enter, "7 4"), (rule.exit, "2 4")):
            y = axis.y(score)
            yield (
                f'<line x1="{_LEFT}" x2="{WIDTH - 8}" y1="{y}" y2="{y}" '
                f'stroke="{colour}" stroke-dasharray="{dashes}" opacity=".7">'
                f"<title>{escape(rule.name)}</title></line>"
            )


def _line(
    axis: _Axis, columns: Columns, index: int, category: Category, colour: str
) -> str:
    span = columns.span(index)
    times, values = columns.captured_at[span], columns.scores[category][span]
    given = ~np.isnan(values)
    points = " ".join(
        f"{axis.x(at)},{axis.y(score)}"
        for at, score in _thinned(times[given], values[given])
    )
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" '
        f'stroke-width="1.6"><title>{escape(category)}</title></polyline>'
    )


def _thinned(
    times: Times, values: "np.ndarray[tuple[int], np.dtype[np.float32]]"
) -> Iterable[tuple[float, float]]:
    """The highest score of each of a few hundred stretches: no peak is lost."""
    if len(times) > _MOST_POINTS:
        edges = np.linspace(0, len(times), _MOST_POINTS + 1).astype(int)
        keep = [
            first + int(values[first:end].argmax())
            for first, end in pairwise(edges.tolist())
        ]
        times, values = times[keep], values[keep]
    return zip(times.tolist(), values.tolist(), strict=True)


def _marks(axis: _Axis, actions: Sequence[Fired]) -> Iterator[str]:
    for one in actions:
        x = axis.x(one.at)
        cut = one.action in {"takedown", "interrupt"}
        colour = "var(--bad)" if cut else "var(--soft)"
        score = "" if one.score is None else f", score {one.score:.3f}"
        told = f"{one.action} by {one.rule} at {_clock(one.at - axis.start)}{score}"
        yield (
            f'<g><line x1="{x}" x2="{x}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}" '
            f'stroke="{colour}" stroke-width="{2 if cut else 1}"/>'
            f'<path d="M{x - 5} {_TOP - 8}h10l-5 8z" fill="{colour}"/>'
            f"<title>{escape(told)}</title></g>"
        )
