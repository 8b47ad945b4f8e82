# ruff: noqa: INP001, PLR2004
"""Pictures without a card, for evaluation only: nothing here is used in training.

The photographs are those that scikit-image and scikit-learn bring along.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import qrcode
import skimage
import sklearn
from numpy.typing import NDArray
from paint import Color, Rng
from PIL import Image

from sidecar.domain import Category, Picture
from sidecar.testcard import cards, street

_DRAWN = ("chessboard", "logo", "color.png", "motorcycle_disp")
_FIRST_STREET = 900_000
_STREETS = 60
_SMPTE = ((191, 191, 191), (191, 191, 0), (0, 191, 191), (0, 191, 0))
_SMPTE_REST = ((191, 0, 191), (191, 0, 0), (0, 0, 191))
_SIGNS = ((200, 0, 30), (0, 60, 160), (255, 204, 0), (255, 120, 0), (0, 110, 60))
_INKS: tuple[Color, ...] = (*_SIGNS, (255, 255, 255), (0, 0, 0), (240, 0, 130))


def photograph(rng: Rng, width: int, height: int) -> Picture:
    """A crop of a real photograph: turned, mirrored, in another light, a collage."""
    picture = _cropped(rng, _photographs(), width, height)
    if rng.random() < 0.2:
        wide, high = width // 2, height // 2
        left, top = int(rng.integers(0, wide)), int(rng.integers(0, high))
        part = _cropped(rng, _photographs(), wide, high)
        picture[top : top + high, left : left + wide] = part
    if rng.random() < 0.5:
        gain, tint = rng.uniform(0.6, 1.4), rng.uniform(0.8, 1.2, 3)
        lit = 255 * (picture / 255.0) ** rng.uniform(0.6, 1.6) * gain * tint
        picture = np.clip(lit, 0, 255).astype(np.uint8)
    return picture


def smpte(rng: Rng, width: int, height: int) -> Picture:
    """SMPTE or plain colour bars, whole, cropped, or shown within a photograph."""
    picture = np.zeros((120, 168, 3), np.uint8)
    row = np.array((*_SMPTE, *_SMPTE_REST), np.uint8)
    if rng.random() < 0.3:
        row = np.where(row > 0, 255, 0).astype(np.uint8)
    picture[:] = np.repeat(row[None], 24, axis=1)
    if rng.random() < 0.7:
        below = row[::-1].copy()
        below[1::2] = 19
        picture[80:90] = np.repeat(below[None], 24, axis=1)
        steps = [(0, 33, 76), (255, 255, 255), (50, 0, 106), (19, 19, 19)]
        picture[90:] = np.repeat(np.array(steps, np.uint8)[None], 42, axis=1)
    return _shown(rng, picture, width, height)


def code(rng: Rng, width: int, height: int) -> Picture:
    """A QR code in two colours, whole, cropped, or shown within a photograph."""
    symbol = qrcode.QRCode(border=int(rng.integers(1, 5)), box_size=4)
    symbol.add_data("https://example.org/" + "x7" * int(rng.integers(1, 60)))
    dark = np.array(symbol.get_matrix())
    ink, paper = _ink(rng), _ink(rng)
    if rng.random() < 0.5 or ink == paper:
        ink, paper = (0, 0, 0), (255, 255, 255)
    picture = np.where(dark[..., None], ink, paper).astype(np.uint8)
    return _shown(rng, np.kron(picture, np.ones((4, 4, 1), np.uint8)), width, height)


def logo(rng: Rng, width: int, height: int) -> Picture:
    """Nested shapes and letters, as on shirts and signs, or a real project's logo."""
    if rng.random() < 0.15:
        return _shown(rng, _files("logo")[0], width, height)
    picture = np.full((240, 240, 3), _ink(rng), np.uint8)
    corners = int(rng.choice([3, 4, 4, 5, 6, 8, 10, 16, 60]))
    reach, deep = float(rng.uniform(80, 118)), float(rng.choice([1, 1, 0.7, 0.5]))
    for _ in range(int(rng.integers(1, 5))):
        angles = np.arange(corners) * 2 * np.pi / corners
        reaches = np.where(np.arange(corners) % 2, reach * deep, reach)
        points = np.stack([np.sin(angles), -np.cos(angles)], axis=1) * reaches[:, None]
        cv2.fillPoly(picture, [(points + 120).astype(np.int32)], _ink(rng))
        reach *= float(rng.uniform(0.6, 0.9))
    words = "".join(rng.choice(list("ABCDEGHMRSTX"), int(rng.integers(0, 4))))
    cv2.putText(picture, words, (60, 140), 3, 2.0, _ink(rng), 4)
    return _shown(rng, picture, width, height)


def flag(rng: Rng, width: int, height: int) -> Picture:
    """Crosses, diamonds, chevrons and bands, as on flags and warning signs."""
    picture = np.full((160, 240, 3), _ink(rng), np.uint8)
    kind = int(rng.integers(0, 4))
    for size in sorted(rng.uniform(6, 40, int(rng.integers(1, 4))), reverse=True):
        half, ink = int(size), _ink(rng)
        x = int(rng.choice([80, 120]))
        if kind == 0:
            picture[:, x - half : x + half] = ink
            picture[80 - half : 80 + half] = ink
        elif kind == 1:
            tips = [(120, 80 - 2 * half), (120 + 3 * half, 80), (120, 80 + 2 * half)]
            cv2.fillPoly(picture, [np.array([*tips, (120 - 3 * half, 80)])], ink)
        elif kind == 2:
            for left in range(-160, 400, 4 * half):
                box = [(left, 0), (left + 2 * half, 0), (left + 80, 80)]
                box += [(left + 2 * half, 160), (left, 160), (left + 80 - 2 * half, 80)]
                cv2.fillPoly(picture, [np.array(box)], ink)
        else:
            picture[80 - half : 80 + half] = ink
    return _shown(rng, picture, width, height)


def text(rng: Rng, width: int, height: int) -> Picture:
    """A slide of words in plotter letters, or a scanned page."""
    if rng.random() < 0.2:
        page = _files("page" if rng.random() < 0.5 else "text")
        return _cropped(rng, page, width, height)
    picture = np.full((height, width, 3), _ink(rng), np.uint8)
    ink, face = _ink(rng), int(rng.integers(0, 8))
    y, scale = 0, height / 400
    while y < height:
        size = scale * float(rng.uniform(0.5, 3.0))
        y += int(32 * size)
        words = " ".join(rng.choice(list(cards.caption(Category.SAFE).split()), 5))
        place = (int(rng.uniform(0, 0.3) * width), y)
        cv2.putText(picture, words, place, face, size, ink, max(1, int(2 * size)))
    return picture


def chart(rng: Rng, width: int, height: int) -> Picture:
    """Checkerboards, a colour chart, a colour wheel."""
    chance = rng.random()
    if chance < 0.3:
        return _shown(rng, _pick(rng, _files("chessboard")), width, height)
    if chance < 0.5:
        return _shown(rng, _files("color")[0], width, height)
    rows, columns = (int(value) for value in rng.integers(2, 9, 2))
    patches = rng.integers(0, 256, (rows, columns, 3)).astype(np.uint8)
    big = np.kron(patches, np.ones((24, 24, 1), np.uint8))
    big[::24], big[:, ::24] = 20, 20
    return _shown(rng, big, width, height)


def town(rng: Rng, width: int, height: int) -> Picture:
    """The synthetic street, from seeds not used in training."""
    seed = int(rng.integers(0, _STREETS))
    return _cropped(rng, (_streets()[seed],), width, height)


def safe_card(rng: Rng, width: int, height: int) -> Picture:
    """The harmless-looking card, in a photograph now and then."""
    return _shown(rng, cards.draw(Category.SAFE, 320, 180), width, height)


KINDS: Mapping[str, tuple[Callable[[Rng, int, int], Picture], float]] = {
    "photographs": (photograph, 0.40),
    "streets": (town, 0.14),
    "text slides": (text, 0.10),
    "logos": (logo, 0.09),
    "flags and signs": (flag, 0.07),
    "QR codes": (code, 0.05),
    "SMPTE bars": (smpte, 0.05),
    "charts": (chart, 0.05),
    "safe card": (safe_card, 0.05),
}
"""Each kind of benign picture with its share of the evaluation."""


def _shown(rng: Rng, picture: Picture, width: int, height: int) -> Picture:
    """Fill the picture with it, with a crop of it, or put it into a photograph."""
    chance = rng.random()
    if chance < 0.35:
        return _stretched(picture, width, height)
    if chance < 0.55:
        return _cropped(rng, (picture,), width, height)
    ground = photograph(rng, width, height)
    wide, high = (int(v) for v in rng.uniform(0.4, 0.95, 2) * (width, height))
    left, top = int(rng.integers(0, width - wide)), int(rng.integers(0, height - high))
    ground[top : top + high, left : left + wide] = _stretched(picture, wide, high)
    return ground


def _cropped(
    rng: Rng, pictures: tuple[Picture, ...], width: int, height: int
) -> Picture:
    picture = _pick(rng, pictures)
    high, wide = picture.shape[:2]
    part_high, part_wide = (int(v) for v in rng.uniform(0.25, 1.0, 2) * (high, wide))
    top = int(rng.integers(0, high - part_high + 1))
    left = int(rng.integers(0, wide - part_wide + 1))
    part = picture[top : top + part_high, left : left + part_wide]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return _stretched(np.ascontiguousarray(part), width, height)


def _stretched(picture: NDArray[Any], width: int, height: int) -> Picture:
    shrinks = picture.shape[1] > width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.array(cv2.resize(picture, (width, height), interpolation=method))


def _pick(rng: Rng, pictures: tuple[Picture, ...]) -> Picture:
    return pictures[int(rng.integers(0, len(pictures)))]


def _ink(rng: Rng) -> Color:
    return _INKS[int(rng.integers(0, len(_INKS)))]


@lru_cache(maxsize=8)
def _files(start: str) -> tuple[Picture, ...]:
    """Return scikit-image's bundled pictures whose name begins so."""
    folder = Path(skimage.__file__).parent / "data"
    paths = sorted(p for p in folder.iterdir() if p.name.startswith(start))
    return tuple(np.array(Image.open(p).convert("RGB")) for p in paths if _still(p))


@lru_cache(maxsize=1)
def _photographs() -> tuple[Picture, ...]:
    """Return every bundled photograph, and six sheets of bundled faces."""
    bundled = Path(skimage.__file__).parent / "data"
    folders = (bundled, Path(sklearn.__file__).parent / "datasets" / "images")
    paths = sorted(p for folder in folders for p in folder.iterdir() if _still(p))
    chosen = [p for p in paths if not p.name.startswith(_DRAWN)]
    pictures = [np.array(Image.open(p).convert("RGB")) for p in chosen]
    faces = np.load(bundled / "lfw_subset.npy")
    grey = (255 * faces / faces.max()).astype(np.uint8)
    sheets = [
        np.block(list(map(list, part))) for part in grey[:96].reshape(6, 4, 4, 25, 25)
    ]
    return (*pictures, *(np.repeat(s[..., None], 3, axis=2) for s in sheets))


def _still(path: Path) -> bool:
    return path.suffix in {".png", ".jpg"}


@lru_cache(maxsize=1)
def _streets() -> tuple[Picture, ...]:
    made = []
    for seed in range(_FIRST_STREET, _FIRST_STREET + _STREETS):
        shown = street.frames(960, 540, 1.0, seed)
        made.append(next(islice(shown, seed % 7, None)))
    return tuple(made)
