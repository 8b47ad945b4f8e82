"""Several models on every sample: one answer each, whatever becomes of one of them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from sidecar.classify.batcher import Batcher
from sidecar.classify.ensemble import Ensemble, Lane
from sidecar.clock import ManualClock
from sidecar.domain import Category, ModelRef, PictureFormat, Sample, Scores
from sidecar.errors import EngineError, SampleGivenWay
from sidecar.stats import Stats
from tests.fakes.batcher_bench import AT_ONCE, settle
from tests.fakes.engine import FakeEngine

pytestmark = pytest.mark.anyio

A, B = ModelRef("a", "sha256:a"), ModelRef("b", "sha256:b")
SMALL, LARGE = PictureFormat(8, 8, "area"), PictureFormat(16, 16, "area")


def plain(fmt: PictureFormat, *rgb: int) -> np.typing.NDArray[np.uint8]:
    """A picture of one colour."""
    return np.full((fmt.height, fmt.width, 3), rgb, np.uint8)


def sample(*, both: bool = True) -> Sample:
    """Blue for the small model, red for the large one."""
    others = {LARGE: plain(LARGE, 255, 0, 0)} if both else {}
    return Sample("s", plain(SMALL, 0, 0, 255), 0.0, 0.0, fmt=SMALL, others=others)


class Pair:
    """Two models of different sizes."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.engines = [FakeEngine(ref=A, fmt=SMALL), FakeEngine(ref=B, fmt=LARGE)]
        clock = ManualClock()
        self.ensemble = Ensemble(
            [Lane(e, Batcher(e, AT_ONCE, clock, self.stats)) for e in self.engines]
        )

    def left(self) -> int:
        """Samples that wait in any queue."""
        return sum(lane.batcher.waiting for lane in self.ensemble.lanes)


@asynccontextmanager
async def running(pair: Pair) -> AsyncIterator[asyncio.TaskGroup]:
    """Their queues are served until the block is done."""
    async with asyncio.TaskGroup() as group:
        for lane in pair.ensemble.lanes:
            group.create_task(lane.batcher.run())
        async with asyncio.TaskGroup() as callers:
            yield callers
        await pair.ensemble.drain()


async def test_each_model_sees_its_own_picture() -> None:
    """Both look, each at its size; the answer names both and who gave which score."""
    pair = Pair()
    async with running(pair):
        scores = await pair.ensemble.classify(sample())
    assert scores.models == (A, B)
    assert scores.model_of(Category.VIOLENCE_GRAPHIC) == B  # red, seen large
    assert scores.model_of(Category.SEXUAL_EXPLICIT) == A  # blue, seen small
    assert scores.by_category[Category.VIOLENCE_GRAPHIC].score > 0.9
    assert scores.by_category[Category.SEXUAL_EXPLICIT].score > 0.9
    assert pair.ensemble.formats == (SMALL, LARGE)
    assert pair.ensemble.refs == (A, B)


@pytest.mark.parametrize("broken", [0, 1])
async def test_without_one_of_them_it_was_not_seen(broken: int) -> None:
    """One model's error is the answer; nothing is left in the other's queue."""
    pair = Pair()
    pair.engines[broken].errors = [EngineError("no")]
    async with running(pair):
        with pytest.raises(EngineError, match="no"):
            await pair.ensemble.classify(sample())
        assert pair.ensemble.failures_in_a_row == 1
        await pair.ensemble.classify(sample())
    assert pair.left() == 0
    assert pair.ensemble.failures_in_a_row == 0


async def test_a_sample_without_a_models_picture_is_an_error() -> None:
    """It is not shown a picture of another size, and nobody is asked in vain."""
    pair = Pair()
    assert pair.ensemble.fits(sample())
    assert not pair.ensemble.fits(sample(both=False))
    with pytest.raises(EngineError, match="model b"):
        await pair.ensemble.classify(sample(both=False))
    assert pair.left() == 0


async def test_a_caller_that_leaves_leaves_every_queue() -> None:
    """A cancelled await takes the sample out of all queues; the count is idle again."""
    pair = Pair()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(pair.ensemble.classify(sample()))
        await settle()
        assert pair.left() == 2
        task.cancel()
    assert pair.left() == 0
    await pair.ensemble.finish()


async def test_whoever_waits_for_the_last_answer_is_told() -> None:
    """Several may wait, also when it comes to that a second time."""
    pair = Pair()
    async with running(pair) as callers:
        for _ in range(2):
            pair.engines[0].gate.clear()
            callers.create_task(pair.ensemble.classify(sample()))
            await settle()
            ends = [callers.create_task(pair.ensemble.finish()) for _ in range(2)]
            await settle()
            assert not any(end.done() for end in ends)
            pair.engines[0].gate.set()
            await asyncio.wait(ends)


async def test_one_that_takes_no_more_refuses_for_all() -> None:
    """If one queue is closed, the sample is taken back from the others."""
    pair = Pair()
    await pair.ensemble.lanes[1].batcher.drain()
    with pytest.raises(EngineError):
        await pair.ensemble.classify(sample())
    assert pair.left() == 0


async def test_who_is_told_instead_of_waiting_is_told_once() -> None:
    """`when_done`: the merged scores, or None if a model failed or was drained."""
    pair = Pair()
    told: list[Scores | None] = []
    async with running(pair):
        pair.ensemble.ask(sample()).when_done(told.append)
        await settle()
        pair.engines[1].errors = [EngineError("no")]
        pair.ensemble.ask(sample()).when_done(told.append)
        await settle()
    assert [one and one.models for one in told] == [(A, B), None]


async def test_displaced_in_one_queue_is_given_way() -> None:
    """The reason stays what it was, so that the verdict says overloaded."""
    pair = Pair()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(_outcome(pair, sample()))
        await settle()
        for _ in range(2):
            group.create_task(_outcome(pair, sample()))
        await settle()
        assert isinstance(first.result(), SampleGivenWay)
        await pair.ensemble.drain()
    assert pair.left() == 0


async def _outcome(pair: Pair, one: Sample) -> Scores | EngineError:
    try:
        return await pair.ensemble.classify(one)
    except EngineError as exc:
        return exc


async def test_one_with_a_way_of_its_own_to_close_goes_that_way() -> None:
    """A connection to elsewhere is closed on the loop, not by a thread."""
    pair = Pair()
    closed: list[str] = []

    async def close() -> None:
        closed.append("b")

    first, second = pair.ensemble.lanes
    ensemble = Ensemble([first, replace(second, close=close)])
    await ensemble.close()
    assert closed == ["b"]
    assert [engine.closed for engine in pair.engines] == [True, False]


async def test_it_lives_as_long_as_all_of_them() -> None:
    """One dead engine is enough; closing closes all."""
    pair = Pair()
    seen = [pair.ensemble.alive]
    pair.engines[0].close()
    seen.append(pair.ensemble.alive)
    assert seen == [True, False]
    await pair.ensemble.close()
    assert all(engine.closed for engine in pair.engines)
