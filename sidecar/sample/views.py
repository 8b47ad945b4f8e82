"""One decoded frame as each model wants to see it."""

from collections.abc import Mapping

import numpy as np
from av.video.frame import VideoFrame

from sidecar.arena import PictureArena
from sidecar.domain import NO_OTHERS, Formats, Picture, PictureFormat
from sidecar.sample.resize import AVERAGING, Resizer, placement


class Views:
    """Scales frames of one stream, one thread at a time; keeps a scaler a format.

    Args:
        fmt: What the first model wants to see.
        arena: Where pictures in `fmt` are put; in memory of their own if None or full.
        formats: What is wanted at each instant, the first model's first; None: `fmt`.

    Raises:
        ValueError: `fmt` names a method or a fit that is not known, or the arena's
            format is another.
    """

    def __init__(
        self,
        fmt: PictureFormat,
        arena: PictureArena | None = None,
        formats: Formats | None = None,
    ) -> None:
        if arena is not None and arena.fmt != fmt:
            raise ValueError(f"the arena's pictures are {arena.fmt}, not {fmt}")
        self._fmt = fmt
        self._arena = arena
        self._formats = formats
        self._resizers = {fmt: Resizer(fmt)}

    @property
    def formats(self) -> tuple[PictureFormat, ...]:
        """What is wanted now."""
        return (self._fmt,) if self._formats is None else self._formats()

    def of(
        self, frame: VideoFrame
    ) -> tuple[PictureFormat, Picture, Mapping[PictureFormat, Picture]]:
        """The first format, the frame in it, and in the others.

        Raises:
            av.FFmpegError, ValueError: The frame cannot be converted.
        """
        first, *more = self.formats
        picture = self._picture(frame, first)
        if not more:
            return first, picture, NO_OTHERS
        return first, picture, {fmt: self._picture(frame, fmt) for fmt in more}

    def averages(self, frame: VideoFrame, factor: float) -> bool:
        """Whether each picture shrinks the frame by `factor` or more, averaging."""
        return all(
            fmt.resize in AVERAGING and _shrinks(frame, fmt) >= factor
            for fmt in self.formats
        )

    def _picture(self, frame: VideoFrame, fmt: PictureFormat) -> Picture:
        picture = self._room(fmt)
        resizer = self._resizers.get(fmt)
        if resizer is None:
            resizer = self._resizers[fmt] = Resizer(fmt)
        resizer.into(frame, picture)
        return picture

    def _room(self, fmt: PictureFormat) -> Picture:
        """Memory for one picture."""
        if self._arena is not None and fmt == self._fmt:
            picture = self._arena.take()
            if picture is not None:
                return picture
        return np.empty((fmt.height, fmt.width, 3), np.uint8)


def _shrinks(frame: VideoFrame, fmt: PictureFormat) -> float:
    """How many pixels of the frame, along a side, make one of the picture at least."""
    place = placement(fmt, frame.width, frame.height)
    return min(frame.width / place.width, frame.height / place.height)
