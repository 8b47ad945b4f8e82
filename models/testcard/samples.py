# ruff: noqa: INP001, PLR2004
"""Makes the training samples: composed, encoded for real, shrunk as in production."""

from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from backgrounds import background
from codec import SIDE, Encoding, direct, jpeg, through
from compose import Placement, place
from decoys import decoy
from numpy.typing import NDArray
from paint import Rng

from sidecar.domain import Codec, Picture
from sidecar.testcard.cards import CATEGORIES

Labels = NDArray[np.int64]

SIZES = (
    (320, 180, 0.34),
    (426, 240, 0.2),
    (320, 240, 0.1),
    (640, 360, 0.18),
    (360, 640, 0.07),
    (180, 320, 0.07),
    (1280, 720, 0.03),
    (1920, 1080, 0.01),
)
CARDS_SHARE = 0.42
CHUNK = 500
_GROUP = 6
_SMALL = 3 * 700 * 400  # bytes of a picture
_LOST = 36.0  # mean difference of pixel values


@dataclass(frozen=True, slots=True)
class Samples:
    """Pictures at model size, `uint8 (n, 128, 128, 3)`, and labels as `CATEGORIES`."""

    pictures: Picture
    labels: Labels


def cached(folder: Path, seeds: range, workers: int) -> Samples:
    """Return 500 samples a seed, made by `workers` processes, kept in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = [(folder, s) for s in seeds if not _file(folder, s).exists()]
    with get_context("spawn").Pool(workers) as pool:
        for done, seed in enumerate(pool.imap_unordered(_make_chunk, todo), 1):
            print(f"samples: seed {seed}, {done}/{len(todo)}", flush=True)  # noqa: T201
    pictures = np.empty((CHUNK * len(seeds), SIDE, SIDE, 3), np.uint8)
    labels = np.empty(CHUNK * len(seeds), np.int64)
    for index, seed in enumerate(seeds):
        chunk = np.load(_file(folder, seed))
        part = slice(index * CHUNK, (index + 1) * CHUNK)
        pictures[part], labels[part] = chunk["pictures"], chunk["labels"]
    return Samples(pictures, labels)


def made(seed: int, count: int) -> Samples:
    """Make `count` samples from `seed`."""
    rng = np.random.default_rng(seed)
    pictures: list[Picture] = []
    labels: list[int] = []
    while len(labels) < count:
        group, marks = _group(rng)
        pictures += _degraded(rng, group)
        labels += marks
    stack = np.stack(pictures[:count])
    assert stack.shape[1:] == (SIDE, SIDE, 3)
    return Samples(stack, np.array(labels[:count], np.int64))


def _file(folder: Path, seed: int) -> Path:
    return folder / f"{seed:06d}.npz"


def _make_chunk(job: tuple[Path, int]) -> int:
    folder, seed = job
    cv2.setNumThreads(1)
    chunk = made(seed, CHUNK)
    part = _file(folder, seed).with_suffix(".part.npz")
    np.savez(part, pictures=chunk.pictures, labels=chunk.labels)
    part.rename(_file(folder, seed))
    return seed


def _group(rng: Rng) -> tuple[list[Picture], list[int]]:
    """Compose a few pictures of one size, with their labels."""
    weights = np.array([size[2] for size in SIZES])
    chosen = int(rng.choice(len(SIZES), p=weights / weights.sum()))
    width, height, _ = SIZES[chosen]
    pictures, labels = [], []
    for _ in range(_GROUP):
        label = int(rng.integers(1, 4)) if rng.random() < CARDS_SHARE else 0
        picture = _with_card(rng, label, width, height) if label else None
        pictures.append(_without(rng, width, height) if picture is None else picture)
        labels.append(label)
    return pictures, labels


def _with_card(rng: Rng, label: int, width: int, height: int) -> Picture:
    ground, patches = (background(rng, width, height) for _ in range(2))
    how = Placement(hidden=float(rng.choice([0.05, 0.3])))
    return _filmed(rng, place(rng, CATEGORIES[label], ground, patches, how).picture)


def _without(rng: Rng, width: int, height: int) -> Picture:
    ground = background(rng, width, height)
    chance = rng.random()
    if chance < 0.45:
        return _filmed(rng, ground)
    if chance < 0.55:
        return _filmed(rng, decoy(rng, width, height))
    shown = decoy(rng, 320, 240) if chance < 0.85 else background(rng, 320, 240)
    patches = background(rng, width, height)
    return _filmed(rng, place(rng, shown, ground, patches, Placement()).picture)


def _filmed(rng: Rng, picture: Picture) -> Picture:
    """Blur, noise and a bad light, as a camera adds them."""
    if rng.random() < 0.15:
        reach = float(rng.uniform(0.4, 0.006 * picture.shape[1]))
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), reach))
    if rng.random() < 0.2:
        grain = rng.standard_normal(picture.shape, np.float32)
        grain *= np.float32(rng.uniform(3, 25))
        picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.1:
        picture = jpeg(picture, int(rng.integers(8, 60)))
    return picture


def _degraded(rng: Rng, group: list[Picture]) -> list[Picture]:
    """Take the group through a codec, each picture for one to eight frames."""
    if rng.random() < 0.2:
        return [direct(picture) for picture in group]
    codec = Codec.VP8 if rng.random() < 0.5 else Codec.H264
    small = group[0].size < _SMALL
    starved = small and rng.random() < 0.4  # as large pictures are at a low rate
    rates = (15_000, 200_000) if starved else (150_000, 2_000_000)
    rate = int(np.exp(rng.uniform(*np.log(rates))))
    times = [int(rng.integers(1, 9 if starved else 4)) for _ in group]
    keep = [turn == count - 1 for count in times for turn in range(count)]
    shown = list(_repeated(rng, group, times))
    kept = through(shown, Encoding(codec, rate), keep)
    clean = [direct(picture) for picture in group]
    if len(kept) != len(group):  # the encoder left frames out: labels would shift
        return clean
    return [_recognisable(*pair) for pair in zip(kept, clean, strict=True)]


def _recognisable(coded: Picture, clean: Picture) -> Picture:
    """Return `coded`, unless it still shows mostly the picture before."""
    apart = np.abs(coded.astype(np.int16) - clean).mean()
    return clean if apart > _LOST else coded


def _repeated(rng: Rng, group: list[Picture], times: list[int]) -> Iterator[Picture]:
    for picture, count in zip(group, times, strict=True):
        for turn in range(count):
            shift = int(rng.integers(-3, 4)) if turn else 0
            yield np.roll(picture, shift, axis=1)
