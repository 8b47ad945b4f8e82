"""Two real servers, killed under load: every sample is answered, and says how."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from sidecar.classify.batcher import Batcher
from sidecar.classify.breaker import BreakerSettings
from sidecar.classify.endpoint import RemoteModel
from sidecar.classify.ensemble import Ensemble, Lane
from sidecar.classify.manifest import Manifest, load
from sidecar.classify.oip import Access, connect
from sidecar.classify.planner import PlannerSettings
from sidecar.classify.remote_engine import RemoteEngine, RemoteSettings
from sidecar.classify.served import Served
from sidecar.clock import SystemClock
from sidecar.domain import Category, Sample, Scores
from sidecar.errors import EngineDead, EngineError
from sidecar.stats import Stats
from tests.contract.serving.mlserver import MlServer
from tests.fakes.oip import begin_polling
from tests.fakes.onnx_models import mean_colour_folder

pytestmark = pytest.mark.anyio

CALLERS = 6
SETTINGS = RemoteSettings(
    timeout_s=5.0,
    probe_s=0.2,
    breaker=BreakerSettings(failures=2, rest_s=0.2, longest_rest_s=0.4),
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Of the net that both servers run."""
    begin_polling()
    return load(mean_colour_folder(tmp_path_factory.mktemp("models") / "m"))


@pytest.fixture
def servers(tmp_path: Path, manifest: Manifest) -> Iterator[tuple[MlServer, MlServer]]:
    """One to be asked over HTTP, one over gRPC."""
    made = tuple(MlServer(tmp_path / name, [manifest]) for name in "ab")
    try:
        for server in made:
            server.start()
        yield made[0], made[1]
    finally:
        for server in made:
            server.kill()


class Load:
    """Callers that ask one after the other, all the time; every answer is counted."""

    def __init__(self, manifest: Manifest, urls: tuple[str, str]) -> None:
        self.stats = Stats()
        clock = SystemClock()
        model = RemoteModel(manifest, Served(manifest.name, manifest.version))
        clients = [connect(url, Access()) for url in urls]
        self.engine = RemoteEngine(model, clients, SETTINGS, clock, self.stats)
        bounds = PlannerSettings(max_batch_size=4, max_queue_delay_s=0.005)
        self.batcher = Batcher(self.engine, bounds, clock, self.stats, 10**9)
        self.ensemble = Ensemble([Lane(self.engine, self.batcher)])
        self.asked = 0
        self.answers: Counter[str] = Counter()
        self.news = asyncio.Event()

    async def call(self, name: str) -> None:
        """One stream, for ever."""
        picture = np.full((8, 8, 3), (255, 0, 0), np.uint8)
        clock = SystemClock()
        while True:
            self.asked += 1
            now = clock.monotonic()
            try:
                answer = await self.ensemble.classify(Sample(name, picture, now, now))
            except EngineError as exc:
                dead = isinstance(exc, EngineDead)
                self.answers["dead" if dead else "unknown"] += 1
                await asyncio.sleep(0.01)  # as a sampler waits for its next picture
            else:
                self.answers[_right(answer)] += 1
            self.news.set()

    async def until(self, answer: str, more: int) -> None:
        """Until so many more answers of that kind have come."""
        wanted = self.answers[answer] + more
        while self.answers[answer] < wanted:
            self.news.clear()
            await self.news.wait()

    def batches(self, outcome: str) -> float:
        """As counted."""
        name = "sidecar_remote_batches_total"
        return self.stats.registry.get_sample_value(name, {"outcome": outcome}) or 0


def _right(answer: Scores) -> str:
    """Scored as the file would; anything else would be a lie."""
    high = np.exp(4) / (np.exp(4) + 2)
    red = answer.by_category[Category.VIOLENCE_GRAPHIC].score
    return "scored" if red == pytest.approx(high, abs=1e-4) else "wrong"


@asynccontextmanager
async def under_load(manifest: Manifest, urls: tuple[str, str]) -> AsyncIterator[Load]:
    """Everything runs until the block ends; then nobody may be left waiting."""
    load_ = Load(manifest, urls)
    await load_.engine.open()
    async with asyncio.TaskGroup() as group:
        queue = group.create_task(load_.batcher.run())
        tending = group.create_task(load_.engine.tend())
        callers = [group.create_task(load_.call(f"stream-{n}")) for n in range(CALLERS)]
        yield load_
        for caller in callers:
            caller.cancel()
        tending.cancel()
        await load_.batcher.drain()
        await queue
    await load_.engine.aclose()


async def test_killed_under_load(
    servers: tuple[MlServer, MlServer], manifest: Manifest
) -> None:
    """Failover, then UNKNOWN, then recovery: each sample gets exactly one answer."""
    first, second = servers
    async with under_load(manifest, (first.urls[0], second.urls[1])) as load_:
        await load_.until("scored", 60)
        await asyncio.to_thread(first.kill)
        await load_.until("scored", 60)  # the other one takes over
        assert load_.answers["unknown"] == 0
        assert load_.batches("retried") >= 1
        await asyncio.to_thread(second.kill)
        await load_.until("unknown", 30)
        seen = [(load_.ensemble.failing, load_.ensemble.alive)]
        await asyncio.to_thread(first.start)
        await load_.until("scored", 60)
        await asyncio.to_thread(second.start)
        await load_.until("scored", 60)
        seen.append((load_.ensemble.failing, load_.ensemble.alive))
        assert seen == [(True, True), (False, True)]
        assert load_.answers["wrong"] == load_.answers["dead"] == 0
    assert load_.asked - sum(load_.answers.values()) == CALLERS  # those cut off
