"""A synthetic street, cheap enough to be made live: what a harmless stream looks like.

Everything slow is drawn once: a wide backdrop with its noise in three variants. A frame
is then one slice of it with cars and walkers painted over: 0.7 ms at 640x360.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from sidecar.domain import Picture

Color = tuple[int, int, int]

_WIDER = 1.5  # the backdrop's width in pictures; the camera pans over the rest
_PAN_PERIOD_S = 24.0
_NOISE_VARIANTS = 3
_ROAD_TOP = 0.68  # fractions of the height
_PAVEMENT_TOP = 0.6


@dataclass(frozen=True, slots=True)
class _Mover:
    """A box that crosses the picture again and again.

    Attributes:
        start: Where its left edge is at the beginning, in picture widths.
        speed: Picture widths a second; negative drives to the left.
        top: Upper edge, fraction of the height.
        size: Width in picture widths, height in picture heights.
        color: Of the body.
        car: With windows and wheels, else a walker with a head.
    """

    start: float
    speed: float
    top: float
    size: tuple[float, float]
    color: Color
    car: bool


def frames(
    width: int, height: int, fps: float = 30.0, seed: int = 0
) -> Iterator[Picture]:
    """Yield the street for ever, one `uint8 (height, width, 3)` RGB picture a frame.

    Every picture is a new array; the same arguments give the same pictures.
    """
    rng = np.random.default_rng(seed)
    backdrops = _noisy(_backdrop(width, height, rng), rng)
    movers = [*_cars(rng), *_walkers(rng)]
    index = 0
    while True:
        now_s = index / fps
        backdrop = backdrops[index % _NOISE_VARIANTS]
        room = backdrop.shape[1] - width
        left = round(room * (0.5 - 0.5 * math.cos(2 * math.pi * now_s / _PAN_PERIOD_S)))
        picture = backdrop[:, left : left + width].copy()
        for mover in movers:
            _paint(picture, mover, now_s)
        yield picture
        index += 1


def _backdrop(width: int, height: int, rng: np.random.Generator) -> Picture:
    wide = round(width * _WIDER)
    image = Image.fromarray(_sky(wide, height, rng))
    draw = ImageDraw.Draw(image)
    left = 0.0
    while left < wide:
        house = float(rng.uniform(0.12, 0.26)) * width
        top = float(rng.uniform(0.08, 0.4)) * height
        _house(draw, (left, top, left + house, _PAVEMENT_TOP * height), rng)
        left += house + float(rng.uniform(0.0, 0.06)) * width
    draw.rectangle((0, _PAVEMENT_TOP * height, wide, height), (152, 148, 142))
    draw.rectangle((0, _ROAD_TOP * height, wide, height), (74, 76, 80))
    for dash in range(0, wide, max(2, width // 8)):
        line = (dash, 0.83 * height, dash + width / 16, 0.845 * height)
        draw.rectangle(line, (226, 224, 210))
    return np.array(image)


def _sky(wide: int, height: int, rng: np.random.Generator) -> Picture:
    high = rng.integers((70, 110, 160), (150, 180, 235))
    low = rng.integers((190, 190, 190), (245, 235, 230))
    share = np.linspace(0.0, 1.0, height)[:, None, None]
    rows = high * (1 - share) + low * share
    return np.broadcast_to(rows, (height, wide, 3)).astype(np.uint8)


def _house(
    draw: ImageDraw.ImageDraw,
    corners: tuple[float, float, float, float],
    rng: np.random.Generator,
) -> None:
    left, top, right, bottom = corners
    draw.rectangle(corners, _color(rng, 90, 200))
    roof = ((left, top), ((left + right) / 2, top * 0.6), (right, top))
    draw.polygon(roof, _color(rng, 60, 150))
    columns, rows = int(rng.integers(2, 6)), int(rng.integers(2, 6))
    wide, high = (right - left) / columns, (bottom - top) / rows
    glass = _color(rng, 120, 230)
    for column in range(columns):
        for row in range(rows):
            x, y = left + (column + 0.25) * wide, top + (row + 0.25) * high
            draw.rectangle((x, y, x + wide / 2, y + high / 2), glass)


def _color(rng: np.random.Generator, low: int, high: int) -> Color:
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


def _noisy(backdrop: Picture, rng: np.random.Generator) -> list[Picture]:
    variants = []
    for _ in range(_NOISE_VARIANTS):
        grain = rng.integers(-7, 8, backdrop.shape, dtype=np.int16)
        variants.append(np.clip(backdrop + grain, 0, 255).astype(np.uint8))
    return variants


def _cars(rng: np.random.Generator) -> Iterator[_Mover]:
    for lane, direction in ((0.7, 1.0), (0.74, 1.0), (0.85, -1.0), (0.88, -1.0)):
        yield _Mover(
            start=float(rng.uniform(0.0, 1.6)),
            speed=direction * float(rng.uniform(0.08, 0.3)),
            top=lane,
            size=(float(rng.uniform(0.12, 0.22)), float(rng.uniform(0.08, 0.11))),
            color=_color(rng, 20, 235),
            car=True,
        )


def _walkers(rng: np.random.Generator) -> Iterator[_Mover]:
    for _ in range(int(rng.integers(2, 6))):
        yield _Mover(
            start=float(rng.uniform(0.0, 1.6)),
            speed=float(rng.uniform(-0.05, 0.05)),
            top=float(rng.uniform(0.52, 0.56)),
            size=(0.016, 0.12),
            color=_color(rng, 20, 200),
            car=False,
        )


def _paint(picture: Picture, mover: _Mover, now_s: float) -> None:
    """Paint the mover where it is at `now_s`; it leaves and comes back."""
    left = (mover.start + mover.speed * now_s) % 1.6 - 0.3
    wide, high = mover.size
    top = mover.top
    _fill(picture, (left, top, left + wide, top + high), mover.color)
    if not mover.car:
        head = (left, top - 0.03, left + wide, top)
        _fill(picture, head, (206, 170, 140))
        return
    glass = (left + 0.2 * wide, top - 0.6 * high, left + 0.8 * wide, top)
    _fill(picture, glass, (60, 74, 86))
    for share in (0.12, 0.7):
        x = left + share * wide
        wheel = (x, top + 0.75 * high, x + 0.18 * wide, top + 1.2 * high)
        _fill(picture, wheel, (18, 18, 20))


def _fill(
    picture: Picture, corners: tuple[float, float, float, float], color: Color
) -> None:
    height, width = picture.shape[:2]
    left, right = (max(0, round(x * width)) for x in (corners[0], corners[2]))
    top, bottom = (max(0, round(y * height)) for y in (corners[1], corners[3]))
    picture[top:bottom, left:right] = color
