"""Every stream gets a seat in a worker that runs, or hears that there is none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.errors import WorkerLost
from sidecar.stats import Stats
from sidecar.workers import pool as pool_module
from sidecar.workers.calls import Offer
from sidecar.workers.pool import Pool
from sidecar.workers.worker import Worker
from tests.fakes.workers import silent_worker

pytestmark = pytest.mark.anyio


class House:
    """Two workers that say nothing."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.pool = Pool(("w1", "w2"), self.stats)

    def value(self, name: str, **labels: str) -> float:
        """A number as it is exposed."""
        return self.stats.registry.get_sample_value(name, labels) or 0.0

    def states(self) -> tuple[float, float, float]:
        """Workers running, starting and down."""
        running, starting, down = (
            self.value("sidecar_workers", state=state)
            for state in ("running", "starting", "down")
        )
        return running, starting, down


@asynccontextmanager
async def house() -> AsyncIterator[tuple[House, Worker, Worker]]:
    """A pool whose workers have not joined yet."""
    made = House()
    async with (
        silent_worker("w1", made.stats) as first,
        silent_worker("w2", made.stats) as second,
    ):
        yield made, first, second


async def test_streams_are_spread_and_counted() -> None:
    """Evenly; a seat that is given up is free for others."""
    async with house() as (h, first, second):
        h.pool.joins(first)
        h.pool.joins(second)
        assert set(h.pool) == {first, second}
        seats = [await h.pool.seat(f"s{n}") for n in range(4)]
        assert [seat.worker.name for seat in seats] == ["w1", "w2", "w1", "w2"]
        assert h.value("sidecar_worker_streams", worker="w1") == 2
        assert h.states() == (2, 0, 0)
        h.pool.leave(seats[1])
        assert (await h.pool.seat("s4")).worker is second


async def test_streams_wait_for_a_worker_that_starts() -> None:
    """Half of four for the one that runs, the rest for the one that is coming."""
    async with house() as (h, first, second):
        assert h.states() == (0, 2, 0)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(h.pool.seat(f"s{n}")) for n in range(4)]
            await asyncio.sleep(0)
            h.pool.joins(first)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert len(first.streams) == 2
            h.pool.joins(second)
        assert [len(first.streams), len(second.streams)] == [2, 2]


async def test_a_worker_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Better crowded than unseen."""
    monkeypatch.setattr(pool_module, "_PATIENCE_S", 0.01)
    async with house() as (h, first, _):
        h.pool.joins(first)
        for number in range(3):
            assert (await h.pool.seat(f"s{number}")).worker is first


async def test_without_a_worker_a_stream_hears_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a while; its supervisor tries again."""
    monkeypatch.setattr(pool_module, "_GIVE_UP_S", 0.01)
    monkeypatch.setattr(pool_module, "_PATIENCE_S", 0.01)
    with pytest.raises(WorkerLost, match="no worker runs"):
        await Pool(("w1",), Stats()).seat("s")


async def test_a_stream_comes_back_to_its_sampler() -> None:
    """As long as its worker lives; what was learned of it is there."""
    async with house() as (h, first, second):
        h.pool.joins(first)
        h.pool.joins(second)
        h.pool.remember("s", second)
        assert (await h.pool.seat("s")).worker is second
        assert (await h.pool.seat("s")).worker is second
        h.pool.loses("w2", "gone")
        assert (await h.pool.seat("s")).worker is first
        h.pool.forget("s")
        h.pool.forget("s")


async def test_who_sat_in_a_lost_worker_hears_so() -> None:
    """Waiting calls too; what is closed then is closed."""
    async with house() as (h, first, _):
        h.pool.joins(first)
        h.pool.starts("w2")
        seat = await h.pool.seat("s")
        async with asyncio.TaskGroup() as group:
            call = group.create_task(_refused(seat.call(Offer())))
            await asyncio.sleep(0)
            h.pool.loses("w1", "worker w1 is gone")
        assert "worker w1 is gone" in str(call.result())
        assert h.value("sidecar_worker_lost_streams_total") == 1
        assert h.states() == (0, 1, 1)
        with pytest.raises(WorkerLost):
            await seat.call(Offer())
        with pytest.raises(WorkerLost):
            first.look(seat.id, 1)
        await seat.close()
        await seat.close()
        assert not first.streams
        h.pool.loses("w1", "again")
        assert h.value("sidecar_worker_lost_streams_total") == 1


async def _refused(call: object) -> WorkerLost:
    with pytest.raises(WorkerLost) as caught:
        await call  # type: ignore[misc] # a coroutine of any kind
    return caught.value


async def test_a_close_does_not_wait_for_a_worker_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The seat is given up; the worker will be killed for its silence."""
    monkeypatch.setattr(pool_module, "_CLOSE_S", 0.01)
    async with house() as (h, first, _):
        h.pool.joins(first)
        h.pool.starts("w2")
        seat = await h.pool.seat("s")
        await seat.close()
        assert not first.streams


async def test_a_failing_worker_shows_until_it_holds() -> None:
    """One is enough: a core lies idle, and streams crowd on the others."""
    async with house() as (h, first, _):
        shown = [h.pool.failing]  # none runs yet
        h.pool.joins(first)
        shown.append(h.pool.failing)
        h.pool.fails("w2")
        shown.append(h.pool.failing)
        h.pool.holds("w2")
        shown.append(h.pool.failing)
        h.pool.loses("w1", "gone")
        assert [*shown, h.pool.failing] == [True, False, True, False, True]
