"""How a batcher ends: dead, drained or cancelled, nobody is left hanging."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from sidecar.classify.begin import Done
from sidecar.domain import Scores
from sidecar.errors import EngineDead, EngineError
from tests.fakes.batcher_bench import AT_ONCE, Bench, sample, settle
from tests.fakes.engine import FakeEngine

pytestmark = pytest.mark.anyio


async def test_too_many_errors_in_a_row_are_the_end() -> None:
    """`run` raises EngineDead after n failed batches; nobody is left waiting."""
    bench = Bench(AT_ONCE, max_errors=2)
    bench.engine.errors = [EngineError("one"), EngineError("two")]
    bench.engine.gate.clear()
    async with asyncio.TaskGroup() as callers:
        loop = callers.create_task(_dies(bench.batcher.run))
        callers.create_task(bench.ask(sample("a")))
        await bench.engine.begun.wait()
        for number in range(6):
            callers.create_task(bench.ask(sample(f"s{number}")))
        await settle()
        bench.engine.gate.set()
    assert "2 batches in a row failed" in str(loop.result())
    assert isinstance(loop.result().__cause__, EngineError)
    assert len(bench.answers) == 7
    assert bench.outcomes() == {"error": 7}
    with pytest.raises(EngineError, match="no more samples"):
        await bench.batcher.classify(sample())


async def test_a_dead_engine_is_the_end_at_once() -> None:
    """EngineDead goes through `run` and answers those in flight."""
    bench = Bench(AT_ONCE)
    bench.engine.close()
    async with asyncio.TaskGroup() as callers:
        loop = callers.create_task(_dies(bench.batcher.run))
        callers.create_task(bench.ask(sample()))
    assert str(loop.result()) == "closed"
    assert [type(answer) for answer in bench.answers] == [EngineDead]


async def test_a_bug_of_the_engine_leaves_nobody_hanging() -> None:
    """An unexpected exception ends `run` as it is, and every caller is answered."""
    bench = Bench(AT_ONCE)
    bench.engine.categories = None  # type: ignore[assignment]

    async def run() -> None:
        with pytest.raises(AttributeError):
            await bench.batcher.run()

    async with asyncio.TaskGroup() as group:
        group.create_task(bench.ask(sample("a")))
        group.create_task(bench.ask(sample("b")))
        group.create_task(run())
    assert [str(a) for a in bench.answers] == ["the classifier has stopped"] * 2
    with pytest.raises(EngineError, match="has stopped"):
        await bench.batcher.classify(sample())


async def test_an_engine_that_cannot_even_begin_is_a_bug() -> None:
    """What `begin` raises ends `run` as it is, and its batch is answered."""

    class Broken(FakeEngine):
        def begin(self, *_: object) -> object:
            raise ZeroDivisionError

    bench = Bench(AT_ONCE, engine=Broken())
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.ask(sample()))
        with pytest.raises(ZeroDivisionError):
            await bench.batcher.run()
    assert [str(a) for a in bench.answers] == ["the classifier has stopped"]


async def test_what_ends_after_the_end_is_ignored() -> None:
    """A batch that was answered when `run` ended is not answered again."""
    told: list[Done] = []

    class Late(FakeEngine):
        def begin(self, _batch: object, done: Done) -> object:
            told.append(done)
            return lambda: None

    bench = Bench(AT_ONCE, engine=Late())
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(bench.batcher.run())
        group.create_task(bench.ask(sample()))
        await settle()
        loop.cancel()
    told[0](np.zeros((1, 3), np.float32), None)
    assert [type(answer) for answer in bench.answers] == [EngineError]


async def _dies(run: Callable[[], Awaitable[None]]) -> EngineDead:
    """The EngineDead that `run` ends with."""
    with pytest.raises(EngineDead) as caught:
        await run()
    return caught.value


async def test_drain_finishes_the_batch_in_flight() -> None:
    """What runs is answered with scores; what waits is told; new ones are refused."""
    bench = Bench(AT_ONCE)
    bench.engine.gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.batcher.run())
        group.create_task(bench.ask(sample("runs")))
        await bench.engine.begun.wait()
        group.create_task(bench.ask(sample("waits")))
        await settle()
        group.create_task(bench.batcher.drain())
        await settle()
        with pytest.raises(EngineError, match="stopping"):
            await bench.batcher.classify(sample("late"))
        assert bench.answers == []
        bench.engine.gate.set()
    kinds = {type(answer) for answer in bench.answers}
    assert kinds == {Scores, EngineError}


async def test_drain_before_run_answers_too() -> None:
    """A batcher that never ran leaves nobody hanging either; draining twice is fine."""
    bench = Bench(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.ask(sample()))
        await settle()
        await bench.batcher.drain()
        await bench.batcher.drain()
    assert [type(answer) for answer in bench.answers] == [EngineError]
    await bench.batcher.run()


async def test_cancelling_run_answers_everybody() -> None:
    """Cancellation goes through, and nobody hangs."""
    bench = Bench(AT_ONCE)
    bench.engine.gate.clear()
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(bench.batcher.run())
        group.create_task(bench.ask(sample("runs")))
        await bench.engine.begun.wait()
        group.create_task(bench.ask(sample("waits")))
        await settle()
        loop.cancel()
    assert loop.cancelled()
    assert [str(answer) for answer in bench.answers] == [
        "the classifier has stopped",
        "the classifier has stopped",
    ]
