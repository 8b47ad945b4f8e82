"""Pure: a picture so small, grey and blurred that it only hints at what is there.

What leaves here has at most 24 grey squares a side, each the mean of all it covers: no
filter that a browser could take off again, for the rest is not there any more.
"""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.domain import Picture

SIDE: Final = 24
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_SMOOTH: Final = (1, 2, 1)

Grey = NDArray[np.uint8]


def blurred(picture: Picture) -> Grey:
    """Grey means of squares, smoothed once more; `uint8 (≤24, ≤24)`."""
    grey = picture.astype(np.float32) @ _LUMA
    small = _means(_means(grey, 0), 1)
    return np.clip(_smoothed(_smoothed(small, 0), 1), 0, 255).astype(np.uint8)


def _means(grey: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    size = grey.shape[axis]
    parts = min(SIDE, size)
    starts = np.arange(parts) * size // parts
    counts = np.diff([*starts, size]).astype(np.float32)
    sums = np.add.reduceat(grey, starts, axis=axis)
    return (sums / np.expand_dims(counts, 1 - axis)).astype(np.float32)


def _smoothed(grey: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Each with its neighbours, 1 : 2 : 1; the edges stand in for what is beyond."""
    pads = [(0, 0), (0, 0)]
    pads[axis] = (1, 1)
    padded = np.pad(grey, pads, mode="edge")
    size = grey.shape[axis]
    parts = [np.take(padded, range(i, i + size), axis=axis) for i in range(3)]
    total = np.zeros_like(grey)
    for weight, part in zip(_SMOOTH, parts, strict=True):
        total += part * np.float32(weight / sum(_SMOOTH))
    return total


def png(grey: Grey) -> bytes:
    """The picture as a file (RFC 2083), 8-bit grey."""
    height, width = grey.shape
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
