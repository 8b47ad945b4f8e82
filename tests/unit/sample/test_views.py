"""One frame for several models, each at its own size."""

from dataclasses import replace

import numpy as np
import pytest
from av.video.frame import VideoFrame

from sidecar.arena import PictureArena, PictureSlots, lease_of
from sidecar.domain import Codec, PictureFormat
from sidecar.sample.decoder import Decoder
from sidecar.sample.resize import resized
from sidecar.sample.views import Views
from tests.fakes.encoded import RED, clip, field

SMALL, LARGE = PictureFormat(16, 16, "area"), PictureFormat(32, 24, "area")
NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def frame() -> VideoFrame:
    """Noise of 64 by 48 pixels."""
    return VideoFrame.from_ndarray(NOISE, format="rgb24")


def test_one_model_costs_one_picture() -> None:
    """Nothing else is made while nobody wants it."""
    fmt, picture, others = Views(SMALL).of(frame())
    assert (fmt, dict(others)) == (SMALL, {})
    assert np.array_equal(picture, resized(NOISE, SMALL))


def test_each_format_gets_the_same_frame() -> None:
    """The first one's picture lies in the arena, the others' in their own memory."""
    arena = PictureArena(PictureSlots(SMALL, 1))
    views = Views(SMALL, arena, lambda: (SMALL, LARGE))
    fmt, picture, others = views.of(frame())
    assert fmt == SMALL
    assert lease_of(picture) is not None
    assert np.array_equal(picture, resized(NOISE, SMALL))
    assert list(others) == [LARGE]
    assert np.array_equal(others[LARGE], resized(NOISE, LARGE))


def test_what_is_wanted_may_change_between_frames() -> None:
    """A model that takes over is shown its own format from the next frame on."""
    wanted = [(SMALL,), (SMALL, LARGE), (LARGE,)]
    arena = PictureArena(PictureSlots(SMALL, 4))
    views = Views(SMALL, arena, lambda: wanted.pop(0))
    shown = [views.of(frame()) for _ in range(3)]
    assert [(fmt, list(others)) for fmt, _, others in shown] == [
        *((SMALL, []), (SMALL, [LARGE]), (LARGE, []))
    ]
    assert [picture.shape for _, picture, _ in shown] == [
        *((16, 16, 3), (16, 16, 3), (24, 32, 3))
    ]
    assert lease_of(shown[2][1]) is None


@pytest.mark.parametrize(
    ("more", "averages"),
    [(SMALL, True), (replace(SMALL, resize="point"), False), (LARGE, False)],
)
def test_shortcuts_are_taken_only_if_every_model_averages(
    more: PictureFormat, *, averages: bool
) -> None:
    """One that sees every pixel sees what a shortcut leaves out."""
    tiny = PictureFormat(8, 8, "area")
    assert Views(tiny, None, lambda: (tiny, more)).averages(frame(), 3.0) is averages


def test_a_decoder_hands_all_of_them_on() -> None:
    """What comes out of an access unit carries each format's picture."""
    (unit,) = clip(Codec.VP8, [field(RED)])
    decoder = Decoder(Codec.VP8, SMALL, None, lambda: (SMALL, LARGE))
    decoded = decoder.glance(unit)
    assert decoded is not None
    assert decoded.fmt == SMALL
    assert decoded.picture.shape == (16, 16, 3)
    assert decoded.others[LARGE].shape == (24, 32, 3)
    assert decoded.others[LARGE].mean(axis=(0, 1)) == pytest.approx(
        decoded.picture.mean(axis=(0, 1)), abs=2
    )
