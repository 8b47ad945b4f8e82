"""The synthetic scene as a WebRTC track."""

import asyncio
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from typing import Final

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from sidecar.clock import Clock
from sidecar.testcard.clip import Scene, scene

Tell = Callable[[str, dict[str, object]], None]
"""Takes the name of an event and its fields."""

_CLOCK_RATE: Final = 90_000  # of RTP video, RFC 3551


class SceneTrack(MediaStreamTrack):
    """The scene as a video track with its own pacing: late frames are left out.

    Args:
        pictures: Which scene.
        seconds: For how long, from the first frame; None: without end.
        clock: Paces the frames and stamps the event.
        tell: Is called with `card_shown` as the first frame with the card is handed
            to the encoder.
        finished: Is set after `seconds`.
    """

    kind = "video"

    def __init__(
        self,
        pictures: Scene,
        seconds: float | None,
        clock: Clock,
        tell: Tell,
        finished: asyncio.Event,
    ) -> None:
        super().__init__()
        self._scene = pictures
        self._seconds = seconds
        self._clock = clock
        self._tell = tell
        self._finished = finished
        self._pictures = scene(pictures)
        self._index = -1
        self._started_at: float | None = None
        self._card_from = round(self._scene.card_at_s * self._scene.fps)
        self._card_told = self._scene.category is None

    async def recv(self) -> av.VideoFrame:
        """The next frame that is due; raises MediaStreamError after the last."""
        if self.readyState != "live":
            raise MediaStreamError
        skipped = await self._wait_for_next()
        if self._seconds is not None and self._index / self._scene.fps > self._seconds:
            self._finished.set()
            self.stop()
            raise MediaStreamError
        picture = next(islice(self._pictures, skipped, None))
        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        frame.pts = round(self._index * _CLOCK_RATE / self._scene.fps)
        frame.time_base = Fraction(1, _CLOCK_RATE)
        self._tell_of_card()
        return frame

    async def _wait_for_next(self) -> int:
        """Sleeps until the next frame is due; returns how many were left out."""
        now, fps = self._clock.monotonic(), self._scene.fps
        if self._started_at is None:
            self._started_at = now
        due = max(self._index + 1, int((now - self._started_at) * fps))
        skipped, self._index = due - self._index - 1, due
        await asyncio.sleep(max(0.0, self._started_at + due / fps - now))
        return skipped

    def _tell_of_card(self) -> None:
        if self._card_told or self._index < self._card_from:
            return
        self._card_told = True
        now = self._clock.wall()
        wall = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._tell(
            "card_shown", {"wall": wall, "unix_ms": round(now.timestamp() * 1000, 3)}
        )
