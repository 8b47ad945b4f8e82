# ruff: noqa: INP001, PLR2004
"""Puts a card into a picture as a camera, a player or a joker would."""

from dataclasses import dataclass

import cv2
import numpy as np
from decoys import card
from paint import Rng

from sidecar.domain import Category, Picture

Mask = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Placement:
    """How a card may lie in the picture.

    Attributes:
        cover: Least and greatest area of the whole card, share of the picture's.
        hidden: At most this share of the card is cut off or covered.
        turn_deg: Greatest rotation, either way.
        skew: Greatest shift of a corner, share of the picture's side.
        screen: How often the card is shown on a screen within the picture.
    """

    cover: tuple[float, float] = (0.3, 1.15)
    hidden: float = 0.3
    turn_deg: float = 8.0
    skew: float = 0.04
    screen: float = 0.15


@dataclass(frozen=True, slots=True)
class Placed:
    """A picture with a card in it, and what is left of the card.

    Attributes:
        picture: `uint8 (height, width, 3)`.
        cover: Area of the whole card, share of the picture's.
        hidden: Share of the card that cannot be seen.
    """

    picture: Picture
    cover: float
    hidden: float


def place(
    rng: Rng,
    shown: Picture | Category,
    ground: Picture,
    cover_with: Picture,
    how: Placement,
) -> Placed:
    """Put `shown` into `ground`; patches of `cover_with` may hide parts of it."""
    height, width = ground.shape[:2]
    for _ in range(40):
        corners = _corners(rng, width, height, how)
        share = _area(corners) / (width * height)
        mask = np.zeros((height, width), np.float32)
        cv2.fillConvexPoly(mask, corners.round().astype(np.int32), 1.0)
        hidden = 1 - float(mask.sum()) / _area(corners)
        if hidden <= how.hidden + 0.005:
            break
    else:
        corners = _square(width, height)
        share, hidden = 1.0, 0.0
        mask = np.ones((height, width), np.float32)
    texture = _texture(rng, shown, corners, how)
    warped = _warp(texture, corners, width, height)
    blend = mask[..., None]
    mixed = ground * (1 - blend) + warped * blend
    picture = np.clip(mixed, 0, 255).astype(np.uint8)
    whole = _area(corners)
    seen = float(mask.sum()) / whole
    for _ in range(int(rng.integers(0, 4))):
        seen = _hide(rng, (picture, cover_with), mask, seen, (whole, how.hidden))
    return Placed(picture, share, 1 - seen)


def _corners(rng: Rng, width: int, height: int, how: Placement) -> np.ndarray:
    """Choose the card's four corners, clockwise from top left, in pixels."""
    cover = float(rng.uniform(*how.cover))
    if rng.random() < 0.1:
        cover = min(1.0, how.cover[1])
    root = cover**0.5
    wide = root * float(np.exp(rng.uniform(-0.3, 0.3)))
    wide = min(max(wide, min(cover, 1.0)), max(1.0, root))
    high = cover / wide
    box = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (wide, high) / 2
    room = np.abs(1 - np.array([wide, high])) / 2 + 0.06 * rng.integers(0, 3)
    center = 0.5 + rng.uniform(-1, 1, 2) * room
    skew = how.skew * rng.integers(0, 2)
    box = (box + rng.uniform(-skew, skew, (4, 2))) * (width, height)
    turn = np.deg2rad(rng.uniform(-how.turn_deg, how.turn_deg)) * rng.integers(0, 2)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.asarray(box @ matrix + center * (width, height), np.float32)


def _texture(
    rng: Rng, shown: Picture | Category, corners: np.ndarray, how: Placement
) -> Mask:
    """Return the card at about the size it will have, on a screen now and then."""
    wide = float(np.linalg.norm(corners[1] - corners[0]))
    high = float(np.linalg.norm(corners[3] - corners[0]))
    if rng.random() < 0.3:  # drawn for another aspect, then squashed
        high = wide * float(rng.choice([9 / 16, 3 / 4, 1.0]))
    size = [max(48, 24 * round(value / 24)) for value in (wide, high)]
    if isinstance(shown, Category):
        picture = card(shown, *size)
    else:
        picture = np.asarray(cv2.resize(shown, size, interpolation=cv2.INTER_AREA))
    if rng.random() < how.screen:
        picture = _on_screen(rng, picture)
    return picture.astype(np.float32)


def _on_screen(rng: Rng, picture: Picture) -> Picture:
    """Show the picture on a display: thin bezel, lines, a sheen, washed out."""
    height, width = picture.shape[:2]
    result = picture.astype(np.float32)
    period = int(rng.integers(2, 7))
    axis = int(rng.integers(0, 2))
    lines = (np.arange(result.shape[axis]) % period == 0) * rng.uniform(0.0, 0.5)
    result *= (1 - lines)[:, None, None] if axis == 0 else (1 - lines)[None, :, None]
    left, right = (float(value) for value in rng.uniform(0, 0.45, 2))
    sheen = np.linspace(left, right, width)[None, :, None]
    result += (255 - result) * sheen
    edge = max(1, int(rng.uniform(0.005, 0.03) * width))
    frame = float(rng.choice([10, 40, 200]))
    result[:edge], result[height - edge :] = frame, frame
    result[:, :edge], result[:, width - edge :] = frame, frame
    return np.clip(result, 0, 255).astype(np.uint8)


def _hide(
    rng: Rng,
    pictures: tuple[Picture, Picture],
    mask: Mask,
    seen: float,
    limit: tuple[float, float],
) -> float:
    """Cover a patch, unless too little of the card would be left; return what is."""
    picture, cover_with = pictures
    whole, hidden = limit
    height, width = mask.shape[:2]
    wide = int(width * rng.choice([rng.uniform(0.05, 0.5), 1.0]))
    high = int(height * rng.uniform(0.04, 0.45))
    if rng.random() < 0.3:
        wide, high = max(1, high * width // height), max(1, wide * height // width // 2)
    left = int(rng.integers(0, max(1, width - wide + 1)))
    top = int(rng.integers(0, max(1, height - high + 1)))
    patch = (slice(top, top + high), slice(left, left + wide))
    after = seen - float(mask[patch].sum()) / whole
    if 1 - after > hidden:
        return seen
    mask[patch] = 0
    picture[patch] = cover_with[patch]
    return after


def _warp(texture: Mask, corners: np.ndarray, width: int, height: int) -> Mask:
    source = _square(texture.shape[1], texture.shape[0])
    matrix = cv2.getPerspectiveTransform(source, corners)
    edge = cv2.BORDER_REPLICATE
    warped = cv2.warpPerspective(texture, matrix, (width, height), borderMode=edge)
    return np.asarray(warped, np.float32)


def _square(width: int, height: int) -> np.ndarray:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)


def _area(corners: np.ndarray) -> float:
    return float(cv2.contourArea(corners))
