"""The project's harmless test cards: the EICAR file of video moderation.

Bold geometry, bold colours and the card's name in words; nothing else. Everything is
placed in fractions of the picture, so that a card squashed to a model's input looks the
same whatever its aspect. Only Pillow's bundled font is used.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sidecar.domain import Category, Picture

Color = tuple[int, int, int]
Point = tuple[float, float]

BLACK: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)
MAGENTA: Color = (226, 0, 138)
YELLOW: Color = (255, 220, 0)
CYAN: Color = (0, 190, 240)
ORANGE: Color = (255, 106, 0)
NAVY: Color = (12, 24, 110)
VIOLET: Color = (104, 24, 176)
LIME: Color = (178, 236, 30)
TEAL: Color = (0, 150, 136)
SKY: Color = (206, 226, 240)
MIST: Color = (232, 238, 240)
SLATE: Color = (96, 112, 128)
MEADOW: Color = (150, 190, 150)

BAND = 0.12  # height of the lettered bands, fraction of the picture
_OVERSAMPLE = 2  # drawn this much larger, then averaged: smooth edges
_SMALLEST = 16


class _Canvas:
    """Draws in unit coordinates: (0, 0) top left, (1, 1) bottom right."""

    def __init__(self, width: int, height: int) -> None:
        self._size = (width * _OVERSAMPLE, height * _OVERSAMPLE)
        self._image = Image.new("RGB", self._size)
        self._draw = ImageDraw.Draw(self._image)

    def box(self, corners: tuple[float, float, float, float], color: Color) -> None:
        """Fill an upright rectangle given as left, top, right, bottom."""
        left, top, right, bottom = corners
        self._draw.rectangle((*self._at(left, top), *self._at(right, bottom)), color)

    def polygon(self, points: Sequence[Point], color: Color) -> None:
        """Fill a polygon."""
        self._draw.polygon([self._at(x, y) for x, y in points], color)

    def text(self, center: Point, words: str, room: Point, color: Color) -> None:
        """Write `words` around `center`, as large as fits into `room`."""
        trial = _width_height(words, 100)
        fit = min(
            room[0] * self._size[0] / trial[0], room[1] * self._size[1] / trial[1]
        )
        font = ImageFont.load_default(size=max(4.0, 100 * fit))
        self._draw.text(self._at(*center), words, color, font, anchor="mm")

    def picture(self, width: int, height: int) -> Picture:
        """Hand out what was drawn as `uint8 (height, width, 3)`."""
        return np.array(self._image.resize((width, height), Image.Resampling.BOX))

    def _at(self, x: float, y: float) -> Point:
        return x * (self._size[0] - 1), y * (self._size[1] - 1)


def draw(category: Category, width: int, height: int) -> Picture:
    """Draw the card of `category`: `uint8 (height, width, 3)`, RGB, always the same.

    Raises:
        ValueError: No card for this category, or a side below 16 pixels.
    """
    if category not in _MOTIFS:
        known = ", ".join(CATEGORIES)
        raise ValueError(f"no test card for {category.value!r}; there are: {known}")
    if min(width, height) < _SMALLEST:
        raise ValueError(f"a test card is at least {_SMALLEST} pixels wide and high")
    canvas = _Canvas(width, height)
    _MOTIFS[category](canvas)
    _lettering(canvas, category)
    return canvas.picture(width, height)


def write_card(
    category: Category, path: Path, width: int = 1280, height: int = 720
) -> None:
    """Write the card of `category` to `path` as a PNG file."""
    Image.fromarray(draw(category, width, height)).save(path, format="PNG")


def caption(category: Category) -> str:
    """The words written on the card."""
    return f"TEST CARD · {category.value} · harmless"


def _width_height(words: str, size: float) -> tuple[float, float]:
    left, top, right, bottom = ImageFont.load_default(size=size).getbbox(words)
    return right - left, bottom - top


def _lettering(canvas: _Canvas, category: Category) -> None:
    canvas.box((0, 0, 1, BAND), BLACK)
    canvas.box((0, 1 - BAND, 1, 1), BLACK)
    canvas.text((0.5, BAND / 2), caption(category), (0.94, 0.07), WHITE)
    below = "geometry only: shows nothing, harms nobody"
    canvas.text((0.5, 1 - BAND / 2), below, (0.8, 0.055), WHITE)


def _crosses(canvas: _Canvas) -> None:
    """Magenta and yellow columns, a large cross in the middle, one in each corner."""
    for column in range(8):
        color = YELLOW if column % 2 else MAGENTA
        canvas.box((column / 8, 0, (column + 1) / 8, 1), color)
    for center in ((x, y) for x in (0.12, 0.88) for y in (0.25, 0.75)):
        _cross(canvas, center, (0.1, 0.045), BLACK)
        _cross(canvas, center, (0.08, 0.022), WHITE)
    for arm, color in (((0.34, 0.15), BLACK), ((0.31, 0.12), CYAN)):
        _cross(canvas, (0.5, 0.5), arm, color)
    for arm, color in (((0.25, 0.065), WHITE), ((0.19, 0.03), MAGENTA)):
        _cross(canvas, (0.5, 0.5), arm, color)


def _cross(
    canvas: _Canvas, center: Point, arm: tuple[float, float], color: Color
) -> None:
    (x, y), (reach, half) = center, arm
    canvas.box((x - reach, y - half, x + reach, y + half), color)
    canvas.box((x - half, y - reach, x + half, y + reach), color)


def _chevrons(canvas: _Canvas) -> None:
    """Orange and navy chevrons pointing up, nested diamonds in the middle."""
    for index in range(-4, 12):
        top = index / 8
        low, next_low = top + 0.5, top + 0.625
        shape = ((0, low), (0.5, top), (1, low), (1, next_low), (0.5, top + 0.125))
        canvas.polygon((*shape, (0, next_low)), ORANGE if index % 2 else NAVY)
    for share, color in ((0.36, WHITE), (0.28, NAVY), (0.19, ORANGE), (0.1, WHITE)):
        canvas.polygon(_regular((0.5, 0.5), share, 4, 0.0), color)
    for x in (0.1, 0.9):
        canvas.polygon(_regular((x, 0.26), 0.09, 4, 0.0), WHITE)


def _tiling(canvas: _Canvas) -> None:
    """Violet and lime triangles in rows, a many-pointed teal star in the middle."""
    columns, rows = 6, 4
    canvas.box((0, 0, 1, 1), VIOLET)
    for left, right in pairwise(index / columns for index in range(columns + 1)):
        for top, bottom in pairwise(
            BAND + index * (1 - 2 * BAND) / rows for index in range(rows + 1)
        ):
            middle = (left + right) / 2
            canvas.polygon(((left, bottom), (middle, top), (right, bottom)), LIME)
    canvas.polygon(tuple(_star((0.5, 0.5), 0.36, 0.21, 8)), WHITE)
    canvas.polygon(tuple(_star((0.5, 0.5), 0.3, 0.16, 8)), TEAL)
    canvas.polygon(_regular((0.5, 0.5), 0.13, 6, 0.0), WHITE)
    canvas.polygon(_regular((0.5, 0.5), 0.08, 6, 0.0), VIOLET)


def _calm(canvas: _Canvas) -> None:
    """Pale bands and a tick: the card that no model should react to."""
    for index, color in enumerate((SKY, MIST, MEADOW)):
        canvas.box((0, index / 3, 1, (index + 1) / 3), color)
    canvas.box((0.33, 0.25, 0.67, 0.75), SLATE)
    tick = ((0.4, 0.5), (0.44, 0.46), (0.48, 0.53), (0.57, 0.36), (0.61, 0.4))
    canvas.polygon((*tick, (0.48, 0.63)), MIST)


def _regular(
    center: Point, radius: float, corners: int, turn: float
) -> tuple[Point, ...]:
    angles = (turn + 2 * math.pi * index / corners for index in range(corners))
    x, y = center
    return tuple((x + radius * math.sin(a), y - radius * math.cos(a)) for a in angles)


def _star(center: Point, outer: float, inner: float, points: int) -> Iterator[Point]:
    turn = math.pi / points
    outside = _regular(center, outer, points, 0.0)
    inside = _regular(center, inner, points, turn)
    for tip, notch in zip(outside, inside, strict=True):
        yield tip
        yield notch


_MOTIFS: Mapping[Category, Callable[[_Canvas], None]] = MappingProxyType(
    {
        Category.SAFE: _calm,
        Category.SEXUAL_EXPLICIT: _crosses,
        Category.VIOLENCE_GRAPHIC: _chevrons,
        Category.SELF_HARM_ACT: _tiling,
    }
)
CATEGORIES: tuple[Category, ...] = tuple(_MOTIFS)
"""Every category that has a card, `safe` first: the order of the model's labels."""
