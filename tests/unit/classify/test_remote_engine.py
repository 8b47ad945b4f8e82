"""Batches that are run elsewhere: another server takes over, and outages are shown."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from sidecar.classify.breaker import BreakerSettings
from sidecar.classify.endpoint import Proof, RemoteModel
from sidecar.classify.fallback import Fallback
from sidecar.classify.manifest import Manifest, load
from sidecar.classify.remote_engine import RemoteEngine, RemoteSettings
from sidecar.classify.served import Served, TensorFacts
from sidecar.clock import ManualClock
from sidecar.domain import ModelRef, Picture
from sidecar.errors import EndpointError, EngineDead, EngineError, ManifestError
from sidecar.stats import Stats
from tests.fakes.engine import FakeEngine
from tests.fakes.oip import FACTS, NAME, MemoryServer
from tests.fakes.onnx_models import mean_colour_folder

pytestmark = pytest.mark.anyio

SETTINGS = RemoteSettings(
    timeout_s=5.0, breaker=BreakerSettings(failures=2, rest_s=1.0, longest_rest_s=4.0)
)
DOWN = EndpointError("http://a:1", "connection refused")


def plain(*rgb: int) -> Picture:
    """A picture of one colour."""
    return np.full((8, 8, 3), rgb, np.uint8)


RED, BLUE = plain(255, 0, 0), plain(0, 0, 255)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Of the net that looks at the mean colour."""
    return load(mean_colour_folder(tmp_path / "m"))


class House:
    """An engine with two servers in memory and a clock held still."""

    def __init__(
        self,
        manifest: Manifest,
        settings: RemoteSettings = SETTINGS,
        proof: Proof | None = None,
    ) -> None:
        self.stats = Stats()
        self.clock = ManualClock()
        self.a, self.b = MemoryServer("http://a:1"), MemoryServer("grpc://b:2")
        self.engine = RemoteEngine(
            RemoteModel(manifest, Served(NAME), proof),
            [self.a, self.b],
            settings,
            self.clock,
            self.stats,
        )

    async def top(self, *batch: Picture) -> list[int]:
        """The winning label of each picture."""
        found = await self.engine.infer(batch)
        return [int(column) for column in found.argmax(axis=1)]

    def count(self, outcome: str) -> float:
        """Batches by outcome."""
        name = "sidecar_remote_batches_total"
        return self.stats.registry.get_sample_value(name, {"outcome": outcome}) or 0

    def up(self) -> float:
        """Servers that are up, as shown."""
        name = "sidecar_remote_endpoints"
        return self.stats.registry.get_sample_value(name, {"state": "up"}) or 0


async def test_servers_share_the_batches(manifest: Manifest) -> None:
    """In turn, each batch to one of them."""
    house = House(manifest)
    await house.engine.open()
    for _ in range(4):
        assert await house.top(RED, BLUE) == [0, 2]
    assert (house.a.asked, house.b.asked) == ([2, 2], [2, 2])
    assert (house.count("answered"), house.up()) == (4, 2)


async def test_the_next_one_gets_a_batch_that_failed(manifest: Manifest) -> None:
    """The sample is answered all the same; after two failures one is left alone."""
    house = House(manifest)
    await house.engine.open()
    house.a.error = DOWN
    with capture_logs() as logs:
        for _ in range(8):
            assert await house.top(BLUE) == [2]
    assert len(house.a.asked) == 2
    assert (house.count("retried"), house.count("answered")) == (2, 6)
    (line,) = logs
    assert (line["event"], line["url"]) == ("remote_endpoint_down", "http://a:1")
    assert house.up() == 1
    assert house.engine.ready


async def test_when_none_answers_the_batch_fails_and_the_engine_lives(
    manifest: Manifest,
) -> None:
    """EngineError, so UNKNOWN; at once when all are left alone; never EngineDead."""
    house = House(manifest)
    await house.engine.open()
    house.a.error = house.b.error = DOWN
    for _ in range(5):
        with pytest.raises(EngineError, match="no server answered") as caught:
            await house.top(RED)
        assert not isinstance(caught.value, EngineDead)
    assert len(house.a.asked) + len(house.b.asked) == 4
    assert (house.count("failed"), house.engine.ready) == (5, False)
    assert house.engine.alive


async def test_one_that_recovers_is_trusted_again(manifest: Manifest) -> None:
    """Asked after its rest, vetted anew, and said."""
    house = House(manifest)
    await house.engine.open()
    house.a.error = house.b.error = DOWN
    for _ in range(2):
        with pytest.raises(EngineError):
            await house.top(RED)
    house.a.error = None
    await house.engine.probe()  # too early
    assert not house.engine.ready
    house.clock.advance(1.0)
    with capture_logs() as logs:
        await house.engine.probe()
    assert [entry["event"] for entry in logs] == ["remote_endpoint_up"]
    assert await house.top(RED) == [0]
    house.b.error = None
    house.clock.advance(1.0)
    await house.engine.probe()  # still resting: it was found broken a second time
    assert house.up() == 1
    house.clock.advance(1.0)
    await house.engine.probe()
    assert house.up() == 2


async def test_silence_is_a_failure(manifest: Manifest) -> None:
    """A server that hangs costs one time-out a batch, then none."""
    house = House(manifest, replace(SETTINGS, timeout_s=0.02))
    await house.engine.open()
    house.a.slow = asyncio.Event()
    for _ in range(6):
        assert await house.top(BLUE) == [2]
    assert len(house.a.asked) == 2
    house.clock.advance(1.0)
    await house.engine.probe()  # it does not say how it is, either
    assert house.up() == 1


async def test_readiness_is_asked_for_without_traffic(manifest: Manifest) -> None:
    """A server that says it is not ready is left alone before a batch finds out."""
    house = House(manifest)
    await house.engine.open()
    house.a.is_ready = False
    for _ in range(2):
        await house.engine.probe()
    assert house.up() == 1
    for _ in range(3):
        await house.top(RED)
    assert house.a.asked == []


async def test_one_that_is_down_at_the_start_is_asked_later(manifest: Manifest) -> None:
    """A pool that starts with us is no fault of the configuration."""
    house = House(manifest)
    house.a.error = house.b.error = DOWN
    with capture_logs() as logs:
        await house.engine.open()
    assert [entry["event"] for entry in logs] == ["remote_endpoint_down"] * 2
    with pytest.raises(EngineError, match="all servers are left alone"):
        await house.top(RED)
    house.a.error = house.b.error = None
    await house.engine.probe()
    assert await house.top(RED) == [0]


async def test_another_model_is_a_fault_at_the_start(manifest: Manifest) -> None:
    """The error names the server and what to mend."""
    house = House(manifest)
    wrong = TensorFacts("x", "FP32", (-1, 8, 8, 3))
    house.b.facts_ = replace(FACTS, inputs=(wrong,))
    with pytest.raises(ManifestError) as caught:
        await house.engine.open()
    (fault,) = caught.value.faults
    assert fault.startswith("grpc://b:2: model 'mean-colour': input 'x' is FP32")


async def test_one_that_comes_back_with_another_model_is_not_trusted(
    manifest: Manifest,
) -> None:
    """It is left alone, loudly, while the other one goes on."""
    house = House(manifest)
    await house.engine.open()
    house.a.error = DOWN
    for _ in range(4):
        await house.top(RED)
    house.a.error = None
    house.a.facts_ = replace(FACTS, outputs=())
    house.clock.advance(1.0)
    with capture_logs() as logs:
        await house.engine.probe()
    assert [entry["event"] for entry in logs] == ["remote_model_differs"]
    house.a.asked.clear()
    assert await house.top(RED) == [0]
    assert house.a.asked == []


async def test_scores_have_to_be_those_of_the_file(manifest: Manifest) -> None:
    """A name and a shape prove nothing: the same pictures are scored here and there."""
    local = FakeEngine()
    rows: NDArray[np.float32] = await local.infer([RED, BLUE])
    proof = Proof((RED, BLUE), rows)
    house = House(manifest, proof=proof)
    await house.engine.open()
    assert house.up() == 2
    other = House(manifest, proof=proof)
    other.b.skew = 0.5
    with pytest.raises(ManifestError, match=r"off by 0\.\d+ from those of sha256:"):
        await other.engine.open()


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        (np.zeros((1, 4), np.float32), r"shape \(1, 4\) instead of \(1, 3\)"),
        (np.full((1, 3), np.nan, np.float32), "not finite numbers"),
    ],
)
async def test_what_is_no_score_is_a_failure(
    manifest: Manifest, odd: NDArray[np.float32], told: str
) -> None:
    """Of another shape, or no number: nobody decides by it."""
    house = House(manifest)
    await house.engine.open()
    house.a.odd = house.b.odd = odd
    with pytest.raises(EngineError, match=told):
        await house.top(RED)


async def test_closing_lets_go_of_all(manifest: Manifest) -> None:
    """Twice is once; no batch after it; `tend` is a task that only ends by force."""
    house = House(manifest, replace(SETTINGS, probe_s=0.0))
    await house.engine.open()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(house.engine.tend())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
    await house.engine.aclose()
    await house.engine.aclose()
    assert (house.a.closed, house.b.closed, house.engine.alive) == (True, True, False)
    with pytest.raises(EngineDead):
        await house.top(RED)


def local_of(engine: RemoteEngine) -> FakeEngine:
    """The same model here."""
    return FakeEngine(ref=engine.ref, fmt=engine.fmt, max_batch_size=3)


async def test_the_local_model_answers_when_no_server_does(manifest: Manifest) -> None:
    """Same file, same hash; said when it begins and ends, and counted."""
    house = House(manifest)
    await house.engine.open()
    local = local_of(house.engine)
    both = Fallback(house.engine, local, house.stats)
    assert (both.ref, both.max_batch_size, both.concurrency) == (manifest.ref, 3, 2)
    assert both.fmt == manifest.format
    assert both.categories == manifest.categories
    with capture_logs() as logs:
        await both.infer([RED])
        house.a.error = house.b.error = DOWN
        for _ in range(4):
            assert int((await both.infer([BLUE]))[0].argmax()) == 2
        house.a.error = None
        house.clock.advance(1.0)
        await house.engine.probe()
        await both.infer([RED])
    told = [entry["event"] for entry in logs]
    assert told.count("remote_fallback") == 1
    assert told[-1] == "remote_answers_again"
    assert local.sizes == [1] * 4
    assert house.count("fallback") == 4
    alive = [both.alive]
    both.close()
    assert [*alive, both.alive, local.closed] == [True, False, True]


async def test_a_local_model_that_fails_too_is_the_answer(manifest: Manifest) -> None:
    """No server and no local one: the sample was not seen."""
    house = House(manifest)
    local = local_of(house.engine)
    local.errors = [EngineError("out of memory")]
    with pytest.raises(EngineError, match="out of memory"):
        await Fallback(house.engine, local, house.stats).infer([RED])


def test_another_model_is_no_fallback(manifest: Manifest) -> None:
    """Its scores would carry the wrong hash."""
    house = House(manifest)
    other = ModelRef("other", "sha256:1")
    with pytest.raises(ValueError, match="other"):
        Fallback(house.engine, FakeEngine(ref=other), house.stats)
