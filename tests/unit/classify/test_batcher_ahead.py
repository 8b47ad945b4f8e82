"""One batch ahead: the engine never waits for the loop, and none is hurried."""

import asyncio
import gc
import tracemalloc
from typing import Final

import pytest

from sidecar.classify.batcher import Batcher
from sidecar.classify.planner import PlannerSettings
from sidecar.clock import ManualClock
from sidecar.stats import Stats
from tests.fakes.batcher_bench import AT_ONCE, Bench, running, sample, settle
from tests.fakes.engine import FakeEngine

pytestmark = pytest.mark.anyio

_BATCHES: Final = 1_000
_NOISE: Final = 4 * _BATCHES  # bytes; the smallest object a batch would take 16


async def test_a_full_batch_is_handed_over_before_the_one_before_it_ends() -> None:
    """The engine has it when it is free; a further one waits in the queue."""
    bench = Bench(AT_ONCE)
    bench.engine.gate.clear()
    async with running(bench) as callers:
        for number in range(10):
            callers.create_task(bench.ask(sample(f"s{number}")))
        await settle()
        assert bench.engine.sizes == [4, 4]
        assert bench.batcher.waiting == 2
        bench.engine.gate.set()
    assert bench.engine.sizes == [4, 4, 2]
    assert bench.outcomes() == {"scored": 10}


async def test_a_batch_that_is_not_full_goes_on_collecting() -> None:
    """While the engine is busy nothing is gained by taking it."""
    bench = Bench(AT_ONCE)
    bench.engine.gate.clear()
    async with running(bench) as callers:
        callers.create_task(bench.ask(sample("first")))
        await bench.engine.begun.wait()
        for number in range(3):
            callers.create_task(bench.ask(sample(f"s{number}")))
        await settle()
        assert bench.engine.sizes == [1]
        callers.create_task(bench.ask(sample("last")))
        await settle()
        assert bench.engine.sizes == [1, 4]
        bench.engine.gate.set()


async def test_as_many_batches_run_as_the_engine_can() -> None:
    """Two callers: two that are not full run at once; the third waits for company."""
    engine = FakeEngine(concurrency=2)
    engine.gate.clear()
    batcher = Batcher(engine, AT_ONCE, ManualClock(), Stats())
    async with asyncio.TaskGroup() as group:
        group.create_task(batcher.run())
        async with asyncio.TaskGroup() as callers:
            for number in range(3):
                callers.create_task(batcher.classify(sample(f"s{number}")))
                await settle()
            assert engine.sizes == [1, 1]
            engine.gate.set()
        await batcher.drain()
    assert engine.sizes == [1, 1, 1]


async def test_the_timer_is_set_anew_only_if_it_has_to_be() -> None:
    """Who comes later changes nothing about who is due first."""
    bench = Bench(PlannerSettings(4, max_queue_delay_s=60.0, max_age_s=100.0))
    async with running(bench) as callers:
        timers = []
        for number in range(3):
            callers.create_task(bench.ask(sample(f"s{number}")))
            await settle()
            timers.append(bench.batcher._alarm._timer)
        callers.create_task(bench.ask(sample("last")))
        await settle()
        assert bench.batcher._alarm._timer is None
    assert timers[0] is not None
    assert timers == [timers[0]] * 3
    assert timers[0].cancelled()


async def test_time_on_the_engine_begins_when_the_engine_begins() -> None:
    """What a batch that was ready waited is queueing, not inference."""
    bench = Bench(AT_ONCE)
    bench.engine.gate.clear()
    async with running(bench) as callers:
        for number in range(8):
            callers.create_task(bench.ask(sample(f"s{number}")))
        await settle()
        first, second = bench.batcher._runs
        bench.clock.advance(3.0)
        bench.batcher._take_up(first)
        assert (first.started, second.started) == (0.0, 3.0)
        bench.batcher._ready.append(second)
        bench.batcher._take_up(second)  # the engine may finish them in any order
        assert not bench.batcher._ready
        bench.engine.gate.set()


async def test_an_hour_of_batches_leaves_nothing_behind() -> None:
    """Thousands of batches on a clock that is moved: memory is as it was before."""
    asyncio.get_running_loop().set_debug(False)  # it keeps a stack for each future
    bench = Bench(PlannerSettings(4, max_queue_delay_s=0.0, max_age_s=1e9))
    streams = [sample(f"s{number}") for number in range(4)]

    async def some(batches: int) -> None:
        for _ in range(batches):
            async with asyncio.TaskGroup() as callers:
                for one in streams:
                    callers.create_task(bench.batcher.classify(one))
            bench.clock.advance(3600 / _BATCHES)
            bench.engine.sizes.clear()

    async with running(bench):
        await some(100)
        gc.collect()
        tracemalloc.start()
        try:
            await some(100)
            gc.collect()
            before = tracemalloc.take_snapshot()
            await some(_BATCHES)
            gc.collect()
            grown = tracemalloc.take_snapshot().compare_to(before, "filename")
        finally:
            tracemalloc.stop()
    ours = [line for line in grown if "tracemalloc" not in str(line.traceback)]
    assert sum(line.size_diff for line in ours) < _NOISE, ours[:5]
