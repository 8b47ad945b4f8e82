"""A video file through the live code, as fast as the machine goes.

Sampler, batcher and pipeline are those of the running sidecar; only the clock, the
threads and the broker are not there.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from random import Random
from typing import Any

from sidecar.app.models import load_manifests
from sidecar.app.spec import Origin, StreamSpec
from sidecar.app.stages import policy_set, sampler_settings
from sidecar.app.streams import Streams
from sidecar.classify.batcher import Batcher
from sidecar.classify.ensemble import Ensemble, Lane
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.classify.planner import PlannerSettings
from sidecar.config import Config
from sidecar.domain import (
    Action,
    ModelRef,
    PolicyRef,
    Scores,
    SourceKind,
    Stream,
    Verdict,
)
from sidecar.ingest.supervisor import SupervisorSettings
from sidecar.pipeline import Pipeline
from sidecar.publish.message import StatusName
from sidecar.publish.owed import Owed
from sidecar.publish.publisher import PublisherHealth
from sidecar.recording.entry import Entry, Notebook
from sidecar.replay.source import ReplayConnector, Watching
from sidecar.replay.virtual import Inline, InlineEngine, VirtualClock, run_virtually
from sidecar.sample.sampler import Sampler
from sidecar.stats import Stats

Take = Callable[[Entry], None]


class Player:
    """Plays files, one after the other; the model is loaded once.

    Args:
        config: Policies, sampling and model.
        seed: Of the jitter; each stream has its own from it.

    Raises:
        ConfigError: The model is not there, or a rule waits for what it never gives.
    """

    def __init__(self, config: Config, seed: int = 0) -> None:
        self._config = config
        self._seed = seed
        self._policies = policy_set(config)
        settings = EngineSettings(threads=1, max_batch_size=1)
        self._engines = [
            InlineEngine(OnnxSession(manifest, settings))
            for manifest in load_manifests(config)
        ]

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """Which models look."""
        return tuple(engine.ref for engine in self._engines)

    def play(self, stream: Stream, path: Path, take: Take, watching: Watching) -> None:
        """Gives every entry of the file to `take`, from 0 s on.

        What is no video is told by an entry as well: UNSEEN, with the reason.
        """
        clock = VirtualClock()
        work = self._run(stream, path, take, watching, clock)
        run_virtually(clock, work, watching.pace)

    async def _run(
        self,
        stream: Stream,
        path: Path,
        take: Take,
        watching: Watching,
        clock: VirtualClock,
    ) -> None:
        stats = Stats()
        planner = PlannerSettings(max_batch_size=1)
        models = Ensemble(
            [Lane(e, Batcher(e, planner, clock, stats)) for e in self._engines]
        )
        owed = Owed(_Nobody(), clock, stats)
        pipeline = Pipeline(models, _Nobody(), owed, clock, stats)
        pipeline.add_onlooker(Notebook(take))
        streams = Streams(pipeline, self._policies, SupervisorSettings(), clock, stats)
        spec = StreamSpec(
            stream,
            ReplayConnector(stream.id, path, clock, stats, watching),
            self._sampler(stream, clock, stats, models),
            Origin.CONFIG,
            reconnect=False,
        )
        async with asyncio.TaskGroup() as group:
            rest = [
                group.create_task(lane.batcher.run(), name="batcher")
                for lane in models.lanes
            ]
            rest.append(group.create_task(streams.run_ticks(), name="ticks"))
            tasks: list[asyncio.Task[None]] = []

            def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
                tasks.append(group.create_task(work, name=name))
                return tasks[-1]

            streams.open(spawn)
            streams.add(spec)
            await asyncio.wait(tasks)
            await streams.close()
            for task in rest:
                task.cancel()

    def _sampler(
        self, stream: Stream, clock: VirtualClock, stats: Stats, models: Ensemble
    ) -> Sampler:
        # Not a secret: the same file is sampled at the same instants each time.
        chance = Random(f"{self._seed}:{stream.id}")  # noqa: S311
        return Sampler(
            stream.id,
            sampler_settings(self._config.sampling_of(stream)),
            models.formats[0],
            Inline(),
            clock,
            stats,
            chance.random,
            formats=lambda: models.formats,
        )


def stream_of(name: str) -> Stream:
    """The stream that a file stands for."""
    return Stream(name, SourceKind.FILE)


class _Nobody:
    """A publisher that nobody listens to."""

    async def open(self) -> None:
        """Nothing has to be ready."""

    async def run(self) -> None:
        """Nothing is delivered."""

    async def publish_action(self, action: Action, stream: Stream) -> str:
        """Takes it."""
        del action, stream
        return "replay"

    def set_verdict(
        self,
        stream: Stream,
        verdict: Verdict | None,
        *,
        policy: PolicyRef | None = None,
        model: ModelRef | None = None,
        models: tuple[ModelRef, ...] = (),
    ) -> None:
        """Nobody asks."""

    def publish_scores(self, scores: Scores) -> None:
        """Nobody asks."""

    def set_status(self, state: StatusName, reasons: Iterable[str] = ()) -> None:
        """Nobody asks."""

    async def drain(self, deadline_s: float) -> int:
        """Nothing is left."""
        del deadline_s
        return 0

    def health(self) -> PublisherHealth:
        """Well."""
        return PublisherHealth(connected=True)
