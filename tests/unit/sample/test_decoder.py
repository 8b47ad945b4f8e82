"""Access unit to picture, on real encoded video."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from sidecar.arena import PictureArena, PictureSlots, lease_of
from sidecar.domain import Codec, Picture, PictureFormat
from sidecar.sample.decoder import Decoder
from tests.fakes.encoded import BLUE, GREEN, RED, Colour, clip, field

FORMAT = PictureFormat(32, 24)
CODECS = pytest.mark.parametrize("codec", list(Codec))
CLIPS = {
    codec: clip(
        codec,
        [field(c) for c in (RED, GREEN, BLUE) for _ in range(4)],
        keyframe_every=4,
    )
    for codec in Codec
}


def is_of(picture: Picture | None, colour: Colour) -> bool:
    """Whether a picture is of one colour, as far as a codec keeps it."""
    assert picture is not None
    return bool(np.abs(picture.astype(int) - colour).max() < 40)


@CODECS
def test_a_picture_is_rgb_and_as_the_model_wants_it(codec: Codec) -> None:
    """Height, width, RGB; one contiguous block of uint8; left is left."""
    (unit,) = clip(codec, [field(RED, BLUE)])
    picture = Decoder(codec, FORMAT).decode(unit)
    assert picture is not None
    assert picture.shape == (24, 32, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert is_of(picture[:, :12], RED)
    assert is_of(picture[:, 20:], BLUE)


@CODECS
def test_a_run_comes_out_picture_by_picture(codec: Codec) -> None:
    """Without reordering each access unit gives its picture at once."""
    decoder = Decoder(codec, FORMAT)
    pictures = [decoder.decode(unit) for unit in CLIPS[codec]]
    assert all(
        is_of(picture, colour)
        for picture, colour in zip(
            pictures, [c for c in (RED, GREEN, BLUE) for _ in range(4)], strict=True
        )
    )


@CODECS
def test_what_is_not_converted_is_still_followed(codec: Codec) -> None:
    """Skipping conversions changes no later picture."""
    units = clip(codec, [field((i * 20, 100, 255 - i * 20)) for i in range(10)])
    every, last = Decoder(codec, FORMAT), Decoder(codec, FORMAT)
    for unit in units[:-1]:
        every.decode(unit)
        assert last.decode(unit, convert=False) is None
    one, two = every.decode(units[-1]), last.decode(units[-1])
    assert one is not None
    assert two is not None
    assert np.array_equal(one, two)


def test_a_lone_keyframe_comes_out_at_once() -> None:
    """Though the stream reorders pictures (x264 with B-frames), one after another."""
    colours = [RED, GREEN, BLUE]
    pictures = [field(c) for c in colours for _ in range(8)]
    units = clip(Codec.H264, pictures, keyframe_every=8, b_frames=2)
    keyframes = [unit for unit in units if unit.keyframe]
    assert len(keyframes) == 3
    decoder = Decoder(Codec.H264, FORMAT)
    for keyframe, colour in zip(keyframes, colours, strict=True):
        decoded = decoder.glance(keyframe)
        assert decoded is not None
        assert is_of(decoded.picture, colour)
        assert decoded.received_at == keyframe.received_at
        assert not decoder.primed


def test_a_reordered_picture_keeps_its_own_instant() -> None:
    """With B-frames a picture tells when it came, not when it was set free."""
    pictures = [field((i * 8, 0, 255 - i * 8)) for i in range(30)]
    units = clip(Codec.H264, pictures, b_frames=2)
    assert units != sorted(units, key=lambda unit: unit.received_at)
    decoder = Decoder(Codec.H264, FORMAT)
    out = [decoded for unit in units if (decoded := decoder.follow(unit))]
    assert len(out) >= 27
    for one, two in itertools.pairwise(out):
        assert two.received_at - one.received_at == pytest.approx(1 / 30)
        red = one.picture[..., 0].mean()
        assert red == pytest.approx(one.received_at * 30 * 8, abs=25)


@CODECS
def test_a_lone_keyframe_ends_the_run(codec: Codec) -> None:
    """After following a stream a glance starts afresh, and deltas are passed over."""
    decoder = Decoder(codec, FORMAT)
    units = CLIPS[codec]
    primed = []
    for unit in units[:3]:
        decoder.decode(unit)
        primed.append(decoder.primed)
    decoded = decoder.glance(units[8])
    assert decoded is not None
    assert is_of(decoded.picture, BLUE)
    assert [*primed, decoder.primed] == [True, True, True, False]
    assert decoder.decode(units[9]) is None


@CODECS
def test_it_begins_at_a_keyframe(codec: Codec) -> None:
    """Joined in mid-group, it passes over what it cannot decode, without an error."""
    decoder = Decoder(codec, FORMAT)
    pictures = [decoder.decode(unit) for unit in CLIPS[codec][2:6]]
    assert pictures[:2] == [None, None]
    assert is_of(pictures[2], GREEN)


@CODECS
def test_a_change_of_resolution_is_followed(codec: Codec) -> None:
    """A publisher may restart with another size; the model's size stays."""
    small = clip(codec, [field(RED)] * 2)
    large = clip(codec, [field(GREEN, size=160)] * 2)
    decoder = Decoder(codec, FORMAT)
    pictures = [decoder.decode(unit) for unit in (*small, *large, *small)]
    for picture, colour in zip(
        pictures, [RED, RED, GREEN, GREEN, RED, RED], strict=True
    ):
        assert picture is not None
        assert picture.shape == (24, 32, 3)
        assert is_of(picture, colour)


def test_a_change_of_codec_is_followed() -> None:
    """What comes after it is looked at, not lost."""
    decoder = Decoder(Codec.VP8, FORMAT)
    assert is_of(decoder.decode(CLIPS[Codec.VP8][0]), RED)
    assert is_of(decoder.decode(CLIPS[Codec.H264][4]), GREEN)
    assert is_of(decoder.decode(CLIPS[Codec.VP8][8]), BLUE)


@pytest.mark.parametrize(
    "method", ["area", "bilinear", "fast_bilinear", "bicubic", "point", "lanczos"]
)
def test_every_resize_method_is_known(method: str) -> None:
    """All names a manifest may give."""
    decoder = Decoder(Codec.VP8, replace(FORMAT, resize=method))
    assert is_of(decoder.decode(CLIPS[Codec.VP8][0]), RED)


def test_resize_methods_differ() -> None:
    """The name has an effect: a model sees what it was trained with."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    (unit,) = clip(Codec.H264, [noise])
    point = Decoder(Codec.H264, replace(FORMAT, resize="point")).decode(unit)
    area = Decoder(Codec.H264, replace(FORMAT, resize="area")).decode(unit)
    assert point is not None
    assert area is not None
    assert point.std() > area.std() * 1.2


@CODECS
def test_a_lone_keyframe_shrunk_a_lot_looks_the_same(codec: Codec) -> None:
    """It is decoded with less effort than one of a run; nobody can tell."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(40, 216, (24, 32, 3)).repeat(16, axis=0).repeat(16, axis=1)
    rough = blocks + rng.integers(-40, 41, blocks.shape)
    (unit,) = clip(codec, [rough.astype(np.uint8)])
    decoder = Decoder(codec, replace(FORMAT, resize="area"))
    lean, full = decoder.glance(unit), decoder.decode(unit)
    assert lean is not None
    assert full is not None
    off = np.abs(lean.picture.astype(int) - full)
    assert off.mean() < 4  # of values that the encoder had to spoil


@CODECS
def test_what_came_before_does_not_show_in_a_lone_keyframe(codec: Codec) -> None:
    """The same access unit gives the same picture, first or after another size."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    (large,) = clip(codec, [noise.repeat(16, axis=0).repeat(16, axis=1)])
    (small,) = clip(codec, [noise.repeat(2, axis=0).repeat(2, axis=1)])
    decoder = Decoder(codec, replace(FORMAT, resize="area"))
    pictures = [
        decoded.picture
        for unit in (large, large, small, large, small)
        if (decoded := decoder.glance(unit))
    ]
    assert len(pictures) == 5
    for one, two in ((0, 1), (0, 3), (2, 4)):
        assert np.array_equal(pictures[one], pictures[two])


def test_an_unknown_resize_method_is_refused() -> None:
    """With the names that are known."""
    with pytest.raises(ValueError, match="lanczos"):
        Decoder(Codec.VP8, replace(FORMAT, resize="magic"))


@CODECS
@pytest.mark.parametrize("width", [30, 32])
def test_a_picture_may_be_put_into_an_arena(codec: Codec, width: int) -> None:
    """The same values, in its next slot; in memory of its own when all are taken."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    (unit,) = clip(codec, [noise])
    fmt = replace(FORMAT, width=width)  # rows of 30 pixels are padded by swscale
    arena = PictureArena(PictureSlots(fmt, 1))
    decoder = Decoder(codec, fmt, arena)
    first, second = decoder.decode(unit), decoder.decode(unit)
    plain = Decoder(codec, fmt).decode(unit)
    assert first is not None
    assert second is not None
    assert np.array_equal(first, arena.slots.array[0])
    assert lease_of(first) is not None
    assert lease_of(second) is None
    assert np.array_equal(first, second)
    assert plain is not None
    assert np.array_equal(first, plain)


def test_an_arena_of_another_format_is_refused() -> None:
    """Before the first picture."""
    arena = PictureArena(PictureSlots(PictureFormat(8, 8), 1))
    with pytest.raises(ValueError, match="the arena's pictures are"):
        Decoder(Codec.VP8, FORMAT, arena)
