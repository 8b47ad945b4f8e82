"""Torn, hostile and oversized input: a picture, nothing, or the one error."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.domain import AccessUnit, Codec, Picture, PictureFormat
from sidecar.sample.decoder import Decoded, DecodeError, Decoder
from tests.fakes.encoded import BLUE, GREEN, RED, Colour, clip, field

Look = Callable[[AccessUnit], Decoded | None]

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


def claims(codec: Codec, width: int, height: int) -> AccessUnit:
    """A keyframe that says it is of that size."""
    if codec is Codec.VP8:
        unit = CLIPS[codec][0]
        size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
        return replace(unit, data=unit.data[:6] + size + unit.data[10:])
    return clip(codec, [np.zeros((height, width, 3), np.uint8)])[0]


@pytest.mark.parametrize(
    ("codec", "width", "height"),
    [(Codec.VP8, 16383, 16383), (Codec.H264, 8208, 16), (Codec.H264, 16, 8208)],
)
def test_too_large_a_picture_is_refused(codec: Codec, width: int, height: int) -> None:
    """By area before anything is allocated, by side before it is converted."""
    decoder = Decoder(codec, FORMAT)
    with pytest.raises(DecodeError):
        decoder.glance(claims(codec, width, height))
    assert is_of(decoder.decode(CLIPS[codec][0]), RED)


@CODECS
def test_nothing_is_no_access_unit(codec: Codec) -> None:
    """Empty data is an error, and does not end the codec."""
    decoder = Decoder(codec, FORMAT)
    with pytest.raises(DecodeError):
        decoder.decode(replace(CLIPS[codec][0], data=b""))
    assert is_of(decoder.decode(CLIPS[codec][0]), RED)


def test_half_a_picture_is_an_error() -> None:
    """What H.264 would conceal is torn, and never shown."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    (unit,) = clip(Codec.H264, [noise])
    torn = replace(unit, data=unit.data[: len(unit.data) // 2])
    decoder = Decoder(Codec.H264, FORMAT)
    for look in (decoder.follow, decoder.glance):
        with pytest.raises(DecodeError):
            look(torn)
        assert not decoder.primed


def test_a_picture_that_cannot_be_converted_is_an_error() -> None:
    """Whatever the scaler does not take ends the run, not the process."""
    decoder = Decoder(Codec.VP8, PictureFormat(3_000_000, 8))
    with pytest.raises(DecodeError, match="convert"):
        decoder.decode(CLIPS[Codec.VP8][0])
    assert not decoder.primed


def test_a_torn_delta_ends_the_run() -> None:
    """What refers to it is passed over until the next keyframe."""
    units = CLIPS[Codec.H264]
    decoder = Decoder(Codec.H264, FORMAT)
    decoder.decode(units[0])
    with pytest.raises(DecodeError):
        decoder.decode(replace(units[1], data=b"\0\0\0\1\x41garbage"))
    assert decoder.decode(units[2]) is None
    assert is_of(decoder.decode(units[4]), GREEN)


def test_a_closed_decoder_can_be_closed_again() -> None:
    """Closing forgets the run; it is harmless before the first picture, and twice."""
    decoder = Decoder(Codec.VP8, FORMAT)
    decoder.close()
    decoder.decode(CLIPS[Codec.VP8][0])
    decoder.close()
    decoder.close()
    assert not decoder.primed


@CODECS
def test_torn_data_makes_no_noise(
    codec: Codec, capfd: pytest.CaptureFixture[str]
) -> None:
    """FFmpeg's own messages would flood the log at an adversary's will."""
    unit = CLIPS[codec][0]
    for cut in (3, 20, len(unit.data) // 2):
        decoder = Decoder(codec, FORMAT)
        try:
            decoder.glance(replace(unit, data=unit.data[:cut]))
        except DecodeError:
            continue
    assert capfd.readouterr() == ("", "")


@CODECS
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_bytes_are_a_picture_nothing_or_the_error(
    codec: Codec, data: st.DataObject
) -> None:
    """Mutated, cut or random data: never a crash; the next keyframe is whole again."""
    decoder = Decoder(codec, FORMAT)
    for _ in range(data.draw(st.integers(1, 4))):
        unit = data.draw(st.sampled_from(CLIPS[codec]))
        broken = replace(unit, data=data.draw(mutated(unit.data)))
        looks: list[Look] = [decoder.follow, decoder.glance]
        look = data.draw(st.sampled_from(looks))
        try:
            decoded = look(broken)
        except DecodeError:
            assert not decoder.primed
            continue
        assert decoded is None or decoded.picture.shape == (24, 32, 3)
    assert is_of(decoder.decode(CLIPS[codec][4]), GREEN)


@st.composite
def mutated(draw: st.DrawFn, good: bytes) -> bytes:
    """Real data with bytes changed and the end cut, or no such data at all."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=200))
    changed = bytearray(good)
    for _ in range(draw(st.integers(0, 8))):
        changed[draw(st.integers(0, len(good) - 1))] = draw(st.integers(0, 255))
    return bytes(changed[: draw(st.integers(0, len(good)))])
