"""One contract for every access-unit source: the fake, a file, a real peer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import av
import pytest

from sidecar.clock import SystemClock
from sidecar.domain import AccessUnit, Codec
from sidecar.ingest.receiver import Peer
from sidecar.ingest.source import AccessUnitSource, Want
from sidecar.ingest.video_file import FileConnector
from sidecar.stats import Stats
from tests.fakes.rtp_streams import sent
from tests.fakes.sources import FakeSource
from tests.fakes.video_files import write_clip
from tests.fakes.webrtc_sender import LOOPBACK, connected

pytestmark = pytest.mark.anyio

Opened = Callable[[Codec, Path], AbstractAsyncContextManager[AccessUnitSource]]


@asynccontextmanager
async def fake(codec: Codec, _: Path) -> AsyncIterator[AccessUnitSource]:
    """Filled ahead, again at each request for a keyframe."""
    source = FakeSource(codec)
    feeding = asyncio.Event()

    async def feed() -> None:
        while not feeding.is_set():
            for picture in sent(codec):
                source.put(AccessUnit(codec, picture.data, picture.keyframe, 0.0, 0.0))
                await asyncio.sleep(0.001)
        source.close()

    async with asyncio.TaskGroup() as group:
        group.create_task(feed())
        try:
            yield source
        finally:
            feeding.set()


@asynccontextmanager
async def file(codec: Codec, folder: Path) -> AsyncIterator[AccessUnitSource]:
    """A file that loops."""
    path = await asyncio.to_thread(write_clip, folder / "clip.mkv", codec)
    connector = FileConnector(
        "s", path, loop=True, realtime=False, clock=SystemClock(), stats=Stats()
    )
    async with connector.connect() as source:
        yield source


@asynccontextmanager
async def webrtc(codec: Codec, _: Path) -> AsyncIterator[AccessUnitSource]:
    """A real aiortc publisher."""
    peer = Peer("s", LOOPBACK, SystemClock(), Stats())
    async with connected(peer, codec):
        yield peer.source()


sources = pytest.mark.parametrize("opened", [fake, file, webrtc])
codecs = pytest.mark.parametrize("codec", list(Codec))


async def take(source: AccessUnitSource, count: int) -> list[AccessUnit]:
    """The next `count` units."""
    found: list[AccessUnit] = []
    async with asyncio.timeout(30):
        async for unit in source:
            found.append(unit)
            if len(found) == count:
                return found
    return found


@sources
@codecs
async def test_keyframes_are_the_default(
    opened: Opened, codec: Codec, tmp_path: Path
) -> None:
    """Until told otherwise only keyframes come, of the codec that is named."""
    async with opened(codec, tmp_path) as source:
        assert isinstance(source, AccessUnitSource)
        first = await take(source, 1)
        source.request_keyframe()
        units = first + await take(source, 1)
        assert all(unit.keyframe for unit in units)
        assert {unit.codec for unit in units} == {source.codec} == {codec}
        assert all(unit.completed_at >= unit.received_at for unit in units)


@sources
@codecs
async def test_all_begins_with_a_keyframe_and_decodes(
    opened: Opened, codec: Codec, tmp_path: Path
) -> None:
    """From `ALL` on, a fresh decoder can decode everything that comes."""
    async with opened(codec, tmp_path) as source:
        await take(source, 1)
        source.want(Want.ALL)
        source.request_keyframe()
        units = await take(source, 12)
        assert units[0].keyframe
        assert not all(unit.keyframe for unit in units)
        context = av.CodecContext.create(codec.value.lower(), "r")
        assert isinstance(context, av.VideoCodecContext)
        context.thread_count = 1
        frames = [f for u in units for f in context.decode(av.Packet(u.data))]
        frames += context.decode(None)
        assert len(frames) == len(units)
        assert not any(frame.is_corrupt for frame in frames)


@sources
@codecs
async def test_back_to_keyframes(opened: Opened, codec: Codec, tmp_path: Path) -> None:
    """Deltas stop coming as soon as they are not wanted."""
    async with opened(codec, tmp_path) as source:
        source.want(Want.ALL)
        await take(source, 3)
        source.want(Want.KEYFRAMES)
        source.request_keyframe()
        assert (await take(source, 1))[0].keyframe


@sources
@codecs
async def test_rest_ends_by_itself_and_begins_with_a_keyframe(
    opened: Opened, codec: Codec, tmp_path: Path
) -> None:
    """After a rest that is over, and after one that is cut short, pictures come."""
    async with opened(codec, tmp_path) as source:
        await take(source, 1)
        source.rest(SystemClock().monotonic() + 0.2)
        source.request_keyframe()
        assert (await take(source, 1))[0].keyframe
        source.rest(SystemClock().monotonic() + 3600)
        source.want(Want.ALL)
        source.request_keyframe()
        assert (await take(source, 3))[0].keyframe
