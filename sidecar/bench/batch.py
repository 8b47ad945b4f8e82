"""`sidecar bench batch`: what the stage around the model costs, beside the bare model.

The same session, batch and threads in one run. Bare and stage take turns, so that a
noisy minute spoils both alike; what is told are medians.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from sidecar.bench.batch_rows import ModelRow, PacedRow
from sidecar.bench.batch_stage import Stage
from sidecar.bench.random_model import NAME, write_resnet50
from sidecar.classify import calibration, graph
from sidecar.classify.manifest import Manifest, load
from sidecar.classify.onnx_session import EngineSettings
from sidecar.classify.planner import PlannerSettings

RATES: Final = (10.0, 50.0)
_ROOM: Final = 0.8  # a pace beyond it measures the queue, not the stage
_WARM_S: Final = 0.3
_PACED_ROUNDS: Final = 5

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BatchBench:
    """How it is measured.

    Attributes:
        engine: Threads and callers that are None are calibrated, as in production.
        planner: Of the stage.
        seconds: Of each round, and of each pace.
        rounds: Bare and stage in turn, so often; at a pace five times at most.
        rates: Samples a second of the paced runs.
    """

    engine: EngineSettings
    planner: PlannerSettings
    seconds: float = 2.0
    rounds: int = 7
    rates: tuple[float, ...] = RATES


async def bench_batch(
    manifests: Sequence[Manifest], settings: BatchBench, tell: Tell
) -> list[ModelRow]:
    """One row a model, one model after the other."""
    return [await bench_model(manifest, settings, tell) for manifest in manifests]


async def bench_model(manifest: Manifest, settings: BatchBench, tell: Tell) -> ModelRow:
    """All figures of one model."""
    session = await asyncio.to_thread(
        lambda: calibration.best_session(
            manifest, settings.engine, graph.prepare(manifest)
        )
    )
    layout = session.layout
    tell(f"{manifest.name}: {layout.callers} callers of {layout.threads} threads")
    stage = Stage(session, settings.planner)
    async with stage.running():
        bare, whole = await _in_turn(stage, settings)
        capacity = median(whole)
        tell(f"{manifest.name}: bare {median(bare):.0f}/s, stage {capacity:.0f}/s")
        half = await _paced(stage, capacity / 2, capacity, settings)
        paced = [
            await _paced(stage, rate, capacity, settings) for rate in settings.rates
        ]
    return ModelRow(
        model=manifest.name,
        provider=session.got.provider,
        batch=settings.planner.max_batch_size,
        threads=layout.threads,
        callers=layout.callers,
        bare=tuple(bare),
        stage=tuple(whole),
        paced=tuple(paced),
        half_load=half,
    )


async def _in_turn(
    stage: Stage, settings: BatchBench
) -> tuple[list[float], list[float]]:
    """Bare, stage, stage, bare …: neither always comes first."""
    seconds = settings.seconds
    bare: list[float] = []
    whole: list[float] = []
    await stage.saturated(_WARM_S)
    for number in range(settings.rounds):
        turns = ("bare", "stage") if number % 2 else ("stage", "bare")
        for turn in turns:
            if turn == "stage":
                whole.append(await stage.saturated(seconds))
            else:
                bare.append(await asyncio.to_thread(stage.bare_saturated, seconds))
    return bare, whole


async def _paced(
    stage: Stage, rate: float, capacity: float, settings: BatchBench
) -> PacedRow:
    """Both at one pace, in turn, if the model can keep it."""
    rate = round(rate, 1)
    if rate > _ROOM * capacity:
        return PacedRow(rate)
    rounds = []
    for number in range(min(settings.rounds, _PACED_ROUNDS)):
        if number % 2:
            bare = await stage.bare_paced(rate, settings.seconds)
            paced = await stage.paced(rate, settings.seconds)
        else:
            paced = await stage.paced(rate, settings.seconds)
            bare = await stage.bare_paced(rate, settings.seconds)
        rounds.append((paced, bare))
    return PacedRow(rate, tuple(rounds))


class RandomModel:
    """The ResNet-50-shaped model, written for as long as it is needed."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(prefix="sidecar-bench-")

    def __enter__(self) -> Manifest:
        return load(write_resnet50(Path(self._folder.name) / NAME))

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()
