"""Access unit to picture; the sampling path's home of PyAV.

Shrinks before it converts: 1.3 ms for 1080p, against 18.6 ms for a full-size array
(PyAV 18, one EPYC core).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import av
import av.logging
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from sidecar.arena import PictureArena
from sidecar.domain import AccessUnit, Codec, Formats, Picture, PictureFormat
from sidecar.errors import SidecarError
from sidecar.sample.views import Views

MAX_SIDE: Final = 8192
MAX_PIXELS: Final = 7680 * 4320  # 8K; a decoder allocates what the stream claims
_DECODERS: Final = {Codec.VP8: "vp8", Codec.H264: "h264"}
# A lone keyframe shrunk to a third or less, averaged, is decoded without deblocking, at
# 80 % of the cost. Photographs in 720p at 300 kbit/s, to 224x224: 0.4 (VP8) and 0.6
# (H.264) levels of 255 off in the mean instead of 0.3, one value in a hundred 2 to 3
# instead of 1 (benchmarks/lean_decoding.py).
_LEAN: Final = 3.0
_MAX_DELAY: Final = 32  # access units; H.264 holds back 16 pictures at the most

# FFmpeg tells of every torn byte on stderr; the sampler counts them instead.
av.logging.set_level(None)


class DecodeError(SidecarError):
    """An access unit is torn, not of its codec, or larger than is accepted."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture and the access unit it was encoded in (not the one that freed it).

    Attributes:
        picture: `uint8 (height, width, 3)`, RGB, C-contiguous.
        received_at: The access unit's.
        completed_at: The access unit's.
        fmt: What `picture` is in.
        others: The same frame as further models want to see it.
    """

    picture: Picture
    received_at: float
    completed_at: float
    fmt: PictureFormat
    others: Mapping[PictureFormat, Picture]


class Decoder:
    """Decodes one stream on one thread at a time.

    It begins at a keyframe. An error resets it, and it begins at the next one; access
    units between are passed over. Resolution and codec may change at any keyframe.

    Args:
        codec: What the stream is expected to be.
        fmt: Size and scaling method of the pictures.
        arena: Where they are put; each in memory of its own if None, or if it is full.
        formats: What all models want to see at present; None: `fmt` alone, for ever.

    Raises:
        ValueError: `fmt` names a method or a fit that is not known, or the arena's
            format is another.
    """

    def __init__(
        self,
        codec: Codec,
        fmt: PictureFormat,
        arena: PictureArena | None = None,
        formats: Formats | None = None,
    ) -> None:
        self._codec = codec
        self._views = Views(fmt, arena, formats)
        self._context: VideoCodecContext | None = None
        self._primed = False
        self._lean = False
        self._count = 0
        self._fed: deque[tuple[int, float, float]] = deque(maxlen=_MAX_DELAY)

    @property
    def primed(self) -> bool:
        """Whether the next access unit can be decoded if it is no keyframe."""
        return self._primed

    def decode(self, au: AccessUnit, *, convert: bool = True) -> Picture | None:
        """The newest picture that came out, if any; None if `convert` is false.

        Raises:
            DecodeError: See the class.
        """
        decoded = self.follow(au, convert=convert)
        return decoded.picture if decoded else None

    def follow(self, au: AccessUnit, *, convert: bool = True) -> Decoded | None:
        """Decodes one of a run of access units; keeps what the next ones refer to.

        Where a stream reorders pictures, one comes out some access units later.

        Raises:
            DecodeError: See the class.
        """
        if not (au.keyframe or self._primed):
            return None
        frames = self._feed(au)
        self._primed = True
        if not (frames and convert):
            return None
        pts = frames[-1].pts
        fed = next((fed for fed in self._fed if fed[0] == pts), self._fed[-1])
        return self._decoded(frames[-1], *fed[1:])

    def glance(self, keyframe: AccessUnit) -> Decoded | None:
        """Decodes a lone keyframe: its picture comes out at once.

        None for a keyframe that is not to be shown. The run, if any, ends: `primed` is
        false afterwards. The codec is opened for it and let go of: that costs 0.1 ms,
        and saves 1.6 (VP8) to 2.2 MB (H.264) for each stream between its samples.

        Raises:
            DecodeError: See the class.
        """
        frame = self._lone(keyframe)
        if frame is not None and self._views.averages(frame, _LEAN) is not self._lean:
            self._lean = not self._lean  # the first, or of another size than before
            frame = self._lone(keyframe)
        if frame is None:
            return None
        return self._decoded(frame, keyframe.received_at, keyframe.completed_at)

    def _lone(self, keyframe: AccessUnit) -> VideoFrame | None:
        """The keyframe's own frame, by a codec opened for it."""
        self._let_go()
        self._codec = keyframe.codec
        self._context = _open(keyframe.codec, lean=self._lean)
        try:
            frames = self._feed(keyframe)
            frames += self._run(self._context, None)
            return frames[-1] if frames else None
        finally:
            self._let_go()

    def close(self) -> None:
        """Lets go of the codec's memory; a decode under way in a thread ends first."""
        self._let_go()

    def _let_go(self) -> None:
        self._context = None
        self._primed = False
        self._fed.clear()

    def _feed(self, au: AccessUnit) -> list[VideoFrame]:
        if not au.data:
            self._abandon()
            raise DecodeError("empty access unit")  # PyAV takes it for the end
        context = self._context_for(au.codec)
        self._count += 1
        self._fed.append((self._count, au.received_at, au.completed_at))
        return self._run(context, au.data)

    def _run(self, context: VideoCodecContext, data: bytes | None) -> list[VideoFrame]:
        packet = None if data is None else av.Packet(data)
        if packet is not None:
            packet.pts = self._count
        try:
            frames = context.decode(packet)
        except av.FFmpegError as exc:
            self._abandon()
            raise DecodeError(f"{self._codec}: {exc.strerror}") from exc
        for frame in frames:
            if frame.is_corrupt or max(frame.width, frame.height) > MAX_SIDE:
                self._abandon()
                raise DecodeError(f"{self._codec}: torn or oversized picture")
        return frames

    def _abandon(self) -> None:
        """After an error: a new codec, for the old one may be in any state."""
        self._context = None
        self._primed = False

    def _context_for(self, codec: Codec) -> VideoCodecContext:
        if self._context is None or codec is not self._codec:
            self._codec = codec
            self._context = _open(codec, lean=False)
        return self._context

    def _decoded(
        self, frame: VideoFrame, received_at: float, completed_at: float
    ) -> Decoded:
        try:
            fmt, picture, others = self._views.of(frame)
        except (av.FFmpegError, ValueError) as exc:
            self._abandon()
            name = frame.format.name
            raise DecodeError(f"{self._codec}: cannot convert {name}") from exc
        return Decoded(picture, received_at, completed_at, fmt, others)


def _open(codec: Codec, *, lean: bool) -> VideoCodecContext:
    """A codec of one thread that holds nothing back; lean: without deblocking."""
    context = av.CodecContext.create(_DECODERS[codec], "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.flags |= Flags.low_delay
    context.options = {"max_pixels": str(MAX_PIXELS)}
    if lean:
        context.options = {**context.options, "skip_loop_filter": "all"}
    return context
