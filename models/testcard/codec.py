# ruff: noqa: INP001
"""Real encoding and decoding in memory, and the resize production uses."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import cast

import av
import numpy as np
from PIL import Image

from sidecar.domain import Codec, Picture

SIDE = 128  # the model's input, pixels
RESIZE = "area"

_NAMES = {Codec.H264: ("libx264", "h264"), Codec.VP8: ("libvpx", "vp8")}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How pictures are encoded; `bit_rate` in bits a second at `fps`."""

    codec: Codec
    bit_rate: int
    fps: int = 30


def through(
    pictures: Iterable[Picture], how: Encoding, keep: Sequence[bool] | None = None
) -> list[Picture]:
    """Encode and decode; return each picture (or those to keep) at model size."""
    shrunk = []
    for index, frame in enumerate(_decoded(pictures, how)):
        if keep is None or keep[index]:
            shrunk.append(_shrink(frame))
    return shrunk


def direct(picture: Picture) -> Picture:
    """Return the picture at model size, by way of YUV as a decoder gives it."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
    return _shrink(frame.reformat(format="yuv420p"))


def jpeg(picture: Picture, quality: int) -> Picture:
    """Return the picture after JPEG."""
    store = BytesIO()
    Image.fromarray(picture).save(store, "JPEG", quality=quality)
    return np.array(Image.open(store))


def _shrink(frame: av.VideoFrame) -> Picture:
    small = frame.reformat(SIDE, SIDE, "rgb24", interpolation=RESIZE.upper())
    return np.asarray(small.to_ndarray(), np.uint8)


def _decoded(pictures: Iterable[Picture], how: Encoding) -> Iterator[av.VideoFrame]:
    encoder_name, decoder_name = _NAMES[how.codec]
    decoder = cast("av.VideoCodecContext", av.CodecContext.create(decoder_name, "r"))
    decoder.thread_count = 1
    encoder: av.VideoCodecContext | None = None
    for picture in pictures:
        if encoder is None:
            encoder = _encoder(encoder_name, picture.shape, how)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
        for packet in encoder.encode(frame):
            yield from decoder.decode(packet)
    for packet in encoder.encode(None) if encoder else ():
        yield from decoder.decode(packet)
    yield from decoder.decode(None)


def _encoder(name: str, shape: tuple[int, ...], how: Encoding) -> av.VideoCodecContext:
    encoder = cast("av.VideoCodecContext", av.CodecContext.create(name, "w"))
    encoder.height, encoder.width = shape[0], shape[1]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, how.fps)
    encoder.framerate = Fraction(how.fps)
    encoder.bit_rate = how.bit_rate
    encoder.thread_count = 1
    rate = {"maxrate": str(how.bit_rate), "bufsize": str(how.bit_rate // 2)}
    if how.codec is Codec.H264:
        preset = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        encoder.options = {**preset, **rate}
    else:
        # Below zero the speed is fixed; above, it would follow the machine's load.
        fast = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}
        encoder.options = {**fast, **rate, "minrate": str(how.bit_rate)}
    return encoder
