"""One contract for receiving and sampling: in this process, and in a worker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

import pytest

from sidecar.app.intake import FileInput, InProcess, Intake, InWorkers
from sidecar.clock import SystemClock
from sidecar.domain import Codec, Sample
from sidecar.errors import StreamUnavailable, StreamUnsupported, UnsupportedReason
from sidecar.ingest import sdp
from sidecar.ingest.peer import ReceivingPeer, real_peers
from sidecar.sample.audit import AuditSettings
from sidecar.sample.cadence import CadenceSettings
from sidecar.sample.sampler import SamplerSettings
from sidecar.sample.stream_sampler import StreamSampler
from sidecar.stats import Stats
from tests.fakes.video_files import write_clip
from tests.fakes.webrtc_sender import LOOPBACK, Sender
from tests.fakes.workers import FORMAT, loopback

pytestmark = pytest.mark.anyio

Opened = Callable[[Stats], AbstractAsyncContextManager[Intake]]
OFTEN = SamplerSettings(
    CadenceSettings(interval_s=0.05, jitter=0, burst_interval_s=0.01, burst_s=60),
    audit=AuditSettings(None),
)


@asynccontextmanager
async def in_process(stats: Stats) -> AsyncIterator[Intake]:
    """All on this loop."""
    with ThreadPoolExecutor(2) as decoders:
        yield InProcess(FORMAT, decoders, SystemClock(), stats)


@asynccontextmanager
async def in_a_worker(stats: Stats) -> AsyncIterator[Intake]:
    """Behind the channel, with shared memory."""
    async with loopback(stats) as worker:
        yield InWorkers(worker.pool, SystemClock(), stats)


intakes = pytest.mark.parametrize("opened", [in_process, in_a_worker])
codecs = pytest.mark.parametrize("codec", list(Codec))


def _peer(intake: Intake, stats: Stats) -> ReceivingPeer:
    return (intake.peers or real_peers(LOOPBACK, SystemClock(), stats, 5.0))("s")


async def _take(
    sampler: StreamSampler, peer: ReceivingPeer, count: int
) -> list[Sample]:
    found: list[Sample] = []
    async with asyncio.timeout(30), aclosing(sampler.samples(peer.source())) as samples:
        async for sample in samples:
            found.append(sample)
            if len(found) == count:
                break
    return found


def _value(stats: Stats, name: str, **labels: str) -> float:
    return stats.registry.get_sample_value(name, labels) or 0.0


@intakes
@codecs
async def test_a_publisher_is_sampled(opened: Opened, codec: Codec) -> None:
    """By our answer to its offer: pictures of the format, with their times."""
    stats, clock = Stats(), SystemClock()
    began = clock.monotonic()
    async with opened(stats) as intake:
        peer, sender = _peer(intake, stats), Sender(codec, keyframe_every=10)
        try:
            await sender.accept(await peer.answer_to(await sender.offer()))
            await peer.wait_connected(30.0)
            assert peer.source().codec is codec
            sampler = intake.sampler("s", OFTEN)
            samples = await _take(sampler, peer, 3)
        finally:
            await peer.close()
            await sender.close()
        assert [s.picture.shape for s in samples] == [(24, 32, 3)] * 3
        assert all(s.picture.std() > 0 for s in samples)
        for sample in samples:
            assert began < sample.captured_at <= sample.decoded_at <= clock.monotonic()
            assert sample.stream_id == "s"
            assert sample.receive_s >= 0
            assert sample.decode_s > 0
        assert samples[0].captured_at < samples[1].captured_at
        legs = ("receive", "decode")
        counts = [_value(stats, "sidecar_leg_seconds_count", leg=leg) for leg in legs]
        assert counts == [3, 3]


@intakes
async def test_a_server_is_pulled_from(opened: Opened) -> None:
    """By the server's answer to our offer; then the peer's end is the stream's."""
    stats = Stats()
    async with opened(stats) as intake:
        peer, sender = _peer(intake, stats), Sender(Codec.VP8)
        try:
            await peer.accept(await sender.answer_to(await peer.offer()))
            await peer.wait_connected(30.0)
            sampler = intake.sampler("s", OFTEN)
            async with aclosing(sampler.samples(peer.source())) as samples:
                async with asyncio.timeout(30):
                    await anext(samples)
                    await sender.close()
                    rest = [sample async for sample in samples]
            assert len(rest) < 100
        finally:
            await peer.close()
            await peer.close()
            await sender.close()


@intakes
async def test_what_cannot_be_used_is_refused_alike(opened: Opened) -> None:
    """An offer that is none, candidates that are none, nobody at the other end."""
    stats = Stats()
    async with opened(stats) as intake:
        peer = _peer(intake, stats)
        try:
            with pytest.raises(StreamUnsupported):
                await peer.answer_to("no offer")
        finally:
            await peer.close()
        peer, sender = _peer(intake, stats), Sender(Codec.VP8)
        try:
            await peer.answer_to(await sender.offer())
            with pytest.raises(ValueError, match=r".+"):
                await peer.add_candidates("a=candidate:nonsense")
        finally:
            await peer.close()
            await sender.close()


@intakes
async def test_candidates_may_come_afterwards(opened: Opened) -> None:
    """An offer without any, then its candidates: connected, as a browser does it."""
    stats = Stats()
    async with opened(stats) as intake:
        peer, sender = _peer(intake, stats), Sender(Codec.VP8)
        try:
            offer, fragment = sdp.trickled(await sender.offer())
            assert "a=candidate" not in offer
            await sender.accept(await peer.answer_to(offer))
            await peer.add_candidates(fragment)
            await peer.wait_connected(30.0)
            assert await _take(intake.sampler("s", OFTEN), peer, 1)
        finally:
            await peer.close()
            await sender.close()


@intakes
async def test_closing_a_connection_ends_who_waits_for_it(opened: Opened) -> None:
    """A publisher that leaves by DELETE: its samples end, in order."""
    stats = Stats()
    async with opened(stats) as intake:
        peer, sender = _peer(intake, stats), Sender(Codec.VP8)
        try:
            await sender.accept(await peer.answer_to(await sender.offer()))
            await peer.wait_connected(30.0)
            sampler = intake.sampler("s", OFTEN)
            async with (
                asyncio.timeout(30),
                aclosing(sampler.samples(peer.source())) as samples,
            ):
                await anext(samples)
                await peer.close()
                rest = [sample async for sample in samples]
            assert len(rest) <= 1
        finally:
            await peer.close()
            await sender.close()


@intakes
async def test_closing_ends_who_waits_to_be_connected(opened: Opened) -> None:
    """Nobody came, and the session is over: whoever waited hears so."""
    stats = Stats()
    async with opened(stats) as intake, asyncio.timeout(30):
        peer, sender = _peer(intake, stats), Sender(Codec.VP8)
        try:
            await peer.answer_to(await sender.offer())
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(_unconnected(peer))
                await asyncio.sleep(0)
                await peer.close()
            assert "s" in waiting.result().stream_id
        finally:
            await peer.close()
            await sender.close()


async def _unconnected(peer: ReceivingPeer) -> StreamUnavailable:
    with pytest.raises(StreamUnavailable) as caught:
        await peer.wait_connected(30.0)
    return caught.value


@intakes
async def test_a_file_is_sampled_to_its_end(opened: Opened, tmp_path: Path) -> None:
    """The end of the file is the end of the samples; all is counted here."""
    stats = Stats()
    path = await asyncio.to_thread(write_clip, tmp_path / "clip.webm", Codec.VP8)
    async with opened(stats) as intake:
        connector = intake.file("s", FileInput(path, loop=False, realtime=False))
        sampler = intake.sampler("s", SamplerSettings(OFTEN.cadence, max_age_s=60))
        async with (
            asyncio.timeout(30),
            connector.connect() as source,
            aclosing(sampler.samples(source)) as found,
        ):
            samples = [sample async for sample in found]
        assert samples
        sampler.close()
    taken = _value(stats, "sidecar_samples_taken_total", by="keyframe")
    assert taken == len(samples)
    assert _value(stats, "sidecar_decoding_streams", decode="keyframes") == 0


@intakes
async def test_a_file_that_is_none_is_unsupported(
    opened: Opened, tmp_path: Path
) -> None:
    """With its reason."""
    async with opened(Stats()) as intake:
        missing = FileInput(tmp_path / "none.webm", loop=False, realtime=True)
        with pytest.raises(StreamUnsupported, match="no such file") as caught:
            async with intake.file("s", missing).connect():
                pass
        assert caught.value.reason is UnsupportedReason.INPUT


@intakes
async def test_one_sample_is_in_flight(opened: Opened, tmp_path: Path) -> None:
    """While a sample is looked at no other is taken, however long that lasts."""
    stats = Stats()
    path = await asyncio.to_thread(write_clip, tmp_path / "clip.webm", Codec.VP8)
    async with opened(stats) as intake:
        connector = intake.file("s", FileInput(path, loop=True, realtime=True))
        sampler = intake.sampler("s", OFTEN)
        async with (
            asyncio.timeout(30),
            connector.connect() as source,
            aclosing(sampler.samples(source)) as found,
        ):
            first = await anext(found)
            await asyncio.sleep(0.5)
            late = SystemClock().monotonic()
            second = await anext(found)
            assert second.decoded_at > late
            assert first.captured_at < second.captured_at
            await anext(found)


@intakes
async def test_risk_and_reports_change_the_pace(opened: Opened, tmp_path: Path) -> None:
    """A high score or a report bursts; the budget's pace bounds it; all is shown."""
    stats = Stats()
    path = await asyncio.to_thread(write_clip, tmp_path / "clip.webm", Codec.VP8)
    async with opened(stats) as intake:
        connector = intake.file("s", FileInput(path, loop=True, realtime=True))
        slow = CadenceSettings(interval_s=60, jitter=0, burst_interval_s=0.01)
        sampler = intake.sampler("s", SamplerSettings(slow, audit=AuditSettings(None)))
        assert sampler.settings.cadence == slow
        assert sampler.demand().risk == 1
        assert not sampler.decodes_all
        async with (
            asyncio.timeout(30),
            connector.connect() as source,
            aclosing(sampler.samples(source)) as found,
        ):
            await anext(found)
            assert sampler.interval_s == 60
            assert sampler.demand().wanted_per_s == pytest.approx(1 / 60)
            sampler.observe(0.99)
            await anext(found)
            assert sampler.interval_s == 0.01
            assert sampler.demand().wanted_per_s == pytest.approx(100)
            sampler.pace(0.03)
            sampler.pace(0.03)
            assert sampler.interval_s == 0.03
            sampler.burst()
            await anext(found)
        sampler.close()
