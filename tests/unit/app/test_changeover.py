"""Models are exchanged while streams are watched: whole or not at all, loudly."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sidecar.app.changeover import Changeover, Wish
from sidecar.app.models import Manifests
from sidecar.classify.batcher import Batcher
from sidecar.classify.comparison import Limits
from sidecar.classify.ensemble import Ensemble, Lane
from sidecar.classify.manifest import Manifest, load
from sidecar.classify.roster import Roster
from sidecar.clock import ManualClock
from sidecar.domain import ModelRef, Scores
from sidecar.errors import EngineDead, ManifestError
from sidecar.stats import Stats
from tests.fakes.batcher_bench import AT_ONCE, sample, settle
from tests.fakes.engine import FakeEngine
from tests.fakes.onnx_models import mean_colour_folder

pytestmark = pytest.mark.anyio

OLD = ModelRef("mean-colour", "sha256:old")


def by_model(_: str, scores: Scores) -> frozenset[str]:
    """Disagrees with whoever is another model."""
    return frozenset({scores.model.hash})


class House:
    """A changeover on fake engines; what was loaded is kept."""

    def __init__(self) -> None:
        self.stats = Stats()
        self.engines: list[FakeEngine] = []
        self.tended = 0
        self.trouble: ManifestError | None = None
        self.loading = asyncio.Event()
        self.loading.set()
        first = self._ensemble(OLD)
        self.changeover = Changeover(
            Roster(first), self.load, by_model, self.stats, grace_s=0.0
        )
        self.taken = 0

    async def load(self, manifests: Manifests) -> Ensemble:
        """A fake of that name and hash."""
        await self.loading.wait()
        if self.trouble is not None:
            raise self.trouble
        return self._ensemble(manifests[0].ref)

    def _ensemble(self, ref: ModelRef) -> Ensemble:
        engine = FakeEngine(ref=ref)
        self.engines.append(engine)
        batcher = Batcher(engine, AT_ONCE, ManualClock(), self.stats)
        return Ensemble([Lane(engine, batcher, tend=self._tend)])

    async def _tend(self) -> None:
        self.tended += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.tended -= 1

    def wish(self, manifest: Manifest, limits: Limits, *, agree: bool = True) -> Wish:
        """That this model takes over."""
        return Wish((manifest,), limits, by_old if agree else by_model, self._taken)

    def _taken(self) -> None:
        self.taken += 1

    async def ask(self, count: int) -> list[ModelRef]:
        """Samples one after the other; who answered them."""
        found = []
        for _ in range(count):
            found.append((await self.changeover.roster.classify(sample())).model)
            await settle()
        return found

    def count(self, outcome: str) -> float:
        """Swaps by outcome."""
        name = "sidecar_model_swaps_total"
        return self.stats.registry.get_sample_value(name, {"outcome": outcome}) or 0


def by_old(_: str, scores: Scores) -> frozenset[str]:
    """Says what the old model would, of any model's scores."""
    assert scores.models
    return frozenset({OLD.hash})


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Of the model that is to take over."""
    return load(mean_colour_folder(tmp_path / "new"))


@asynccontextmanager
async def opened(house: House) -> AsyncIterator[None]:
    """The running model is served; all ends at the end."""
    async with asyncio.TaskGroup() as group:

        def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            return group.create_task(work, name=name)

        house.changeover.open(spawn)
        await settle()
        try:
            yield
        finally:
            await house.changeover.drain()
            await house.changeover.close()
    assert house.tended == 0
    assert all(engine.closed for engine in house.engines)


async def test_a_new_model_looks_on_and_takes_over(manifest: Manifest) -> None:
    """After so many samples it decides; the old one is ended; figures are logged."""
    house = House()
    async with opened(house):
        with capture_logs() as logs:
            task = house.changeover.wish(house.wish(manifest, Limits(samples=3)))
            await settle()
            assert house.changeover.shadow is not None
            assert await house.ask(3) == [OLD] * 3
            assert task is not None
            await task
            await settle()
        assert await house.ask(1) == [manifest.ref]
        assert (house.taken, house.changeover.fault) == (1, None)
        assert house.engines[0].closed
        (line,) = [entry for entry in logs if entry["event"] == "model_swapped"]
        assert line["models"] == {manifest.name: manifest.ref.hash}
        assert (line["samples"], line["disagreements"]) == (3, 0)
    assert house.count("swapped") == 1


async def test_one_that_disagrees_is_refused(manifest: Manifest) -> None:
    """The old one goes on, and the fault tells the key to turn."""
    house = House()
    async with opened(house):
        wish = house.wish(manifest, Limits(samples=2), agree=False)
        task = house.changeover.wish(wish)
        await settle()
        await house.ask(2)
        assert task is not None
        await task
        assert await house.ask(1) == [OLD]
        assert "swap.max_disagreement" in str(house.changeover.fault)
        assert house.taken == 0
        assert house.engines[1].closed
    assert house.count("refused") == 1


async def test_too_few_samples_in_time_are_an_objection(manifest: Manifest) -> None:
    """A quiet sidecar does not swap blindly; it says what to lower."""
    house = House()
    async with opened(house):
        task = house.changeover.wish(house.wish(manifest, Limits(within_s=0.01)))
        assert task is not None
        await task
        assert "lower swap.samples" in str(house.changeover.fault)


async def test_one_that_cannot_be_loaded_changes_nothing(manifest: Manifest) -> None:
    """The old model goes on and the reason is kept for the status."""
    house = House()
    async with opened(house):
        house.trouble = ManifestError("the file is broken")
        task = house.changeover.wish(house.wish(manifest, Limits(samples=0)))
        assert task is not None
        await task
        faults = [house.changeover.fault]
        assert await house.ask(1) == [OLD]
        house.changeover.cancel()
        faults.append(house.changeover.fault)
        assert faults == ["the file is broken", None]
    assert house.count("failed") == 1


async def test_one_that_dies_looking_on_harms_nobody(manifest: Manifest) -> None:
    """It is refused by name; the process and the running model live on."""
    house = House()
    async with opened(house):
        task = house.changeover.wish(house.wish(manifest, Limits(samples=5)))
        await settle()
        house.engines[1].errors = [EngineDead("out of memory")]
        assert await house.ask(1) == [OLD]
        assert task is not None
        await task
        assert "mean-colour died: out of memory" in str(house.changeover.fault)
        assert await house.ask(1) == [OLD]


async def test_a_running_model_that_dies_ends_the_process(manifest: Manifest) -> None:
    """Nobody is left hanging behind a green health check; also after a swap."""
    house = House()
    with pytest.raises(BaseExceptionGroup) as caught:
        await _swapped_then_dead(house, house.wish(manifest, Limits(samples=0)))
    assert caught.group_contains(EngineDead)


async def _swapped_then_dead(house: House, wish: Wish) -> None:
    async with opened(house):
        task = house.changeover.wish(wish)
        assert task is not None
        await task
        house.engines[1].errors = [EngineDead("out of memory")]
        with pytest.raises(EngineDead):
            await house.ask(1)
        await asyncio.Event().wait()  # the end of its queue's task ends this


async def test_the_newest_wish_is_granted(manifest: Manifest, tmp_path: Path) -> None:
    """One that is being tried gives way, and is ended."""
    house = House()
    folder = mean_colour_folder(tmp_path / "newest", name="newest")
    newest = await asyncio.to_thread(load, folder)
    async with opened(house):
        house.changeover.wish(house.wish(manifest, Limits(samples=5)))
        await settle()
        task = house.changeover.wish(house.wish(newest, Limits(samples=0)))
        assert task is not None
        await task
        await settle()
        assert await house.ask(1) == [newest.ref]
        assert [engine.closed for engine in house.engines] == [True, True, False]


async def test_a_stop_drops_the_wish(manifest: Manifest) -> None:
    """Whatever is being loaded or tried ends with the rest; none is begun any more."""
    house = House()
    async with opened(house):
        house.loading.clear()
        house.changeover.wish(house.wish(manifest, Limits(samples=5)))
        await settle()
    assert house.changeover.wish(house.wish(manifest, Limits())) is None
