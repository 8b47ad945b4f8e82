"""A glimpse hints at what is there, and can be turned back into nothing more."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sidecar.oversight.thumbnail import SIDE, blurred, png


def flat(value: int, height: int = 90, width: int = 160) -> np.ndarray:
    """One grey all over."""
    return np.full((height, width, 3), value, np.uint8)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 255))
def test_a_plain_picture_stays_its_grey(height: int, width: int, value: int) -> None:
    """Of any size; no more than 24 squares a side."""
    small = blurred(flat(value, height, width))
    assert small.shape == (min(SIDE, height), min(SIDE, width))
    assert np.abs(small.astype(int) - value).max() <= 1


def test_colour_and_detail_are_gone() -> None:
    """Red and its grey look alike; lines a pixel wide are an even grey."""
    red = flat(0)
    red[..., 0] = 200
    grey = blurred(flat(60))
    assert np.abs(blurred(red).astype(int) - grey).max() <= 1
    lines = flat(0, 240, 240)
    lines[:, ::2] = 255
    assert np.ptp(blurred(lines).astype(int)) <= 1


def test_where_it_is_bright_can_be_seen() -> None:
    """A bright half stays brighter than the dark one."""
    half = flat(20)
    half[:, 80:] = 220
    small = blurred(half)
    assert small[:, 20:].mean() > small[:, :4].mean() + 150


@pytest.mark.parametrize("shape", [(1, 1), (24, 13)])
def test_the_file_is_a_picture(shape: tuple[int, int]) -> None:
    """As another program reads it."""
    grey = np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape)
    with Image.open(io.BytesIO(png(grey))) as read:
        assert read.mode == "L"
        np.testing.assert_array_equal(np.asarray(read), grey)
