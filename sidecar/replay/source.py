"""A video file on the virtual clock: each picture at its instant, at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from sidecar.clock import Clock
from sidecar.domain import AccessUnit
from sidecar.errors import StreamUnsupported
from sidecar.ingest.source import AccessUnitSource, Want
from sidecar.ingest.video_file import FileConnector, FileSource, VideoFile
from sidecar.replay.virtual import Pace, at_once
from sidecar.stats import Stats

_FRAME_S: Final = 1 / 30
_LONGEST_GAP_S: Final = 10.0  # between two pictures; a longer one is a jump
_DECIMALS: Final = 6


class Timeline:
    """File time to stream time: begins at 0, never goes back; pure."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_s = 0.0

    def at(self, file_s: float) -> float:
        """The instant of a picture of that file time; jumps become one picture long."""
        if self._offset_s is None:
            self._offset_s = -file_s
        elif not 0 <= file_s - self._last_s <= _LONGEST_GAP_S:
            self._offset_s += self._last_s + _FRAME_S - file_s
        self._last_s = file_s
        return round(file_s + self._offset_s, _DECIMALS)


@dataclass(frozen=True, slots=True)
class Watching:
    """Who follows the replay of a file.

    Attributes:
        stop: Once set, the file ends where it is.
        tell: Told the instants that are reached, seconds.
        pace: Told the next instant before it is reached; may wait.
    """

    stop: Event
    tell: Callable[[float], None]
    pace: Pace = at_once


def length_of(stream_id: str, path: Path) -> float | None:
    """How long a file says it is; None if it is no video, or does not say."""
    try:
        file = VideoFile(stream_id, path)
    except StreamUnsupported:
        return None
    try:
        return file.duration_s
    finally:
        file.close()


class ReplaySource(FileSource):
    """A file's pictures, each as soon as the virtual clock has got there."""

    def __init__(
        self, file: VideoFile, connector: FileConnector, watching: Watching
    ) -> None:
        super().__init__(file, connector)
        self._watching = watching
        self._timeline = Timeline()

    async def __aiter__(self) -> AsyncIterator[AccessUnit]:
        at = 0.0
        while not self._watching.stop.is_set():
            self._file.only_keyframes = self._want is Want.KEYFRAMES
            step = self._file.next()
            if step is None:
                await _reached(at)  # what was passed over lasted, too
                return
            if isinstance(step, float):
                at = self._timeline.at(step)
                continue
            at = self._timeline.at(step.at_s)
            await _reached(at)
            self._watching.tell(at)
            if self._wanted(step):
                yield self._unit(step)


async def _reached(at: float) -> None:
    """Until that instant. Not `sleep`: adding a delay to the present would round."""
    loop = asyncio.get_running_loop()
    if at > loop.time():
        reached = loop.create_future()
        loop.call_at(at, reached.set_result, None)
        await reached


@dataclass(frozen=True, slots=True)
class ReplayConnector:
    """A way to a video file on the virtual clock."""

    stream_id: str
    path: Path
    clock: Clock
    stats: Stats
    watching: Watching

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        """Opens the file; closes it on exit. Raises StreamUnsupported."""
        settings = FileConnector(
            self.stream_id,
            self.path,
            loop=False,
            realtime=False,
            clock=self.clock,
            stats=self.stats,
        )
        file = VideoFile(self.stream_id, self.path)
        try:
            yield ReplaySource(file, settings, self.watching)
        finally:
            file.close()
