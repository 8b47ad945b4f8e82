"""One model hands over to another: compared before, and no sample lost on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from sidecar.classify.batcher import Batcher
from sidecar.classify.comparison import Agreement
from sidecar.classify.ensemble import Ensemble, Lane
from sidecar.classify.roster import Roster, Shadow
from sidecar.clock import ManualClock
from sidecar.domain import Category, ModelRef, PictureFormat, Sample, Scores
from sidecar.errors import EngineError
from sidecar.stats import Stats
from tests.fakes.batcher_bench import AT_ONCE, settle
from tests.fakes.engine import FakeEngine

pytestmark = pytest.mark.anyio

OLD, NEW = ModelRef("m", "sha256:1"), ModelRef("m", "sha256:2")
SMALL, LARGE = PictureFormat(8, 8, "area"), PictureFormat(16, 16, "area")


def picture(fmt: PictureFormat) -> np.typing.NDArray[np.uint8]:
    """Red."""
    return np.full((fmt.height, fmt.width, 3), (255, 0, 0), np.uint8)


def sample(stream: str = "s", *formats: PictureFormat) -> Sample:
    """A red picture in each of the formats; small alone if none is said."""
    first, *more = formats or (SMALL,)
    others = {fmt: picture(fmt) for fmt in more}
    return Sample(stream, picture(first), 0.0, 0.0, fmt=first, others=others)


def red(_: str, scores: Scores) -> frozenset[str]:
    """A rule on red at 0.5."""
    hit = scores.by_category[Category.VIOLENCE_GRAPHIC].score >= 0.5
    return frozenset({"red"} if hit else ())


def never(_: str, scores: Scores) -> frozenset[str]:
    """No rule."""
    assert scores.models
    return frozenset()


class House:
    """A roster with its first model, whose queues are served."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.first = self.ensemble(FakeEngine(ref=OLD, fmt=SMALL))
        self.roster = Roster(self.first)
        self.answers: list[Scores | EngineError] = []
        self._group: asyncio.TaskGroup | None = None

    def ensemble(self, engine: FakeEngine) -> Ensemble:
        """One model with its queue."""
        batcher = Batcher(engine, AT_ONCE, ManualClock(), self.stats)
        return Ensemble([Lane(engine, batcher)])

    def serve(self, ensemble: Ensemble) -> None:
        """Its queue is served from now on, until it is drained."""
        assert self._group is not None
        for lane in ensemble.lanes:
            self._group.create_task(lane.batcher.run())

    @asynccontextmanager
    async def open(self) -> AsyncIterator[asyncio.TaskGroup]:
        """Serves the first model; waits for all callers at the end."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self.serve(self.first)
            async with asyncio.TaskGroup() as callers:
                yield callers
            await self.roster.current.drain()

    async def ask(self, one: Sample) -> None:
        """Classifies and notes the answer."""
        try:
            self.answers.append(await self.roster.classify(one))
        except EngineError as exc:
            self.answers.append(exc)


def engine_of(ensemble: Ensemble) -> FakeEngine:
    """The fake it is made of."""
    engine = ensemble.lanes[0].engine
    assert isinstance(engine, FakeEngine)
    return engine


async def test_a_shadow_is_put_live_samples_and_compared() -> None:
    """The running model decides; the new one's word is measured and goes nowhere."""
    house = House()
    new = house.ensemble(FakeEngine(ref=NEW, fmt=SMALL))
    shadow = Shadow(new, 2, red, never)
    async with house.open():
        house.serve(new)
        house.roster.look_on(shadow)
        for _ in range(3):
            await house.ask(sample())
            await settle()
        assert [a.model for a in house.answers if isinstance(a, Scores)] == [OLD] * 3
        assert shadow.enough.is_set()
        assert engine_of(new).sizes == [1, 1]  # no more than was asked for
        house.roster.look_away(shadow)
        await new.drain()
    assert shadow.agreement == Agreement(samples=2, disagreements=2)


async def test_samplers_are_asked_for_both_formats_meanwhile() -> None:
    """A model of another size is put only what was scaled for it."""
    house = House()
    new = house.ensemble(FakeEngine(ref=NEW, fmt=LARGE))
    shadow = Shadow(new, 1, red, red)
    async with house.open():
        house.serve(new)
        shown = [house.roster.formats]
        house.roster.look_on(shadow)
        shown.append(house.roster.formats)
        assert shown == [(SMALL,), (SMALL, LARGE)]
        await house.ask(sample("s", SMALL))
        assert not shadow.enough.is_set()
        await house.ask(sample("s", SMALL, LARGE))
        await shadow.enough.wait()
        former = house.roster.take_over(shadow)
        shown.append(house.roster.formats)
        assert shown[2] == (LARGE,)
        await house.ask(sample("s", SMALL))  # decoded just before
        await house.ask(sample("s", LARGE))
        await house.roster.retire(former)
        await house.ask(sample("s", SMALL))
    found = [a.model if isinstance(a, Scores) else None for a in house.answers]
    assert found == [OLD, OLD, OLD, NEW, None]
    assert house.roster.generation == 1
    assert house.roster.refs == (NEW,)


async def test_no_sample_is_lost_in_the_swap() -> None:
    """Each is answered once: by the old model if it was put to it, else by the new."""
    house = House()
    new = house.ensemble(FakeEngine(ref=NEW, fmt=SMALL))
    shadow = Shadow(new, 0, red, red)
    old_engine = engine_of(house.first)
    async with house.open() as callers:
        house.serve(new)
        house.roster.look_on(shadow)
        old_engine.gate.clear()
        for number in range(40):
            callers.create_task(house.ask(sample(f"s{number}")))
        await settle()
        former = house.roster.take_over(shadow)
        retired = callers.create_task(house.roster.retire(former))
        for number in range(40, 80):
            callers.create_task(house.ask(sample(f"s{number}")))
        await settle()
        assert not retired.done()  # it has work in hand
        old_engine.gate.set()
        await retired
    answers = [a for a in house.answers if isinstance(a, Scores)]
    assert sorted(a.stream_id for a in answers) == sorted(f"s{n}" for n in range(80))
    by_old = {a.stream_id for a in answers if a.model == OLD}
    assert by_old == {f"s{number}" for number in range(40)}


async def test_a_shadow_that_fails_harms_nobody() -> None:
    """Its errors are counted as such; the streams hear the running model."""
    house = House()
    new = house.ensemble(FakeEngine(ref=NEW, fmt=SMALL, errors=[EngineError("no")]))
    shadow = Shadow(new, 5, red, red)
    async with house.open():
        house.serve(new)
        house.roster.look_on(shadow)
        await house.ask(sample())
        await settle()
        await new.drain()
        await house.ask(sample())
    assert all(isinstance(a, Scores) for a in house.answers)
    assert shadow.agreement == Agreement(failed=2)


async def test_a_failure_of_the_running_model_takes_the_question_back() -> None:
    """There is nothing to compare with; a caller that leaves leaves both queues."""
    house = House()
    new = house.ensemble(FakeEngine(ref=NEW, fmt=SMALL))
    shadow = Shadow(new, 5, red, red)
    engine_of(house.first).errors = [EngineError("no")]
    async with house.open():
        house.serve(new)
        house.roster.look_on(shadow)
        await house.ask(sample())
        await settle()
        assert new.lanes[0].batcher.waiting == 0
        await new.drain()
    assert isinstance(house.answers[0], EngineError)
    assert shadow.agreement == Agreement()


async def test_health_is_the_running_models() -> None:
    """A shadow neither keeps it alive nor makes it ill."""
    house = House()
    new = house.ensemble(FakeEngine(ref=NEW, fmt=SMALL))
    house.roster.look_on(Shadow(new, 5, red, red))
    await new.close()
    seen = [house.roster.alive]
    await house.first.close()
    seen.append(house.roster.alive)
    assert seen == [True, False]
    assert house.roster.failures_in_a_row == 0
    house.roster.look_away(Shadow(new, 5, red, red))  # another one: nothing changes
    assert house.roster.formats == (SMALL,)
