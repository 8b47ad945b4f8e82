"""The HTML report of tuning: the front, reliability, and what is recommended; pure."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from sidecar.replay.calibration import Bin, Calibration
from sidecar.replay.intervals import quantile
from sidecar.replay.page import cards, legend, page, table
from sidecar.replay.tuning import Candidate, Tuned

_SIDE: Final = 300
_WIDE: Final = 620
_EDGE: Final = 44


def tune_report(
    tuned: Sequence[Tuned], calibrations: Sequence[Calibration], policy: str
) -> str:
    """The whole page; `policy` is the recommended file's text."""
    parts: list[str] = []
    for one, calibration in zip(tuned, calibrations, strict=True):
        parts += _category(one, calibration)
    parts.append("<h2>Recommended policy</h2>")
    parts.append(f'<section class="scroll"><pre>{escape(policy)}</pre></section>')
    return page("Tuning", parts)


def _category(one: Tuned, calibration: Calibration) -> Iterator[str]:
    rule, found = one.best.rule, one.best.found
    recall, most = found.recall, found.false_per_1000h.high
    share = "none" if recall.value is None else f"{100 * recall.value:.0f} %"
    before, after = calibration.ece
    yield f"<h2>{escape(one.category)}</h2>"
    yield cards(
        [
            (
                "Recommended",
                f"{rule.hits} of {rule.of} from {rule.enter:g}",
                f"within {rule.within_s:g} s; exit {rule.exit:g}",
            ),
            (
                "Streams found",
                share,
                f"95 %: {100 * recall.low:.0f} to {100 * recall.high:.0f} %",
            ),
            (
                "False takedowns",
                str(one.best.false),
                f"in {found.hours:.1f} hours; 95 %: up to {most:.1f} in 1,000 h",
            ),
            (
                "Calibration error",
                f"{before:.3f}",
                f"{after:.3f} at temperature {calibration.temperature:g}",
            ),
        ]
    )
    yield "<section><p>How long an episode is shown, against false takedowns</p>"
    yield legend(
        [
            ("tried", "var(--unknown)"),
            ("Pareto front", "var(--c0)"),
            ("recommended", "var(--bad)"),
        ]
    )
    yield _front(one) + "</section>"
    yield "<section><p>Reliability: of samples with a score, the share labelled</p>"
    yield legend([("as it is", "var(--c0)"), ("scaled", "var(--c2)")])
    yield _reliability(calibration) + "</section>"
    yield table(
        ("enter", "exit", "hits", "of", "within", "shown", "median", "false", "recall"),
        map(_row, one.front),
    )


def _row(one: Candidate) -> tuple[str, ...]:
    rule, p50 = one.rule, quantile(one.found.times(), 0.5)
    recall = one.found.recall.value
    return (
        *(f"{rule.enter:g}", f"{rule.exit:g}", str(rule.hits), str(rule.of)),
        f"{rule.within_s:g} s",
        f"{one.shown_s:.1f} s",
        "none" if p50 is None else f"{p50:.1f} s",
        str(one.false),
        "none" if recall is None else f"{recall:.2f}",
    )


def _front(one: Tuned) -> str:
    most_false = max(1, *(c.false for c in one.candidates))
    most_shown = max(1.0, *(c.shown_s for c in one.candidates))

    def place(candidate: Candidate) -> tuple[float, float]:
        x = _EDGE + candidate.false / most_false * (_WIDE - _EDGE - 14)
        y = _SIDE - _EDGE - candidate.shown_s / most_shown * (_SIDE - _EDGE - 14)
        return round(x, 1), round(y, 1)

    tried = {place(candidate) for candidate in one.candidates}
    parts = [_dot(x, y, 3, "var(--unknown)") for x, y in sorted(tried)]
    line = [place(candidate) for candidate in one.front]
    steps = [f"{x},{y}" for x, y in line]
    parts.append(_polyline(steps, "var(--c0)"))
    parts += [_dot(x, y, 4, "var(--c0)") for x, y in line]
    parts.append(_dot(*place(one.best), 6, "var(--bad)"))
    return _axes(
        _WIDE,
        parts,
        ("0", f"{most_false} false takedowns"),
        ("0 s", f"{most_shown:.0f} s"),
    )


def _reliability(calibration: Calibration) -> str:
    def points(bins: Iterable[Bin]) -> list[tuple[float, float]]:
        return [
            (
                round(_EDGE + b.score * (_SIDE - _EDGE - 14), 1),
                round(_SIDE - _EDGE - b.labelled * (_SIDE - _EDGE - 14), 1),
            )
            for b in bins
        ]

    diagonal = f'x1="{_EDGE}" y1="{_SIDE - _EDGE}" x2="{_SIDE - 14}" y2="14"'
    parts = [f'<line class="grid" {diagonal} stroke-dasharray="4 4"/>']
    for bins, colour in (
        (calibration.bins, "var(--c0)"),
        (calibration.scaled, "var(--c2)"),
    ):
        found = points(bins)
        parts.append(_polyline([f"{x},{y}" for x, y in found], colour))
        parts += [_dot(x, y, 3, colour) for x, y in found]
    picture = _axes(_SIDE, parts, ("0", "score 1"), ("0", "1"))
    return picture.replace("<svg ", '<svg style="max-width:24rem" ', 1)


def _axes(
    wide: int, parts: Sequence[str], below: tuple[str, str], beside: tuple[str, str]
) -> str:
    bottom, right, left = _SIDE - _EDGE, wide - 14, _EDGE - 6
    frame = (
        f'<line class="grid" x1="{_EDGE}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        f'<line class="grid" x1="{_EDGE}" x2="{_EDGE}" y1="14" y2="{bottom}"/>'
        f'<text x="{_EDGE}" y="{bottom + 16}">{escape(below[0])}</text>'
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{escape(below[1])}'
        f'</text><text x="{left}" y="{bottom}" text-anchor="end">{escape(beside[0])}'
        f'</text><text x="{left}" y="20" text-anchor="end">{escape(beside[1])}</text>'
    )
    return f'<svg viewBox="0 0 {wide} {_SIDE}" role="img">{frame}{"".join(parts)}</svg>'


def _dot(x: float, y: float, radius: int, colour: str) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}"/>'


def _polyline(points: Sequence[str], colour: str) -> str:
    return (
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
        'stroke-width="1.6"/>'
    )
