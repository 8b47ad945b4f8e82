"""A video file through real WebRTC into a running sidecar, as encoded."""

import asyncio
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import httpx
from aiortc import RTCDtlsTransport
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from sidecar.demo.whip_push import PublishFailed, Target, push
from sidecar.errors import StreamUnavailable
from sidecar.ingest import aiortc_bend
from sidecar.ingest.video_file import FilePicture, VideoFile
from sidecar.replay.network import Network
from sidecar.replay.source import Timeline

_Send = Callable[[bytes], Awaitable[None]]
_CLOCK_RATE: Final = 90_000
_RTCP: Final = range(192, 224)  # second byte, RFC 5761 section 4
_LINGER_S: Final = 1.0  # for the last picture to be seen before we leave


class FileTrack(MediaStreamTrack):
    """A file's encoded pictures, each at its time.

    Args:
        file: Open; read in a thread.
        finished: Set after the last one.
    """

    kind = "video"

    def __init__(self, file: VideoFile, finished: asyncio.Event) -> None:
        super().__init__()
        self._file = file
        self._finished = finished
        self._timeline = Timeline()
        self._began_at: float | None = None

    async def recv(self) -> Any:  # noqa: ANN401 - aiortc takes encoded packets as well
        """The next picture that is due; raises MediaStreamError after the last."""
        picture = await asyncio.to_thread(self._next)
        if picture is None:
            await asyncio.sleep(_LINGER_S)
            self._finished.set()
            self.stop()
            raise MediaStreamError
        at = self._timeline.at(picture.at_s)
        now = asyncio.get_running_loop().time()
        if self._began_at is None:
            self._began_at = now
        await asyncio.sleep(max(0.0, self._began_at + at - now))
        packet = av.Packet(picture.data)
        packet.pts = round(at * _CLOCK_RATE)
        packet.time_base = Fraction(1, _CLOCK_RATE)
        return packet

    def _next(self) -> FilePicture | None:
        while True:
            step = self._file.next()
            if step is None:
                return None
            if isinstance(step, FilePicture) and step.data:
                return step


class Way:
    """Media packets by way of a `Network`; RTCP goes straight."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._send: _Send | None = None
        self.lost = 0

    def take(self, dtls: RTCDtlsTransport) -> None:
        """From now on what `dtls` sends goes this way."""
        if self._network.perfect:
            return
        self._send = aiortc_bend.redirect(dtls, lambda _: self._enter)

    async def _enter(self, data: bytes) -> None:
        assert self._send is not None
        if data[1] in _RTCP:
            await self._send(data)
            return
        at = self._network.arrival(len(data), asyncio.get_running_loop().time())
        if at is None:
            self.lost += 1
        else:
            self._queue.put_nowait((at, data))

    async def run(self) -> None:
        """Lets packets arrive, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            at, data = await self._queue.get()
            await asyncio.sleep(max(0.0, at - loop.time()))
            assert self._send is not None
            try:
                await self._send(data)
            except ConnectionError:
                return  # the peer has left


async def send(
    name: str, path: Path, url: str, token: str | None, network: Network
) -> None:
    """Sends a file to a WHIP endpoint, in real time.

    Raises:
        StreamUnavailable: Refused, not reached, or the connection broke.
        StreamUnsupported: It is no video of a codec that can be sent.
    """
    file = await asyncio.to_thread(VideoFile, name, path)
    finished, way = asyncio.Event(), Way(network)
    try:
        async with asyncio.TaskGroup() as group, httpx.AsyncClient() as http:
            carrying = group.create_task(way.run(), name="network")
            target = Target(url, token, file.codec)
            track = FileTrack(file, finished)
            await push(track, target, http, finished, way.take)
            carrying.cancel()
    except* PublishFailed as group:
        raise StreamUnavailable(name, str(group.exceptions[0])) from None
    finally:
        await asyncio.to_thread(file.close)
