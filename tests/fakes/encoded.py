"""Small real encoded video: flat or split fields, as access units."""

from collections.abc import Iterable
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

from sidecar.domain import AccessUnit, Codec, Picture

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
Colour = tuple[int, int, int]
_ENCODERS = {Codec.VP8: "libvpx", Codec.H264: "libx264"}
_OPTIONS = {
    Codec.VP8: {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    Codec.H264: {"preset": "ultrafast"},
}


def field(left: Colour, right: Colour | None = None, size: int = 64) -> Picture:
    """A square picture, its halves of one colour each."""
    picture = np.empty((size, size, 3), np.uint8)
    picture[:, : size // 2] = left
    picture[:, size // 2 :] = right or left
    return picture


class Encoder:
    """Encodes pictures at `fps` on request; keyframes where asked for.

    Args:
        codec: VP8, or H.264 with parameter sets in band.
        width: Pixels.
        height: Pixels.
        b_frames: H.264 only; then pictures come out later and reordered.
        fps: Frames a second.
    """

    def __init__(
        self,
        codec: Codec,
        width: int = 64,
        height: int = 64,
        *,
        b_frames: int = 0,
        fps: int = 30,
    ) -> None:
        context = av.CodecContext.create(_ENCODERS[codec], "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, fps), Fraction(fps)
        context.gop_size = 100_000
        context.max_b_frames = b_frames
        context.bit_rate = 500_000
        context.thread_count = 1
        context.options = dict(_OPTIONS[codec])
        if codec is Codec.H264 and not b_frames:
            context.options = {**_OPTIONS[codec], "tune": "zerolatency"}
        self._context = context
        self._codec = codec
        self._fps = fps
        self._count = 0

    def encode(self, picture: Picture, *, keyframe: bool = False) -> list[AccessUnit]:
        """What comes out as `picture` goes in."""
        frame = VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
        frame.pts = self._count
        if keyframe:
            frame.pict_type = PictureType.I
        self._count += 1
        return self._units(frame)

    def flush(self) -> list[AccessUnit]:
        """What was held back."""
        return self._units(None)

    def _units(self, frame: VideoFrame | None) -> list[AccessUnit]:
        units = []
        for packet in self._context.encode(frame):
            assert packet.pts is not None
            at = packet.pts / self._fps  # of its display: what a test can check
            units.append(
                AccessUnit(
                    self._codec, bytes(packet), packet.is_keyframe, at, at + 0.01
                )
            )
        return units


def clip(
    codec: Codec,
    pictures: Iterable[Picture],
    *,
    keyframe_every: int = 1000,
    b_frames: int = 0,
) -> list[AccessUnit]:
    """All of `pictures`, in decoding order; `received_at` is the display time."""
    units: list[AccessUnit] = []
    encoder: Encoder | None = None
    for i, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        encoder = encoder or Encoder(codec, width, height, b_frames=b_frames)
        units += encoder.encode(picture, keyframe=i % keyframe_every == 0)
    return units + (encoder.flush() if encoder else [])
