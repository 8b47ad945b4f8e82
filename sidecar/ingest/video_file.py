"""A video file as a stream: for trying things out, and for the demo."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

from sidecar.clock import Clock
from sidecar.domain import AccessUnit, Codec
from sidecar.errors import StreamUnsupported, UnsupportedReason
from sidecar.ingest import vp8
from sidecar.ingest.h264 import ParameterSets, split_annex_b
from sidecar.ingest.source import AccessUnitSource, Want
from sidecar.stats import Stats

_BATCH: Final = 16  # packets read in one go off the loop: half a second
_LATE_S: Final = 1.0  # further behind than this, time is not made up for
_FRAME_S: Final = 1 / 30  # where the file does not tell
_CODECS: Final = {"vp8": Codec.VP8, "h264": Codec.H264}


@dataclass(frozen=True, slots=True)
class FilePicture:
    """One encoded picture; `at_s` is its decoding time in the file.

    Without data where the file is damaged: what follows cannot refer to it.
    """

    data: bytes
    keyframe: bool
    at_s: float


class Pacer:
    """When each picture is due, in step with the clock; pure.

    Jumps in the file's timestamps, and a reader that stays behind, shift all that
    follows: never a flood to make up for them.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last_s = 0.0

    def due(self, at_s: float, now: float) -> float:
        """The instant at which the picture of file time `at_s` is due."""
        if self._offset is None:
            self._offset = now - at_s
        elif not 0 <= at_s - self._last_s <= _LATE_S:
            self._offset += self._last_s + _FRAME_S - at_s
        self._last_s = at_s
        if now - (at_s + self._offset) > _LATE_S:
            self._offset = now - at_s
        return at_s + self._offset


class VideoFile:
    """An open file; every method blocks.

    Attributes:
        codec: Of its first video track.
        only_keyframes: For `next`: pass over what lies between them.

    Raises:
        StreamUnsupported: On opening or reading: it is no readable video, or of a
            codec that cannot be looked into.
    """

    def __init__(self, stream_id: str, path: Path) -> None:
        self._stream_id = stream_id
        self._path = path
        # A read goes on in its thread when its waiter is cancelled, and closes after.
        self._lock = threading.Lock()
        self._closed = False
        self._container = self._open()
        try:
            self.codec = self._find_codec()
        except StreamUnsupported:
            self.close()
            raise
        self.only_keyframes = False
        self._steps = self._read_steps()
        self._pictures = self._read()
        self._empty = True

    def _open(self) -> InputContainer:
        if not self._path.is_file():
            raise self._unreadable("there is no such file")
        try:
            return av.open(
                str(self._path.absolute()),
                options={"protocol_whitelist": "file"},
                metadata_errors="replace",
            )
        except (av.FFmpegError, ValueError) as exc:
            raise self._unreadable("it is no video") from exc

    def _find_codec(self) -> Codec:
        videos = self._container.streams.video
        if not videos:
            raise self._unreadable("it has no video track")
        # There is none where FFmpeg knows no decoder.
        name = getattr(videos[0].codec_context, "name", "unknown")
        # FFmpeg names the decoder, which may be a particular one of the codec.
        codec = _CODECS.get({"libvpx": "vp8"}.get(name, name))
        if codec is None:
            raise StreamUnsupported(
                self._stream_id,
                f"its codec is {name}; VP8 and H264 are decoded",
                reason=UnsupportedReason.CODEC,
            )
        return codec

    def _unreadable(self, message: str) -> StreamUnsupported:
        return StreamUnsupported(
            self._stream_id,
            f"{self._path.name}: {message}",
            reason=UnsupportedReason.INPUT,
        )

    @property
    def duration_s(self) -> float | None:
        """How long it says it is."""
        length = self._container.duration
        return None if length is None else length / av.time_base

    def next(self) -> FilePicture | float | None:
        """The next picture; None at the end.

        While `only_keyframes` is set, what the container does not mark as one is
        passed over without a look at its data: just its instant is given.
        """
        with self._lock:
            if self._closed:
                return None
            try:
                return next(self._steps, None)
            except (av.FFmpegError, ValueError) as exc:
                raise self._unreadable("it is damaged") from exc

    def _read(self) -> Iterator[FilePicture]:
        """The pictures from the present position on."""
        return (step for step in self._steps if not isinstance(step, float))

    def _read_steps(self) -> Iterator[FilePicture | float]:
        video = self._container.streams.video[0]
        annex_b = None
        if self.codec is Codec.H264:
            annex_b = BitStreamFilterContext("h264_mp4toannexb", video)
        sets = ParameterSets()
        unit_s = float(video.time_base or 0)
        for packet in self._container.demux(video):
            if self.only_keyframes and not packet.is_keyframe and packet.size:
                yield (packet.dts or 0) * unit_s
                continue
            for whole in annex_b.filter(packet) if annex_b else [packet]:
                stamp = whole.dts if whole.dts is not None else whole.pts
                at_s = (stamp or 0) * unit_s
                if picture := self._picture(bytes(whole), sets, at_s):
                    yield picture

    def _picture(
        self, data: bytes, sets: ParameterSets, at_s: float
    ) -> FilePicture | None:
        """A whole picture, or None if this is none."""
        if not data:
            return None
        try:
            if self.codec is Codec.VP8:
                return FilePicture(data, vp8.is_keyframe(data), at_s)
            whole = sets.complete(list(split_annex_b(data)))
        except ValueError:
            return FilePicture(b"", keyframe=False, at_s=at_s)
        return FilePicture(*whole, at_s) if whole else None

    def batch(self) -> list[FilePicture]:
        """The next pictures; none at the end."""
        with self._lock:
            return [] if self._closed else self._next_pictures()

    def _next_pictures(self) -> list[FilePicture]:
        found: list[FilePicture] = []
        try:
            for picture in self._pictures:
                found.append(picture)
                if len(found) == _BATCH:
                    break
        except (av.FFmpegError, ValueError) as exc:
            raise self._unreadable("it is damaged") from exc
        self._empty = self._empty and not found
        return found

    def rewind(self) -> None:
        """Goes back to the beginning."""
        if self._empty:
            raise self._unreadable("it has no pictures")
        try:
            with self._lock:
                if not self._closed:
                    self._container.seek(0)
        except av.FFmpegError as exc:
            raise self._unreadable("it cannot be started again") from exc
        self._steps = self._read_steps()
        self._pictures = self._read()

    def close(self) -> None:
        """Closes the file, after the read going on."""
        with self._lock:
            self._closed = True
            self._container.close()


class FileSource:
    """A file's pictures, each at its time."""

    def __init__(self, file: VideoFile, connector: "FileConnector") -> None:
        self._file = file
        self._settings = connector
        self._pacer = Pacer()
        self._want = Want.KEYFRAMES
        self._chained = False

    @property
    def codec(self) -> Codec:
        """Of the file's first video track."""
        return self._file.codec

    def want(self, want: Want) -> None:
        """Sets what is delivered; `ALL` starts at the next keyframe."""
        if want is not self._want:
            self._want, self._chained = want, False

    def rest(self, until: float) -> None:
        """All goes on: a picture that is not needed costs a file next to nothing."""

    def request_keyframe(self) -> None:
        """A file has no one to ask."""

    async def __aiter__(self) -> AsyncIterator[AccessUnit]:
        while True:
            pictures = await asyncio.to_thread(self._file.batch)
            for picture in pictures:
                await self._wait(picture)
                if self._wanted(picture):
                    yield self._unit(picture)
            if pictures:
                continue
            if not self._settings.loop:
                return
            await asyncio.to_thread(self._file.rewind)

    async def _wait(self, picture: FilePicture) -> None:
        """Until the picture is due; not at all where time does not count."""
        if self._settings.realtime:
            now = self._settings.clock.monotonic()
            # Yields to the loop even when it is due: a file is never at a loss.
            await asyncio.sleep(max(0.0, self._pacer.due(picture.at_s, now) - now))

    def _wanted(self, picture: FilePicture) -> bool:
        if not picture.data:
            self._chained = False
            self._settings.stats.lost.labels(stage="ingest", reason="malformed").inc()
            return False
        self._chained = self._chained or picture.keyframe
        if self._want is Want.KEYFRAMES:
            return picture.keyframe
        return self._chained

    def _unit(self, picture: FilePicture) -> AccessUnit:
        now = self._settings.clock.monotonic()
        keyframe = "true" if picture.keyframe else "false"
        self._settings.stats.access_units.labels(self.codec.value, keyframe).inc()
        return AccessUnit(self.codec, picture.data, picture.keyframe, now, now)


@dataclass(frozen=True, slots=True)
class FileConnector:
    """A way to a video file.

    Attributes:
        stream_id: For errors.
        path: Of a file in any container FFmpeg reads, with VP8 or H.264 in it.
        loop: Begins again at its end, for ever.
        realtime: Each picture at its time; else as fast as they are taken.
        clock: For pacing and time stamps.
        stats: Counts.
    """

    stream_id: str
    path: Path
    loop: bool
    realtime: bool
    clock: Clock
    stats: Stats

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        """Opens the file; closes it on exit.

        Raises:
            StreamUnsupported: It is missing, no video, or of another codec.
        """
        file = await asyncio.to_thread(VideoFile, self.stream_id, self.path)
        try:
            yield FileSource(file, self)
        finally:
            await asyncio.to_thread(file.close)
