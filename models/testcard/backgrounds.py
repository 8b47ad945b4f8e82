# ruff: noqa: INP001, PLR2004
"""Procedural pictures without a card, for training only: `(rng, width, height)`.

No photograph and no downloaded picture is used. The evaluation has its own pictures.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from paint import Rng, color, resized
from PIL import Image, ImageDraw, ImageFont

from sidecar.domain import Picture
from sidecar.testcard import street

Painter = Callable[[Rng, int, int], Picture]

_SPOKEN = """live chat game today hello stream camera music news welcome street slide
demo agenda results question break soon back score team TEST CARD harmless safe"""
WORDS = _SPOKEN.split()
_STREETS = 48
_STREET_SIZE = (640, 360)


def plain(rng: Rng, width: int, height: int) -> Picture:
    """One colour all over."""
    return np.full((height, width, 3), color(rng), np.uint8)


def gradient(rng: Rng, width: int, height: int) -> Picture:
    """Four corner colours, blended."""
    corners = rng.integers(0, 256, (2, 2, 3)).astype(np.uint8)
    return resized(corners, width, height)


def clouds(rng: Rng, width: int, height: int) -> Picture:
    """Noise of several octaves between colours: textures as nature makes them."""
    total = np.zeros((height, width, 3), np.float32)
    for octave in range(int(rng.integers(2, 7))):
        cells = 2 ** (octave + 1)
        grain = rng.normal(0, 1, (cells, 2 * cells, 3)).astype(np.float32)
        grey = grain.mean(axis=2, keepdims=True)
        grain = grey + (grain - grey) * np.float32(rng.uniform(0, 1))
        total += resized(grain, width, height) * np.float32(0.65**octave)
    light = rng.uniform(60, 200, 3) + total * rng.uniform(20, 70)
    return np.clip(light, 0, 255).astype(np.uint8)


def static(rng: Rng, width: int, height: int) -> Picture:
    """Noise of blocks: a badly tuned television."""
    scale = int(rng.integers(1, 24))
    shape = (max(2, height // scale), max(2, width // scale), 3)
    return resized(rng.integers(0, 256, shape, np.uint8), width, height, smooth=False)


def leaves(rng: Rng, width: int, height: int) -> Picture:
    """Overlapping ellipses and boxes of all sizes: the statistics of photographs."""
    picture = plain(rng, width, height)
    tint = rng.uniform(40, 210, 3)
    spread = rng.uniform(10, 60)
    for _ in range(int(rng.integers(20, 160))):
        fill = tuple(int(v) for v in np.clip(rng.normal(tint, spread), 0, 255))
        size = rng.pareto(1.4, 2) * 0.04 * width + 2
        _blob(picture, rng, size, fill)
    return picture


def shapes(rng: Rng, width: int, height: int) -> Picture:
    """A few large shapes in bold colours."""
    picture = plain(rng, width, height)
    for _ in range(int(rng.integers(2, 16))):
        _blob(picture, rng, rng.uniform(0.05, 0.4, 2) * width, color(rng))
        if rng.random() < 0.5:
            corners = rng.integers(
                (0, 0), (width, height), (int(rng.integers(3, 7)), 2)
            )
            cv2.fillPoly(picture, [corners.astype(np.int32)], color(rng))
    return picture


def stripes(rng: Rng, width: int, height: int) -> Picture:
    """Straight or chevron stripes, or rings, of two to four colours."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    x, y = x - rng.uniform(0, 1.8), y - rng.uniform(0, 1)
    turn = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    kind = rng.integers(0, 3)
    if kind == 0:
        wave = x * np.cos(turn) + y * np.sin(turn)
    elif kind == 1:
        wave = np.abs(x) * np.cos(turn) + y * np.sin(turn)
    else:
        wave = np.hypot(x, y)
    steps = np.floor(wave * rng.uniform(2, 24)).astype(np.int64)
    palette = np.array([color(rng) for _ in range(int(rng.integers(2, 5)))], np.uint8)
    painted: Picture = palette[steps % len(palette)]
    return painted


def mosaic(rng: Rng, width: int, height: int) -> Picture:
    """Boards of boxes: checkerboards, colour charts, QR-like codes, bars."""
    rows, columns = (int(value) for value in rng.integers(1, 30, 2))
    palette = np.array([color(rng) for _ in range(int(rng.integers(2, 25)))], np.uint8)
    kind = rng.integers(0, 3)
    if kind == 0:
        index = np.add.outer(np.arange(rows), np.arange(columns))
    elif kind == 1:
        index = rng.integers(0, 2, (rows, columns))
    else:
        index = rng.integers(0, len(palette), (rows, columns))
    return resized(palette[index % len(palette)], width, height, smooth=False)


def bars(rng: Rng, width: int, height: int) -> Picture:
    """Colour bars of one to three storeys, in any order of colours."""
    picture = plain(rng, width, height)
    top = 0
    for _ in range(int(rng.integers(1, 4))):
        bottom = min(height, top + int(rng.uniform(0.2, 1.0) * height))
        count = int(rng.integers(3, 13))
        full = float(rng.choice([180, 191, 255]))
        row = rng.integers(0, 2, (1, count, 3)) * full
        if bottom > top:
            band = row.astype(np.uint8)
            picture[top:bottom] = resized(band, width, bottom - top, smooth=False)
        top = bottom
    return picture


def slide(rng: Rng, width: int, height: int) -> Picture:
    """Lines of words on a plain or shaded ground."""
    ground = gradient(rng, width, height) if rng.random() < 0.4 else None
    image = Image.fromarray(plain(rng, width, height) if ground is None else ground)
    pen = ImageDraw.Draw(image)
    if rng.random() < 0.4:
        pen.rectangle((0, 0, width, height * rng.uniform(0.08, 0.25)), color(rng))
    ink = color(rng)
    y = height * 0.03
    while y < height:
        size = float(rng.uniform(0.04, 0.16)) * height
        words = " ".join(rng.choice(WORDS, int(rng.integers(1, 7))))
        font = ImageFont.load_default(size=size)
        pen.text((rng.uniform(0.01, 0.4) * width, y), words, ink, font)
        y += size * rng.uniform(1.2, 2.5)
    return np.array(image)


def portrait(rng: Rng, width: int, height: int) -> Picture:
    """A talking head made of ellipses before another background."""
    picture = clouds(rng, width, height)
    skin = tuple(int(v) for v in rng.integers((70, 45, 30), (240, 200, 175)))
    x = int(rng.uniform(0.25, 0.75) * width)
    y = int(rng.uniform(0.3, 0.6) * height)
    face = int(rng.uniform(0.1, 0.3) * height)
    body = (x, y + int(3.1 * face))
    cv2.ellipse(picture, body, (2 * face, 2 * face), 0, 0, 360, color(rng), -1)
    hair = (x, y - face // 4)
    dark = tuple(int(v) for v in rng.integers(0, 120, 3))
    cv2.ellipse(picture, hair, (face, int(1.25 * face)), 0, 0, 360, dark, -1)
    cv2.ellipse(picture, (x, y), (int(face * 0.8), face), 0, 0, 360, skin, -1)
    return picture


def town(rng: Rng, width: int, height: int) -> Picture:
    """A crop of the synthetic street."""
    picture = _streets()[int(rng.integers(0, _STREETS))]
    high, wide = picture.shape[:2]
    share = rng.uniform(0.5, 1.0)
    left = int(rng.uniform(0, 1 - share) * wide)
    top = int(rng.uniform(0, 1 - share) * high)
    part = picture[top : top + int(share * high), left : left + int(share * wide)]
    return resized(part, width, height)


def tiles(rng: Rng, width: int, height: int) -> Picture:
    """Several pictures side by side: a call, a wall of thumbnails, a desktop."""
    picture = any_simple(rng, width, height)
    for _ in range(int(rng.integers(1, 5))):
        wide, high = (int(v) for v in rng.uniform(0.15, 0.7, 2) * (width, height))
        left = int(rng.integers(0, width - wide))
        top = int(rng.integers(0, height - high))
        part = any_simple(rng, wide, high)
        picture[top : top + high, left : left + wide] = part
    return picture


def any_simple(rng: Rng, width: int, height: int) -> Picture:
    """Return one of the pictures above, a mosaic of others excepted."""
    painter = _SIMPLE[int(rng.integers(0, len(_SIMPLE)))]
    return painter(rng, width, height)


def background(rng: Rng, width: int, height: int) -> Picture:
    """Return any picture of this module, blurred, shaded or grey now and then."""
    painter = tiles if rng.random() < 0.15 else any_simple
    picture = painter(rng, width, height)
    if rng.random() < 0.12:
        reach = float(rng.uniform(0.5, 6.0))
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), reach))
    if rng.random() < 0.2:
        other = any_simple(rng, width, height)
        share = float(rng.uniform(0.1, 0.5))
        picture = np.asarray(cv2.addWeighted(picture, 1 - share, other, share, 0))
    return picture


def _blob(
    picture: Picture, rng: Rng, size: NDArray[Any], fill: tuple[int, ...]
) -> None:
    height, width = picture.shape[:2]
    x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
    wide, high = (max(1, min(int(value), width)) for value in size)
    if rng.random() < 0.6:
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(picture, (x, y), (wide, high), turn, 0, 360, fill, -1)
    else:
        cv2.rectangle(picture, (x, y), (x + wide, y + high), fill, -1)


@lru_cache(maxsize=1)
def _streets() -> list[Picture]:
    made = []
    for seed in range(1000, 1000 + _STREETS):
        shown = street.frames(*_STREET_SIZE, 2.0, seed)
        made.append(next(islice(shown, seed % 5, None)))
    return made


_SIMPLE: tuple[Painter, ...] = (
    plain,
    gradient,
    clouds,
    clouds,
    static,
    leaves,
    leaves,
    shapes,
    stripes,
    mosaic,
    bars,
    slide,
    portrait,
    town,
    town,
)
