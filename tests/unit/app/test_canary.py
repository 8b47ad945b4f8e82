"""The card goes through the real path; when it is not seen, somebody hears of it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar.app.build import App
from sidecar.app.canary import CANARY, Canary
from sidecar.classify.batcher import Batcher
from sidecar.classify.ensemble import Ensemble, Lane
from sidecar.classify.roster import Roster
from sidecar.clock import SystemClock
from sidecar.config.models import CanaryConfig
from sidecar.domain import ModelRef, is_stream_id
from sidecar.errors import EngineError
from sidecar.stats import Stats
from tests.fakes.batcher_bench import AT_ONCE
from tests.fakes.engine import FakeEngine
from tests.fakes.onnx_models import mean_colour_folder
from tests.unit.app.app_house import app_house

pytestmark = pytest.mark.anyio

OFTEN = {"every_s": 3600, "timeout_s": 20}


class Enough(Exception):
    """The first wait of a canary that would run for ever."""


async def _no_more(_: float) -> None:
    raise Enough


@pytest.fixture
def decoders() -> Iterator[ThreadPoolExecutor]:
    """Threads to decode in."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


class House:
    """A canary before a fake model that calls itself by any name."""

    def __init__(
        self, decoders: ThreadPoolExecutor, name: str = "testcard", **more: float
    ) -> None:
        self.stats = Stats()
        self.engine = FakeEngine(ref=ModelRef(name, "sha256:1"))
        clock = SystemClock()
        self.batcher = Batcher(self.engine, AT_ONCE, clock, self.stats)
        roster = Roster(Ensemble([Lane(self.engine, self.batcher)]))
        config = CanaryConfig.model_validate({**OFTEN, "min_score": 0.01, **more})
        self.canary = Canary(config, roster, decoders, clock, self.stats, _no_more)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Canary]:
        """The first card is through; the model is served until the block ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.batcher.run())
            with pytest.raises(Enough):
                await self.canary.run()
            yield self.canary
            await self.batcher.drain()

    def count(self, outcome: str) -> float:
        """Cards by outcome."""
        name = "sidecar_canaries_total"
        return self.stats.registry.get_sample_value(name, {"outcome": outcome}) or 0


@asynccontextmanager
async def first_card(app: App) -> AsyncIterator[Canary]:
    """The first card went through an app's models."""
    canary = app.canary
    assert canary is not None
    canary._sleep = _no_more
    async with asyncio.TaskGroup() as group:

        def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            return group.create_task(work, name=name)

        app.changeover.open(spawn)
        with pytest.raises(Enough):
            await canary.run()
        yield canary
        await app.changeover.drain()


async def test_the_card_is_seen_by_the_real_model(tmp_path: Path) -> None:
    """Encoded once, decoded, scaled, classified, decided; with any models beside."""
    mine = await asyncio.to_thread(mean_colour_folder, tmp_path / "mine")
    models = [str(mine), "testcard"]
    async with (
        app_house(tmp_path, canary=OFTEN, models=models) as app,
        first_card(app) as canary,
    ):
        assert canary.fault is None
        app.beat.beat()
        assert "canary_missed" not in (app.beat._said or ())


async def test_it_is_about_no_stream_and_goes_nowhere(tmp_path: Path) -> None:
    """No watch, no verdict, no action: nothing of it can be published."""
    assert not is_stream_id(CANARY)
    async with app_house(tmp_path, canary=OFTEN) as app, first_card(app):
        assert len(app.streams) == 0
        assert app.publisher.health().undelivered == 0
        counted = app.factory.stats.registry.collect()
        (actions,) = [one for one in counted if one.name == "sidecar_actions"]
        assert actions.samples == []


async def test_readiness_and_status_tell(tmp_path: Path) -> None:
    """A model that does not know the card: the score is told, the sidecar unready."""
    high = {**OFTEN, "min_score": 1.0}
    async with app_house(tmp_path, canary=high) as app, first_card(app) as canary:
        assert "for sexual.explicit instead of 1 or more" in str(canary.fault)
        app.beat.started()
        assert "canary_missed" in (app.beat._said or ())


async def test_an_alarm_lasts_until_the_card_is_seen(
    decoders: ThreadPoolExecutor,
) -> None:
    """Logged each time it is missed, and once when it is seen again; counted."""
    house = House(decoders)
    async with house.served() as canary:
        faults = [canary.fault]
        with capture_logs() as logs:
            house.engine.errors = [EngineError("the engine is out")]
            await canary.send()
            faults.append(canary.fault)
            await canary.send()
            faults.append(canary.fault)
    assert faults == [None, "the engine is out", None]
    told = [e["event"] for e in logs if e["event"].startswith("canary")]
    assert told == ["canary_missed", "canary_seen_again"]
    assert (house.count("seen"), house.count("missed")) == (2, 1)


async def test_an_engine_that_does_not_answer_is_noticed(
    decoders: ThreadPoolExecutor,
) -> None:
    """After the time-out the alarm says so, and the next card is sent in its turn."""
    house = House(decoders, timeout_s=0.05)
    house.engine.gate.clear()
    async with house.served() as canary:
        assert canary.fault == "no answer within 0.05 s"
        house.engine.gate.set()


async def test_models_that_know_no_card_are_not_asked(
    decoders: ThreadPoolExecutor,
) -> None:
    """After an exchange for such models an alarm would never end."""
    house = House(decoders, name="another")
    async with house.served() as canary:
        assert canary.fault is None
    assert house.count("seen") + house.count("missed") == 0
