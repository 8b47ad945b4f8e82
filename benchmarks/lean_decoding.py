"""How far off a keyframe is that was decoded without deblocking, then shrunk.

`python -m benchmarks.lean_decoding`: photographs, cut to 1280x720 and encoded at
several rates; for each way of decoding and size of picture, how far values are from an
average in floating point of the frame as a viewer's decoder shows it.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Final, cast

import av
import numpy as np
import typer
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sidecar.domain import Codec, Picture, PictureFormat
from sidecar.sample.resize import Resizer

_PHOTOGRAPHS: Final = Path(__file__).parent.parent / "models/nsfwjs/reference"
_SIZE: Final = (1280, 720)
_RATES: Final = (300_000, 1_000_000, 2_000_000)
_SIDES: Final = (128, 224, 299, 448)
_CODECS: Final = {Codec.VP8: ("libvpx", "vp8"), Codec.H264: ("libx264", "h264")}
_PICTURES: Final = 8  # encoded of each photograph: the rate control finds its level
_OPTIONS: Final = {
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "libx264": {"preset": "veryfast", "tune": "zerolatency"},
}
Floats = NDArray[np.float64]


def photographs() -> Iterator[Picture]:
    """In 1280x720, cut from the middle."""
    for path in sorted(_PHOTOGRAPHS.glob("*.png")):
        with Image.open(path) as image:
            yield np.asarray(ImageOps.fit(image.convert("RGB"), _SIZE), np.uint8)


def keyframe(codec: Codec, picture: Picture, bit_rate: int) -> bytes:
    """The last of some keyframes of `picture` by an encoder of real time."""
    name = _CODECS[codec][0]
    context = cast("av.VideoCodecContext", av.CodecContext.create(name, "w"))
    context.width, context.height = _SIZE
    context.pix_fmt, context.bit_rate = "yuv420p", bit_rate
    context.time_base, context.framerate = Fraction(1, 2), Fraction(2)
    context.gop_size, context.thread_count = 1, 1
    context.options = _OPTIONS[name]
    packets = []
    for index in range(_PICTURES):
        frame = VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
        frame.pts = index
        packets += context.encode(frame)
    return bytes((packets + context.encode(None))[-1])


def decoded(codec: Codec, data: bytes, *, lean: bool) -> VideoFrame:
    """Its frame, with deblocking or without."""
    context = cast(
        "av.VideoCodecContext", av.CodecContext.create(_CODECS[codec][1], "r")
    )
    context.options = {"skip_loop_filter": "all"} if lean else {}
    frames = [*context.decode(av.Packet(data)), *context.decode(None)]
    return frames[-1]


def averaged(frame: VideoFrame, side: int) -> Floats:
    """The frame as RGB, each value the exact mean of the area that it covers."""
    y, u, v = (_shrunk(plane, side) for plane in frame.planes)
    light, blue, red = 1.164384 * (y - 16), u - 128, v - 128  # BT.601
    green = light - 0.391762 * blue - 0.812968 * red
    rgb = np.stack((light + 1.596027 * red, green, light + 2.017232 * blue), -1)
    return np.clip(rgb, 0, 255)


def _shrunk(plane: VideoPlane, side: int) -> Floats:
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)
    down, across = _shares(plane.height, side), _shares(plane.width, side)
    return down @ lines[:, : plane.width] @ across.T


def _shares(size: int, wanted: int) -> Floats:
    """How much each of `size` pixels has of each of `wanted`."""
    edges = np.arange(wanted + 1) * (size / wanted)
    low = np.maximum(edges[:-1, None], np.arange(size))
    high = np.minimum(edges[1:, None], np.arange(1, size + 1))
    shares: Floats = np.maximum(high - low, 0.0) * (wanted / size)
    return shares


def main() -> None:
    """Prints the table."""
    pictures = list(photographs())
    typer.echo("codec kbit/s side | deblocked: mean p99 max | lean: mean p99 max")
    for codec, rate in product(_CODECS, _RATES):
        coded = [keyframe(codec, picture, rate) for picture in pictures]
        for side in _SIDES:
            cells = []
            for lean in (False, True):
                off = np.stack([_off(codec, data, side, lean=lean) for data in coded])
                p99 = np.percentile(off, 99)
                cells.append(f"{off.mean():.2f} {p99:.1f} {off.max():.0f}")
            typer.echo(f"{codec} {rate // 1000} {side} | {' | '.join(cells)}")


def _off(codec: Codec, data: bytes, side: int, *, lean: bool) -> Floats:
    wanted = averaged(decoded(codec, data, lean=False), side)
    out = np.empty((side, side, 3), np.uint8)
    Resizer(PictureFormat(side, side, "area")).into(
        decoded(codec, data, lean=lean), out
    )
    return cast("Floats", np.abs(out - wanted))


if __name__ == "__main__":
    main()
