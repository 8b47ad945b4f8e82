"""Decoded frame to the model's picture: the one resize of production, tests and proofs.

A model's manifest names the method and the fit; scores depend on both (nsfwjs's
probabilities move by up to .60 under another method, docs/models.md). swscale does the
usual methods. `bilinear_align_corners` is TensorFlow's `resize_bilinear` with
`align_corners`, which swscale does not have: four samples a pixel and no averaging,
exact to half a level. 2 ms of CPU for 720p to 224x224, of which 0.5 are swscale's
conversion to RGB, against 0.7 for `area` (benchmarks/resize_cost.py, a busy EPYC core).

Asked for packed RGB, swscale leaves out half of the colour's columns and rounds down:
4 levels off in the mean, 18 for one value in a hundred, on a clip of coloured blocks.
Asked for planes it does neither (0.3 to 0.8, and 4 at most), and takes a quarter less
time, most of which putting them together takes again.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from sidecar.domain import Picture, PictureFormat

ALIGN_CORNERS: Final = "bilinear_align_corners"
AVERAGING: Final = frozenset({"area", "bilinear", "bicubic", "lanczos"})
FITS: Final = ("squash", "crop", "pad_end", "pad_center")
_SWSCALE: Final = {
    "area": Interpolation.AREA,
    "bilinear": Interpolation.BILINEAR,
    "fast_bilinear": Interpolation.FAST_BILINEAR,
    "bicubic": Interpolation.BICUBIC,
    "point": Interpolation.POINT,
    "lanczos": Interpolation.LANCZOS,
}
METHODS: Final = (*_SWSCALE, ALIGN_CORNERS)
_LONGEST: Final = 8  # times the model's side; a strip of 8192x16 is squashed instead

_CHANNELS: Final = (1, 2, 0)  # of RGB, in the order of the planes: GBR
_Rows = NDArray[np.uint8]  # (height, width * 3), or of one plane (height, width)
_Axis = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the scaled frame lies: picture `(x, y)` is scaled `(x + left, y + top)`.

    Negative `left` and `top`: that much padding before it.
    """

    width: int
    height: int
    left: int = 0
    top: int = 0


def placement(fmt: PictureFormat, width: int, height: int) -> Placement:
    """How a frame of `width` by `height` is scaled and placed. Pure."""
    if fmt.fit == "squash":
        wide, high = fmt.width / fmt.keep, fmt.height / fmt.keep
    else:
        ratios = fmt.width / fmt.keep / width, fmt.height / fmt.keep / height
        scale = max(ratios) if fmt.fit == "crop" else min(ratios)
        wide, high = width * scale, height * scale
    scaled = _bounded(wide, fmt.width), _bounded(high, fmt.height)
    if fmt.fit == "pad_end":
        return Placement(*scaled)
    left, top = (scaled[0] - fmt.width) // 2, (scaled[1] - fmt.height) // 2
    return Placement(*scaled, left, top)


class Resizer:
    """Makes pictures of one format; keeps swscale's tables. One thread at a time.

    Raises:
        ValueError: `fmt` names a method or a fit that is not known.
    """

    def __init__(self, fmt: PictureFormat) -> None:
        for key, value, known in (
            ("resize", fmt.resize, METHODS),
            ("fit", fmt.fit, FITS),
        ):
            if value not in known:
                raise ValueError(
                    f"{key} must be one of {', '.join(known)}; got {value!r}"
                )
        self._fmt = fmt
        self._reformatter = VideoReformatter()

    def into(self, frame: VideoFrame, picture: Picture) -> None:
        """Fills `picture`, C-contiguous `uint8 (height, width, 3)`, with the frame.

        Raises:
            av.FFmpegError, ValueError: swscale cannot convert such a frame.
        """
        fmt = self._fmt
        place = placement(fmt, frame.width, frame.height)
        if fmt.resize == ALIGN_CORNERS:
            point = Interpolation.POINT
            (full,) = self._scaled(frame, frame.width, frame.height, point, "rgb24")
            rows = align_corners(full, place.width, place.height)
            _put(rows.reshape(*rows.shape[:1], -1, 3), picture, place, fmt.pad)
            return
        method = _SWSCALE[fmt.resize]
        planes = self._scaled(frame, place.width, place.height, method, "gbrp")
        for channel, plane in zip(_CHANNELS, planes, strict=True):
            _put(plane, picture[..., channel], place, fmt.pad)

    def _scaled(
        self,
        frame: VideoFrame,
        width: int,
        height: int,
        method: Interpolation,
        pixels: str,
    ) -> list[_Rows]:
        """The frame in that size and pixel format: views of swscale's memory."""
        scaled = self._reformatter.reformat(
            frame, width, height, pixels, interpolation=method, threads=1
        )
        wide = width * (3 if pixels == "rgb24" else 1)
        return [
            np.frombuffer(memoryview(p), np.uint8).reshape(p.height, -1)[:, :wide]
            for p in scaled.planes
        ]


def resized(picture: Picture, fmt: PictureFormat) -> Picture:
    """A picture of any size as the model gets it, by production's own resize.

    Raises:
        ValueError: `picture` is no `uint8 (height, width, 3)`, or `fmt` is not known.
    """
    out = np.empty((fmt.height, fmt.width, 3), np.uint8)
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    Resizer(fmt).into(frame, out)
    return out


def align_corners(rows: _Rows, width: int, height: int) -> _Rows:
    """`(h, w * 3)` RGB to `(height, width * 3)`: the corners' centres stay corners."""
    top, bottom, down = _axis(len(rows), height)
    left, right, across = _columns(rows.shape[1] // 3, width)
    upper, lower = rows.take(top, 0), rows.take(bottom, 0)
    found = _between(upper, left, right, across)
    under = _between(lower, left, right, across)
    under -= found
    under *= down[:, None]
    found += under
    found += np.float32(0.5)  # to the nearest
    return found.astype(np.uint8)


def _between(
    rows: _Rows,
    left: NDArray[np.intp],
    right: NDArray[np.intp],
    across: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Each row between its columns `left` and `right`."""
    found = rows.take(left, 1).astype(np.float32)
    other = rows.take(right, 1).astype(np.float32)
    other -= found
    other *= across
    found += other
    return found


@lru_cache(maxsize=64)
def _axis(size: int, wanted: int) -> _Axis:
    """For each place its two neighbours and the fraction of the way to the second."""
    at = np.arange(wanted) * ((size - 1) / max(wanted - 1, 1))
    low = np.minimum(at.astype(np.intp), size - 1)
    return low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)


@lru_cache(maxsize=64)
def _columns(size: int, wanted: int) -> _Axis:
    """`_axis` for rows of three bytes a pixel."""
    low, high, fraction = _axis(size, wanted)
    channels = np.arange(3)
    left, right = ((x[:, None] * 3 + channels).ravel() for x in (low, high))
    return left, right, np.repeat(fraction, 3)


def _bounded(side: float, wanted: int) -> int:
    """A whole number of pixels that swscale can be asked for."""
    return max(1, min(round(side), _LONGEST * wanted))


def _put(
    scaled: NDArray[np.uint8], picture: NDArray[np.uint8], place: Placement, pad: int
) -> None:
    """Copies what is visible, once; the rest becomes `pad`."""
    height, width = picture.shape[:2]
    x, y = max(0, -place.left), max(0, -place.top)
    left, top = max(0, place.left), max(0, place.top)
    wide, high = min(width - x, place.width - left), min(height - y, place.height - top)
    if (wide, high) != (width, height):
        picture[:] = pad
    picture[y : y + high, x : x + wide] = scaled[top : top + high, left : left + wide]
