"""CPU against streams as a drawing (SVG); pure.

Both axes are logarithmic: what costs the same for each stream is a straight line.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from sidecar.bench.rows import Round

_SPACE: Final = "http://www.w3.org/2000/svg"
_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 230, 24, 48  # margins; the legend is at the right
_COLOURS: Final = ("#0b6e4f", "#2a9d8f", "#264653", "#c1121f", "#e76f51", "#f4a261")
_DASHES: Final = {"vp8": "none", "h264": "6 3"}
_STYLE: Final = 'font-family="sans-serif" font-size="12" fill="#222"'
_LEAST: Final = 0.001  # per cent; costs are given in thousandths


@dataclass(frozen=True, slots=True)
class Axis:
    """A logarithmic scale from one power of ten to another.

    Attributes:
        low: Exponent of ten at `start`.
        high: At `end`.
        start: Pixels.
        end: Pixels.
    """

    low: int
    high: int
    start: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float) -> "Axis":
        """One that all `values`, above 0, are within."""
        low = math.floor(math.log10(min(values)))
        high = math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1), start, end)

    def at(self, value: float) -> float:
        """Where `value` lies, in pixels."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Powers of ten."""
        return [10.0**n for n in range(self.low, self.high + 1)]


def draw(rows: Sequence[Round]) -> str:
    """One line for each receiver and codec, per cent of one core for all its streams.

    Rows that cost next to nothing are left out; without any row there is but the frame.
    """
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        total = row.cpu_percent_per_stream * row.streams
        if total >= _LEAST:
            of_one = lines.setdefault((row.receiver, row.codec), [])
            of_one.append((row.streams, total))
    points = [point for line in lines.values() for point in line] or [(1.0, 1.0)]
    across = Axis.of([x for x, _ in points], _LEFT, _WIDTH - _RIGHT)
    up = Axis.of([y for _, y in points], _HEIGHT - _BOTTOM, _TOP)
    receivers = list(dict.fromkeys(receiver for receiver, _ in lines))
    parts = _frame(across, up)
    for place, ((receiver, codec), line) in enumerate(lines.items()):
        colour = _COLOURS[receivers.index(receiver) % len(_COLOURS)]
        dots = [(across.at(x), up.at(y)) for x, y in sorted(line)]
        parts += _line(dots, colour, _DASHES.get(codec, "2 2"))
        parts += _legend(place, f"{receiver}, {codec}", colour, codec)
    inside = "\n".join(parts)
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_STYLE}>\n{inside}\n</svg>\n'
    )


def _frame(across: Axis, up: Axis) -> list[str]:
    """Paper, grid, numbers and what the axes are of."""
    parts = [f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>']
    for value in across.ticks():
        x = across.at(value)
        parts.append(_stroke(x, up.start, x, up.end))
        parts.append(_text(x, up.start + 18, f"{value:g}", "middle"))
    for value in up.ticks():
        y = up.at(value)
        parts.append(_stroke(across.start, y, across.end, y))
        parts.append(_text(across.start - 8, y + 4, f"{value:g} %", "end"))
    middle = (across.start + across.end) / 2
    parts.append(_text(middle, _HEIGHT - 10, "streams at once", "middle"))
    parts.append(_text(across.start, _TOP - 8, "CPU of one core, all streams", "start"))
    return parts


def _line(dots: Sequence[tuple[float, float]], colour: str, dashes: str) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    stroke = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
    marks = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in dots
    ]
    return [f'<polyline points="{path}" fill="none" {stroke}/>', *marks]


def _legend(place: int, name: str, colour: str, codec: str) -> list[str]:
    x, y = _WIDTH - _RIGHT + 12, _TOP + 12 + 18 * place
    ends = [(x, y - 4), (x + 24, y - 4)]
    dashes = _DASHES.get(codec, "2 2")
    return [*_line(ends, colour, dashes)[:1], _text(x + 30, y, name, "start")]


def _stroke(x1: float, y1: float, x2: float, y2: float) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="#ddd"/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(words)}</text>"
