"""A picture's slot is free again as soon as its sample is answered, however."""

import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sidecar.arena import PictureArena, PictureSlots
from sidecar.classify.planner import PlannerSettings
from sidecar.domain import Sample
from sidecar.errors import EngineError
from tests.fakes.batcher_bench import AT_ONCE, FULL_ONLY, Bench, running, sample, settle
from tests.fakes.engine import FakeEngine

pytestmark = pytest.mark.anyio

SLOTS = 8


@pytest.fixture(autouse=True)
def nobody_collects() -> Iterator[None]:
    """A slot that waits for the garbage collector is as good as lost."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def arena() -> PictureArena:
    """In the fake engine's format."""
    return PictureArena(PictureSlots(FakeEngine().fmt, SLOTS))


def lent(arena: PictureArena, stream: str = "s", at: float = 0.0) -> Sample:
    """A sample whose picture lies in the arena."""
    picture = arena.take()
    assert picture is not None
    picture[:] = 99
    return replace(sample(stream, captured_at=at), picture=picture)


@pytest.mark.parametrize("errors", [[], [EngineError("bad batch")]])
async def test_after_scores_and_after_an_error(
    arena: PictureArena, errors: list[EngineError]
) -> None:
    """Held while the batch runs; free once it is answered."""
    bench = Bench(FULL_ONLY)
    bench.engine.errors = errors
    bench.engine.gate.clear()
    async with running(bench) as callers:
        for number in range(4):
            callers.create_task(bench.ask(lent(arena, f"s{number}")))
        await bench.engine.begun.wait()
        await settle()
        assert arena.free == SLOTS - 4
        bench.engine.gate.set()
        while len(bench.answers) < 4:
            await settle()
        bench.answers.clear()
        await settle()
        assert arena.free == SLOTS


async def test_after_giving_way(arena: PictureArena) -> None:
    """Displaced, or too old."""
    bench = Bench(PlannerSettings(max_queue_delay_s=60.0, per_stream=1, max_age_s=0.5))
    async with running(bench) as callers:
        for number in range(3):
            callers.create_task(bench.ask(lent(arena, at=number / 10)))
            await settle()
        bench.answers.clear()
        assert arena.free == SLOTS - 1
        bench.clock.advance(100.0)
        while not bench.answers:
            await settle()
        bench.answers.clear()
        assert arena.free == SLOTS


async def test_after_the_caller_left(arena: PictureArena) -> None:
    """At once if it waited; else when the batch, which reads it, has ended."""
    bench = Bench(AT_ONCE)
    bench.engine.gate.clear()
    async with running(bench) as callers:
        runs = callers.create_task(bench.ask(lent(arena, "runs")))
        await bench.engine.begun.wait()
        waits = callers.create_task(bench.ask(lent(arena, "waits")))
        await settle()
        for task in (runs, waits):
            task.cancel()
        await settle()
        del runs, waits, task
        assert arena.free == SLOTS - 1
        bench.engine.gate.set()
        await settle()
        assert arena.free == SLOTS


async def test_after_the_end(arena: PictureArena) -> None:
    """Who is told that nothing more is classified holds nothing."""
    bench = Bench(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.ask(lent(arena)))
        await settle()
        await bench.batcher.drain()
    bench.answers.clear()
    assert arena.free == SLOTS
