"""The synthetic street: alive, repeatable, and safe to write into."""

from itertools import islice

import numpy as np
import pytest

from sidecar.testcard import street


@pytest.mark.parametrize(("width", "height"), [(640, 360), (180, 320), (64, 36)])
def test_frames_have_the_size_asked_for(width: int, height: int) -> None:
    """Every frame is `uint8 (height, width, 3)`."""
    for picture in islice(street.frames(width, height, 30, seed=1), 3):
        assert picture.shape == (height, width, 3)
        assert picture.dtype == np.uint8


def test_the_same_seed_gives_the_same_street() -> None:
    """Frames depend on nothing but the arguments."""
    one = list(islice(street.frames(160, 90, 10, seed=4), 5))
    two = list(islice(street.frames(160, 90, 10, seed=4), 5))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_another_seed_gives_another_street() -> None:
    """Houses and cars differ, not only the noise."""
    one, two = (next(street.frames(160, 90, 10, seed)).astype(int) for seed in (1, 2))
    assert np.abs(one - two).mean() > 10


def test_the_street_moves() -> None:
    """After a second some places have changed by far more than noise."""
    shown = list(islice(street.frames(320, 180, 10, seed=3), 11))
    change = np.abs(shown[0].astype(int) - shown[10]).max(axis=2)
    assert (change > 40).mean() > 0.01


def test_writing_into_a_frame_does_not_reach_the_next() -> None:
    """Each frame is an array of its own."""
    frames = street.frames(64, 36, 10, seed=5)
    for picture in islice(frames, 6):
        assert picture.any()
        picture[:] = 0
