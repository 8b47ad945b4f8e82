# ruff: noqa: INP001, PLR2004
"""The evaluation's clips: a card appears before a real background, encoded for real."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from benign import KINDS, photograph, town
from codec import Encoding, direct, through
from compose import Placement, place
from decoys import decoy
from paint import Rng

from sidecar.domain import Category, Codec, Picture
from sidecar.testcard.cards import CATEGORIES

SIZES = ((320, 180), (640, 480), (360, 640), (640, 360), (1280, 720), (1920, 1080))
BIT_RATES = (300_000, 700_000, 2_000_000)
BENIGN_SIZES = ((320, 180), (640, 360), (360, 640), (480, 360))
HOW = Placement(cover=(0.4, 1.0), hidden=0.25)
CLEAN_FRAMES = 4
FRESH = 3  # frames after the card came: 100 ms, reported apart
LOOKS = (15, 30)  # 0.5 and 1 s: what a sidecar that samples once a second sees
GROUP = 10
_FIRST_SEED = 5_000_000


@dataclass(frozen=True, slots=True)
class Trial:
    """One clip to be made: its seed, its card and how it is encoded."""

    seed: int
    category: Category
    codec: Codec
    bit_rate: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of a trial: pictures at model size, and how the card lay.

    A starved encoder has not yet sent all of the card in the `fresh` picture.
    """

    trial: Trial
    fresh: Picture
    pictures: list[Picture]
    cover: float
    hidden: float


@dataclass(frozen=True, slots=True)
class Clean:
    """Pictures of one kind without a card, at model size."""

    kind: str
    pictures: list[Picture]


def trials(rounds: int) -> Iterator[Trial]:
    """Yield `rounds` trials of each card, codec, rate and size."""
    every = product(range(rounds), CATEGORIES[1:], Codec, BIT_RATES, SIZES)
    for index, (_, category, codec, bit_rate, size) in enumerate(every):
        yield Trial(_FIRST_SEED + index, category, codec, bit_rate, size)


def show(trial: Trial) -> Shown:
    """Make the clip; every third shows the card from its first frame on."""
    rng = np.random.default_rng(trial.seed)
    ground = _ground(rng, trial.size)
    placed = place(rng, trial.category, ground, _ground(rng, trial.size), HOW)
    clean = 0 if rng.random() < 1 / 3 else CLEAN_FRAMES
    length = clean + max(LOOKS) + 1
    frames = [ground] * clean + [placed.picture] * (length - clean)
    keep = [index - clean in {FRESH, *LOOKS} for index in range(length)]
    encoding = Encoding(trial.codec, trial.bit_rate)
    fresh, *pictures = through(_moving(rng, frames), encoding, keep)
    return Shown(trial, fresh, pictures, placed.cover, placed.hidden)


def benign(seed: int) -> Clean:
    """Make ten pictures of one kind: encoded, or every fourth time as they are."""
    rng = np.random.default_rng(_FIRST_SEED - 1 - seed)
    names = list(KINDS)
    kind = str(rng.choice(names, p=[share for _, share in KINDS.values()]))
    width, height = BENIGN_SIZES[int(rng.integers(0, len(BENIGN_SIZES)))]
    painter = KINDS[kind][0]
    pictures = [painter(rng, width, height) for _ in range(GROUP)]
    return Clean(kind, _coded(rng, pictures))


def stress(seed: int) -> Clean:
    """Make ten decoys: the cards' colours in other shapes, the cards in pieces."""
    rng = np.random.default_rng(2 * _FIRST_SEED + seed)
    pictures = []
    for _ in range(GROUP):
        shown = decoy(rng, 480, 270)
        how = Placement(screen=0.0)
        ground, patches = (photograph(rng, 480, 270) for _ in range(2))
        inside = rng.random() < 0.7
        placed = place(rng, shown, ground, patches, how) if inside else None
        pictures.append(shown if placed is None else placed.picture)
    return Clean("decoys", _coded(rng, pictures))


def _ground(rng: Rng, size: tuple[int, int]) -> Picture:
    painter = photograph if rng.random() < 0.6 else town
    return painter(rng, *size)


def _moving(rng: Rng, frames: list[Picture]) -> Iterator[Picture]:
    """Yield the frames with a trembling hand."""
    for frame in frames:
        shift = rng.integers(-2, 3, 2)
        yield np.roll(frame, (int(shift[0]), int(shift[1])), axis=(0, 1))


def _coded(rng: Rng, pictures: list[Picture]) -> list[Picture]:
    if rng.random() < 0.25:
        return [direct(picture) for picture in pictures]
    codec = Codec.VP8 if rng.random() < 0.5 else Codec.H264
    rate = BIT_RATES[int(rng.integers(0, len(BIT_RATES)))]
    return through(pictures, Encoding(codec, rate))
