"""A batcher on a fake engine and a clock held still, and its callers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from sidecar.classify.batcher import Batcher
from sidecar.classify.planner import PlannerSettings
from sidecar.clock import ManualClock
from sidecar.domain import Sample, Scores
from sidecar.errors import EngineError
from sidecar.stats import Stats
from tests.fakes.engine import FakeEngine

FULL_ONLY = PlannerSettings(max_batch_size=4, max_queue_delay_s=60.0, max_age_s=100.0)
AT_ONCE = PlannerSettings(max_batch_size=4, max_queue_delay_s=0.0, max_age_s=100.0)


def sample(stream: str = "s", red: int = 255, captured_at: float = 0.0) -> Sample:
    """A red picture in the fake engine's format."""
    picture = np.full((8, 8, 3), (red, 0, 0), np.uint8)
    return Sample(stream, picture, captured_at, captured_at, 0.25, 0.5)


class Bench:
    """A batcher on a fake engine and a clock held still."""

    def __init__(
        self,
        bounds: PlannerSettings,
        max_errors: int = 3,
        engine: FakeEngine | None = None,
    ) -> None:
        self.engine = engine or FakeEngine()
        self.clock = ManualClock()
        self.stats = Stats()
        self.batcher = Batcher(
            self.engine,
            bounds,
            self.clock,
            self.stats,
            max_consecutive_errors=max_errors,
        )
        self.answers: list[Scores | EngineError] = []

    async def ask(self, one: Sample) -> None:
        """Classifies and notes the answer."""
        try:
            self.answers.append(await self.batcher.classify(one))
        except EngineError as exc:
            self.answers.append(exc)

    def count(self, name: str, **labels: str) -> float:
        """A counter's value."""
        return self.stats.registry.get_sample_value(name, labels) or 0.0

    def outcomes(self) -> dict[str, float]:
        """Samples by outcome."""
        kinds = ("scored", "error", "given_way", "stale")
        name = "sidecar_samples_total"
        return {k: n for k in kinds if (n := self.count(name, outcome=k))}


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[asyncio.TaskGroup]:
    """The batcher's loop, until the block and its callers are done."""
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.batcher.run(), name="batcher")
        async with asyncio.TaskGroup() as callers:
            yield callers
        await bench.batcher.drain()


async def settle() -> None:
    """Lets every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)
