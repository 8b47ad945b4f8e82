"""One resize for all: exact where it is ours, placed as the model's card says."""

import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sidecar.domain import Codec, Picture, PictureFormat
from sidecar.sample.decoder import Decoder
from sidecar.sample.resize import (
    ALIGN_CORNERS,
    FITS,
    METHODS,
    Placement,
    Resizer,
    placement,
    resized,
)
from tests.fakes.encoded import clip

SIDES = st.integers(1, 90)


def noise(width: int, height: int) -> Picture:
    """The hardest picture there is for a resize, repeatable."""
    values = np.random.default_rng(width * 997 + height).integers(
        0, 256, (height, width, 3)
    )
    return values.astype(np.uint8)


def by_the_book(picture: Picture, width: int, height: int) -> NDArray[np.float64]:
    """TensorFlow's resize_bilinear(align_corners=True), pixel by pixel in float64."""
    high, wide = picture.shape[:2]
    out = np.empty((height, width, 3))
    for y in range(height):
        for x in range(width):
            v, u = y * (high - 1) / (height - 1), x * (wide - 1) / (width - 1)
            top, left = int(v), int(u)
            under, right = min(top + 1, high - 1), min(left + 1, wide - 1)
            p = picture.astype(np.float64)
            above = p[top, left] + (p[top, right] - p[top, left]) * (u - left)
            below = p[under, left] + (p[under, right] - p[under, left]) * (u - left)
            out[y, x] = above + (below - above) * (v - top)
    return out


@pytest.mark.parametrize(
    ("width", "height"), [(8, 8), (12, 9), (9, 23), (64, 36), (1, 1), (1, 50), (50, 2)]
)
def test_align_corners_is_exact_to_half_a_level(width: int, height: int) -> None:
    """Against float64; what remains is the rounding to bytes."""
    picture = noise(width, height)
    found = resized(picture, PictureFormat(12, 9, ALIGN_CORNERS))
    off = np.abs(found - by_the_book(picture, 12, 9))
    assert off.max() <= 0.5 + 1e-4


def test_align_corners_keeps_the_corners_and_does_not_average() -> None:
    """The four corner pixels stay what they are, however much is left out between."""
    picture = noise(1280, 720)
    found = resized(picture, PictureFormat(224, 224, ALIGN_CORNERS))
    for y in (0, -1):
        for x in (0, -1):
            assert found[y, x].tolist() == picture[y, x].tolist()
    assert found.std() > 40  # an average of so much noise would be grey


def test_the_same_size_is_the_same_picture() -> None:
    """Nothing is lost where nothing is to be done, by any method."""
    picture = noise(16, 16)
    for method in METHODS:
        assert np.array_equal(resized(picture, PictureFormat(16, 16, method)), picture)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "nv12", "gray", "yuv444p"])
def test_every_pixel_format_of_a_decoder_is_taken(method: str, pixels: str) -> None:
    """A plain grey frame comes out as plain grey, whatever it was stored as."""
    grey = np.full((30, 50, 3), 128, np.uint8)
    frame = VideoFrame.from_ndarray(grey, format="rgb24").reformat(format=pixels)
    out = np.zeros((24, 32, 3), np.uint8)
    Resizer(PictureFormat(32, 24, method)).into(frame, out)
    assert np.abs(out.astype(int) - 128).max() <= 3


def half(left: int, right: int, width: int = 64, height: int = 32) -> Picture:
    """Left and right in one grey each."""
    picture = np.full((height, width, 3), left, np.uint8)
    picture[:, width // 2 :] = right
    return picture


def test_padding_at_the_end_leaves_the_aspect() -> None:
    """A wide frame fills the upper half; the bar below has the declared value."""
    fmt = PictureFormat(32, 32, "area", fit="pad_end", pad=7)
    found = resized(half(50, 200), fmt)
    assert found[:16, :15].max() == 50
    assert found[:16, 17:].min() == 200
    assert np.unique(found[16:]).tolist() == [7]


def test_padding_around_leaves_the_aspect() -> None:
    """A wide frame lies in the middle."""
    fmt = PictureFormat(32, 32, "area", fit="pad_center", pad=114)
    found = resized(half(50, 200), fmt)
    assert np.unique(found[8:24]).tolist()[0] == 50
    assert np.unique(found[:8]).tolist() == np.unique(found[24:]).tolist() == [114]


def test_cropping_shows_the_middle() -> None:
    """Of a wide frame the sides are not seen."""
    picture = half(50, 200, width=96)
    picture[:, :32] = picture[:, 64:] = 0
    found = resized(picture, PictureFormat(32, 32, "area", fit="crop"))
    assert found[:, 1].max() == 50
    assert found[:, -2].min() == 200
    smaller = resized(picture, PictureFormat(16, 16, "area", fit="crop", keep=0.5))
    assert np.unique(smaller[:, :7]).tolist() == [50]


@given(SIDES, SIDES, st.sampled_from(FITS), st.floats(0.1, 1.0))
def test_a_picture_is_always_filled(
    width: int, height: int, fit: str, keep: float
) -> None:
    """Whatever the frame's shape: seen pixels and bars make up the whole picture."""
    fmt = PictureFormat(24, 16, "point", fit, keep, pad=9)
    out = np.full((16, 24, 3), 77, np.uint8)
    white = np.full((height, width, 3), 255, np.uint8)
    Resizer(fmt).into(VideoFrame.from_ndarray(white, format="rgb24"), out)
    assert set(np.unique(out)) <= {9, 255}
    assert out.max() == 255
    if not fit.startswith("pad"):
        assert out.min() == 255


def test_a_strip_is_not_scaled_beyond_reason() -> None:
    """8192 by 16 cropped to a square would be 115,000 pixels wide."""
    place = placement(PictureFormat(224, 224, fit="crop"), 8192, 16)
    assert place == Placement(8 * 224, 224, 784, 0)


@pytest.mark.parametrize(
    ("fmt", "told"),
    [
        (PictureFormat(8, 8, "sinc"), "resize must be one of area, .*; got 'sinc'"),
        (PictureFormat(8, 8, fit="tile"), "fit must be one of squash, .*; got 'tile'"),
    ],
)
def test_what_is_not_known_is_refused(fmt: PictureFormat, told: str) -> None:
    """The error lists what there is."""
    with pytest.raises(ValueError, match=told):
        Resizer(fmt)


def test_colours_are_those_of_the_frame() -> None:
    """Against an average in floating point of a YUV frame of small coloured blocks.

    Packed RGB out of swscale would be 4 levels off in the mean, and 18 at a hundredth.
    """
    blocks = noise(160, 90).repeat(8, 0).repeat(8, 1)
    frame = VideoFrame.from_ndarray(blocks, format="rgb24").reformat(format="yuv420p")
    out = np.empty((90, 160, 3), np.uint8)
    Resizer(PictureFormat(160, 90, "area")).into(frame, out)
    y, u, v = (
        np.frombuffer(memoryview(plane), np.uint8)
        .reshape(plane.height, plane.line_size)[:, : plane.width]
        .reshape(90, plane.height // 90, 160, plane.width // 160)
        .mean((1, 3))
        for plane in frame.planes
    )
    light, blue, red = 1.164384 * (y - 16), u - 128, v - 128  # BT.601
    green = -0.391762 * blue - 0.812968 * red
    wanted = np.stack((light + 1.596027 * red, light + green, light + 2.017232 * blue))
    off = np.abs(out - np.clip(wanted, 0, 255).transpose(1, 2, 0))
    assert off.mean() < 0.5
    assert np.percentile(off, 99) <= 1


@pytest.mark.parametrize("method", ["area", "bilinear", ALIGN_CORNERS])
def test_the_decoder_shows_what_a_proof_shows(method: str) -> None:
    """A stream's picture and the same picture as a file become the same pixels.

    Of soft colours: codecs keep a quarter of them, and swscale spreads that out when it
    scales and not when it does not.
    """
    y, x = np.mgrid[0:72, 0:128]
    waves = [127 + 100 * np.sin(x / 40 + y / 30 + turn) for turn in (0, 2, 4)]
    (unit,) = clip(Codec.H264, [np.stack(waves, axis=2).astype(np.uint8)])
    whole = Decoder(Codec.H264, PictureFormat(128, 72, "bilinear")).decode(unit)
    fmt = PictureFormat(32, 24, method, fit="crop")
    shown = Decoder(Codec.H264, fmt).decode(unit)
    assert whole is not None
    assert shown is not None
    off = np.abs(shown.astype(int) - resized(whole, fmt))
    assert off.mean() < 1.5
    assert off.max() <= 5
