"""A worker as the sidecar sees it: what it may say, and what comes of it."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from sidecar.app.intake import FileInput, InWorkers
from sidecar.clock import SystemClock
from sidecar.domain import Codec, PictureFormat, Sample
from sidecar.errors import StreamUnavailable, WorkerLost
from sidecar.sample.audit import AuditSettings
from sidecar.sample.cadence import CadenceSettings
from sidecar.sample.sampler import SamplerSettings
from sidecar.stats import Stats
from sidecar.workers.calls import Answer, Fault, Refusal
from sidecar.workers.codec import WireError
from sidecar.workers.messages import Beat, Change, Message, Over, Stop, Taken
from tests.contract.desk_rig import until
from tests.fakes.video_files import write_clip
from tests.fakes.workers import FORMAT, Loopback, loopback, silent_worker

pytestmark = pytest.mark.anyio

OFTEN = SamplerSettings(
    CadenceSettings(interval_s=0.02, jitter=0, burst_interval_s=0.01),
    audit=AuditSettings(None),
)


class Film:
    """A worker, and a clip that it plays for ever."""

    def __init__(self, worker: Loopback, path: Path, stats: Stats) -> None:
        self.worker = worker
        self.stats = stats
        self.intake = InWorkers(worker.pool, SystemClock(), stats)
        self._file = FileInput(path, loop=True, realtime=True)

    @asynccontextmanager
    async def samples(self, name: str = "s") -> AsyncIterator[AsyncIterator[Sample]]:
        """The samples of one connection."""
        sampler = self.intake.sampler(name, OFTEN)
        async with (
            asyncio.timeout(30),
            self.intake.file(name, self._file).connect() as source,
            aclosing(sampler.samples(source)) as found,
        ):
            yield found
        sampler.close()

    @property
    def lost_for_want_of_slots(self) -> float:
        """As it is exposed."""
        labels = {"stage": "sample", "reason": "slots"}
        return self.stats.registry.get_sample_value("sidecar_lost_total", labels) or 0.0

    @property
    def free(self) -> int:
        """Slots that nobody has."""
        return self.worker.child._looking.lending.arena(FORMAT).free


@asynccontextmanager
async def film(folder: Path, slots: int = 8) -> AsyncIterator[Film]:
    """All closed at the end."""
    path = await asyncio.to_thread(write_clip, folder / "clip.webm", Codec.VP8)
    stats = Stats()
    async with loopback(stats, slots) as worker:
        yield Film(worker, path, stats)


async def test_slots_come_back_with_the_last_reference(tmp_path: Path) -> None:
    """Pictures that somebody keeps stay as they are; all others are free again."""
    async with film(tmp_path) as f:
        async with f.samples() as samples:
            kept = (await anext(samples)).picture
            copy = kept.copy()
            for _ in range(20):
                await anext(samples)
            assert (kept == copy).all()
            del kept
            gc.collect()
            for _ in range(2):
                await anext(samples)
        async with f.samples() as samples:
            await anext(samples)
            assert f.free >= 6


async def test_samples_without_a_slot_are_lost_and_counted(tmp_path: Path) -> None:
    """Somebody keeps every picture: no more come, and it shows."""
    async with film(tmp_path, slots=2) as f, f.samples() as samples:
        kept = [(await anext(samples)).picture for _ in range(2)]
        lost = f.lost_for_want_of_slots
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_next(samples))
            await until(lambda: f.lost_for_want_of_slots >= lost + 2)
            assert not waiting.done()
            waiting.cancel()
        assert len(kept) == 2


async def _next(samples: AsyncIterator[Sample]) -> Sample:
    return await anext(samples)


async def test_new_models_are_shown_what_they_want(tmp_path: Path) -> None:
    """From soon on each sample carries a picture in the new format, too."""
    async with film(tmp_path) as f, f.samples() as samples:
        sample = await anext(samples)
        assert (sample.fmt, len(sample.others)) == (FORMAT, 0)
        other = PictureFormat(10, 6)
        f.worker.shown.append(other)
        while not sample.others:
            sample = await anext(samples)
        assert sample.others[other].shape == (6, 10, 3)
        f.worker.shown.remove(FORMAT)
        while sample.fmt == FORMAT:
            sample = await anext(samples)
        assert sample.fmt == other
        assert sample.picture.std() > 0


async def test_who_looks_hears_of_the_loss(tmp_path: Path) -> None:
    """In the midst of waiting; the sampler begins anew elsewhere, at its pace."""
    async with film(tmp_path) as f, f.samples() as samples:
        await anext(samples)
        f.worker.pool.loses("w1", "worker w1 is gone")
        with pytest.raises(WorkerLost, match="w1 is gone"):
            _ = [sample async for sample in samples]


async def test_a_sampler_takes_its_pace_along(tmp_path: Path) -> None:
    """The budget's limit and a report hold in the worker it is opened in, too."""
    async with film(tmp_path) as f:
        sampler = f.intake.sampler("s", OFTEN)
        sampler.pace(60.0)
        sampler.burst()
        file = FileInput(tmp_path / "clip.webm", loop=True, realtime=True)
        async with (
            f.intake.file("s", file).connect() as source,
            aclosing(sampler.samples(source)) as samples,
        ):
            await anext(samples)
            (there,) = f.worker.child._looking.samplers.values()
            assert there.interval_s == sampler.interval_s == 60.0
            assert there.demand().risk == sampler.demand().risk == 1
        sampler.close()
        async with f.samples() as samples:
            await anext(samples)
            (other,) = f.worker.child._looking.samplers.values()
            assert other is not there


async def test_an_end_by_a_fault_is_that_fault() -> None:
    """What the worker says of a connection is raised where it is looked at."""
    async with silent_worker("w1", Stats()) as worker:
        worker.streams[1] = "s"
        look = worker.look(1, 2)
        worker.hear(Over(3, Fault("unavailable", "no one")))
        worker.hear(Over(99, None))
        worker.hear(Over(look_id(worker), Fault("unavailable", "no packets", 3.0)))
        with pytest.raises(StreamUnavailable, match="no packets") as caught:
            await look.next()
        assert caught.value.stream_id == "s"
        assert caught.value.retry_after_s == 3.0
        look.close()
        look.close()


def look_id(worker: object) -> int:
    """The number of its only look."""
    (found,) = worker._looks  # type: ignore[attr-defined]
    return int(found)


async def test_answers_that_nobody_waits_for_are_let_go() -> None:
    """The caller was cancelled meanwhile."""
    async with silent_worker("w1", Stats()) as worker:
        worker.hear(Answer(7, "late"))
        worker.hear(Refusal(8, Fault("malformed", "late")))


@pytest.mark.parametrize(
    "message",
    [
        Stop(),
        Taken(1, ((0, 99),), 0.0, 0.0, 0.0, 0.0),
        Taken(1, (), 0.0, 0.0, 0.0, 0.0),
        Beat((Change("nothing", {}, 1.0),), ()),
        Beat((Change("lost", {"no": "label"}, 1.0),), ()),
    ],
)
async def test_what_a_worker_must_not_say_is_refused(message: Message) -> None:
    """It is out of its mind, and will be replaced."""
    async with silent_worker("w1", Stats()) as worker:
        worker.show()
        with pytest.raises(WireError):
            worker.hear(message)
