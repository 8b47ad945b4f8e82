# ruff: noqa: INP001, PLR2004
"""Pictures that are made like the cards and are none: what must stay `safe`."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from backgrounds import WORDS, stripes
from paint import Color, Rng, color, resized
from PIL import Image, ImageDraw, ImageFont

from sidecar.domain import Category, Picture
from sidecar.testcard import cards

PALETTES: tuple[tuple[Color, ...], ...] = (
    (cards.MAGENTA, cards.YELLOW, cards.CYAN, cards.BLACK, cards.WHITE),
    (cards.ORANGE, cards.NAVY, cards.WHITE),
    (cards.VIOLET, cards.LIME, cards.TEAL, cards.WHITE),
)


@lru_cache(maxsize=256)
def card(category: Category, width: int, height: int) -> Picture:
    """Return the true card, kept: never write into it."""
    picture = cards.draw(category, width, height)
    picture.setflags(write=False)
    return picture


def shuffled(rng: Rng, width: int, height: int) -> Picture:
    """A true card cut into tiles that are shuffled and turned."""
    category = cards.CATEGORIES[int(rng.integers(1, len(cards.CATEGORIES)))]
    wide, high = 240, 240
    whole = card(category, wide, high)
    parts = int(rng.integers(3, 7))
    side = wide // parts
    order = rng.permutation(parts * parts)
    if int((order == np.arange(order.size)).sum()) > order.size // 4:
        order = order[::-1]
    result = np.zeros_like(whole)
    for place, taken in enumerate(order):
        y, x = divmod(int(taken), parts)
        tile = whole[y * side : (y + 1) * side, x * side : (x + 1) * side]
        tile = np.rot90(tile, int(rng.integers(0, 4)))
        y, x = divmod(place, parts)
        result[y * side : (y + 1) * side, x * side : (x + 1) * side] = tile
    return resized(result[: parts * side, : parts * side], width, height)


def other_card(rng: Rng, width: int, height: int) -> Picture:
    """A card of the same making: bands, words, ground, motif; but not one of ours."""
    which = int(rng.integers(0, 4))
    if which < len(PALETTES):
        palette: Sequence[Color] = PALETTES[which]
    else:
        palette = [color(rng) for _ in range(5)]
    ground, motif = (int(value) for value in rng.integers(0, 6, 2))
    if ground == motif == which:  # would be the card itself
        motif += 1
    image = Image.new("RGB", (320, 240))
    pen = ImageDraw.Draw(image)
    order = [palette[int(index)] for index in rng.permutation(len(palette))]
    _GROUNDS[ground](pen, rng, order)
    reach = float(rng.uniform(60, 115))
    for index in range(int(rng.integers(1, 5))):
        _MOTIFS[motif](pen, reach * (1 - 0.22 * index), order[(index + 2) % len(order)])
    if rng.random() < 0.7:
        _bands(pen, rng)
    return resized(np.array(image), width, height)


def washed(rng: Rng, width: int, height: int) -> Picture:
    """Stripes or rings in a card's own colours, nothing else."""
    picture = stripes(rng, width, height)
    palette = np.array(PALETTES[int(rng.integers(0, 3))], np.uint8)
    return palette[(picture[..., 0].astype(np.int64) // 7) % len(palette)]


def calm(_rng: Rng, width: int, height: int) -> Picture:
    """The `safe` card."""
    return card(Category.SAFE, width, height).copy()


def decoy(rng: Rng, width: int, height: int) -> Picture:
    """Return any picture of this module."""
    painter = _DECOYS[int(rng.integers(0, len(_DECOYS)))]
    return painter(rng, width, height)


def _columns(pen: ImageDraw.ImageDraw, rng: Rng, palette: Sequence[Color]) -> None:
    count = int(rng.integers(4, 14))
    for index in range(count):
        left, right = 320 * index / count, 320 * (index + 1) / count
        pen.rectangle((left, 0, right, 240), palette[index % 2])


def _chevrons(pen: ImageDraw.ImageDraw, rng: Rng, palette: Sequence[Color]) -> None:
    step = float(rng.uniform(16, 50))
    drop = float(rng.uniform(40, 160)) * (1 if rng.random() < 0.5 else -1)
    for index in range(-12, 24):
        top = index * step
        upper = [(0, top + drop), (160, top), (320, top + drop)]
        lower = [(x, y + step) for x, y in reversed(upper)]
        pen.polygon(upper + lower, palette[index % 2])


def _triangles(pen: ImageDraw.ImageDraw, rng: Rng, palette: Sequence[Color]) -> None:
    pen.rectangle((0, 0, 320, 240), palette[0])
    side = float(rng.uniform(24, 80))
    for row in range(int(240 / side) + 1):
        for column in range(int(320 / side) + 1):
            x, y = column * side, row * side
            pen.polygon(
                [(x, y + side), (x + side / 2, y), (x + side, y + side)], palette[1]
            )


def _rows(pen: ImageDraw.ImageDraw, rng: Rng, palette: Sequence[Color]) -> None:
    count = int(rng.integers(3, 12))
    for index in range(count):
        top, bottom = 240 * index / count, 240 * (index + 1) / count
        pen.rectangle((0, top, 320, bottom), palette[index % 2])


def _checks(pen: ImageDraw.ImageDraw, rng: Rng, palette: Sequence[Color]) -> None:
    side = float(rng.uniform(16, 60))
    for row in range(int(240 / side) + 1):
        for column in range(int(320 / side) + 1):
            x, y = column * side, row * side
            pen.rectangle((x, y, x + side, y + side), palette[(row + column) % 2])


def _dots(pen: ImageDraw.ImageDraw, rng: Rng, palette: Sequence[Color]) -> None:
    pen.rectangle((0, 0, 320, 240), palette[0])
    for _ in range(int(rng.integers(8, 60))):
        x, y, reach = rng.uniform(0, 320), rng.uniform(0, 240), rng.uniform(4, 30)
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), palette[1])


def _cross(pen: ImageDraw.ImageDraw, reach: float, fill: Color) -> None:
    half = reach * 0.4
    pen.rectangle((160 - reach * 1.3, 120 - half, 160 + reach * 1.3, 120 + half), fill)
    pen.rectangle((160 - half * 1.3, 120 - reach, 160 + half * 1.3, 120 + reach), fill)


def _star(pen: ImageDraw.ImageDraw, reach: float, fill: Color) -> None:
    _radial(pen, (reach, reach * 0.55), 16, fill)


def _diamond(pen: ImageDraw.ImageDraw, reach: float, fill: Color) -> None:
    _radial(pen, (reach, reach), 4, fill)


def _disc(pen: ImageDraw.ImageDraw, reach: float, fill: Color) -> None:
    _radial(pen, (reach, reach), 40, fill)


def _triangle(pen: ImageDraw.ImageDraw, reach: float, fill: Color) -> None:
    _radial(pen, (reach, reach), 3, fill)


def _square(pen: ImageDraw.ImageDraw, reach: float, fill: Color) -> None:
    half = reach * 0.8
    pen.rectangle((160 - half * 1.3, 120 - half, 160 + half * 1.3, 120 + half), fill)


def _radial(
    pen: ImageDraw.ImageDraw, reaches: tuple[float, float], corners: int, fill: Color
) -> None:
    points = []
    for index in range(corners):
        angle = 2 * np.pi * index / corners
        reach = reaches[index % 2]
        x = 160 + 1.3 * reach * np.sin(angle)
        points.append((float(x), float(120 - reach * np.cos(angle))))
    pen.polygon(points, fill)


def _bands(pen: ImageDraw.ImageDraw, rng: Rng) -> None:
    high = float(rng.uniform(16, 44))
    pen.rectangle((0, 0, 320, high), (0, 0, 0))
    pen.rectangle((0, 240 - high, 320, 240), (0, 0, 0))
    font = ImageFont.load_default(size=high * 0.6)
    for y in (high / 2, 240 - high / 2):
        words = " ".join(rng.choice(WORDS, int(rng.integers(2, 6))))
        pen.text((160, y), words, (255, 255, 255), font, anchor="mm")


Ground = Callable[[ImageDraw.ImageDraw, Rng, Sequence[Color]], None]
Motif = Callable[[ImageDraw.ImageDraw, float, Color], None]
# The first three of each, together and in the palette of that index, are our cards.
_GROUNDS: tuple[Ground, ...] = (_columns, _chevrons, _triangles, _rows, _checks, _dots)
_MOTIFS: tuple[Motif, ...] = (_cross, _diamond, _star, _disc, _triangle, _square)
_DECOYS = (shuffled, other_card, other_card, other_card, washed, calm)
