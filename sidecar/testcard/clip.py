"""A street in which a test card appears: as pictures one by one, or as a video file."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import cast

import av
import numpy as np

from sidecar.domain import Category, Codec, Picture
from sidecar.testcard import cards, street

_ENCODERS = {Codec.H264: "libx264", Codec.VP8: "libvpx"}
_OPTIONS = {
    Codec.H264: {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline"},
    Codec.VP8: {"deadline": "realtime", "cpu-used": "8"},
}
_SUFFIXES = {".mp4": Codec.H264, ".webm": Codec.VP8}


@dataclass(frozen=True, slots=True)
class Scene:
    """The street, and from `card_at_s` on a test card before it, for good or in turns.

    Attributes:
        category: Which card; None leaves the street alone for ever.
        width: Pixels.
        height: Pixels.
        fps: Frames a second.
        card_at_s: When the card appears, seconds from the first frame.
        cover: Share of the picture's area that the card covers, 0 < cover ≤ 1.
        seed: Which street.
        card_for_s: How long the card stays each time; None: for good.
        card_every_s: From one coming of the card to the next.
    """

    category: Category | None = None
    width: int = 640
    height: int = 360
    fps: int = 30
    card_at_s: float = 3.0
    cover: float = 0.7
    seed: int = 0
    card_for_s: float | None = None
    card_every_s: float = 60.0

    def has_card(self, index: int) -> bool:
        """Whether the card is seen in the picture of that number."""
        since = index - round(self.card_at_s * self.fps)
        if self.category is None or since < 0:
            return False
        if self.card_for_s is None:
            return True
        turn = max(1, round(self.card_every_s * self.fps))
        return since % turn < round(self.card_for_s * self.fps)


def scene(settings: Scene) -> Iterator[Picture]:
    """Return the scene's pictures, without end, `uint8 (height, width, 3)`, RGB."""
    pictures = street.frames(
        settings.width, settings.height, settings.fps, settings.seed
    )
    if settings.category is None:
        return pictures
    return _with_card(pictures, settings.category, settings)


def _with_card(
    pictures: Iterator[Picture], category: Category, settings: Scene
) -> Iterator[Picture]:
    share = settings.cover**0.5
    wide, high = round(settings.width * share), round(settings.height * share)
    card = cards.draw(category, wide, high)
    left, top = (settings.width - wide) // 2, (settings.height - high) // 2
    for index, picture in enumerate(pictures):
        if settings.has_card(index):
            picture[top : top + high, left : left + wide] = card
        yield picture


@dataclass(frozen=True, slots=True)
class Clip:
    """How a clip is written.

    Attributes:
        width: Pixels, even.
        height: Pixels, even.
        fps: Frames a second; a keyframe comes every second.
        clean_s: How long only the street is seen.
        card_s: How long the card is seen after that.
        codec: H264 or VP8; None takes the one usual for the file's suffix.
        bit_rate: Bits a second.
        cover: Share of the picture's area that the card covers.
        seed: Which street.
    """

    width: int = 1280
    height: int = 720
    fps: int = 30
    clean_s: float = 3.0
    card_s: float = 5.0
    codec: Codec | None = None
    bit_rate: int = 1_500_000
    cover: float = 0.7
    seed: int = 0


def write_clip(path: Path, category: Category | None, clip: Clip | None = None) -> None:
    """Write a video that starts clean and then shows the card of `category`.

    Args:
        path: `.mp4` or `.webm`; the suffix chooses the container.
        category: Which card; None writes the street alone, equally long.
        clip: Size, lengths, codec and rate; the defaults if None.

    Raises:
        ValueError: Another suffix, an odd side, or a category without a card.
    """
    clip = clip or Clip()
    if path.suffix not in _SUFFIXES:
        known = " or ".join(_SUFFIXES)
        raise ValueError(f"a clip ends in {known}, not {path.suffix!r}")
    if clip.width % 2 or clip.height % 2:
        raise ValueError(f"{clip.width}x{clip.height}: a clip's sides are even numbers")
    codec = clip.codec or _SUFFIXES[path.suffix]
    pictures = scene(
        Scene(
            category=category,
            width=clip.width,
            height=clip.height,
            fps=clip.fps,
            card_at_s=clip.clean_s,
            cover=clip.cover,
            seed=clip.seed,
        )
    )
    length = round((clip.clean_s + clip.card_s) * clip.fps)
    with av.open(path, "w") as container:
        stream = cast(
            "av.VideoStream",
            container.add_stream(
                _ENCODERS[codec], rate=clip.fps, options=dict(_OPTIONS[codec])
            ),
        )
        stream.width, stream.height = clip.width, clip.height
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = clip.bit_rate
        stream.codec_context.gop_size = clip.fps
        stream.codec_context.time_base = Fraction(1, clip.fps)
        for picture in islice(pictures, length):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
