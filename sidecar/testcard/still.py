"""A test card as one encoded keyframe."""

from fractions import Fraction

import av
import numpy as np

from sidecar.domain import Category
from sidecar.testcard import cards

WIDTH, HEIGHT = 640, 360


def keyframe(category: Category) -> bytes:
    """The card of `category`, 640x360, as a VP8 keyframe of some 30 kB.

    Raises:
        ValueError: There is no such card.
    """
    card = cards.draw(category, WIDTH, HEIGHT)
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.bit_rate = 2_000_000
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(card), "rgb24")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return bytes(packets[0])
