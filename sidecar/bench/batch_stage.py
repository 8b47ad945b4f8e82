"""The whole classify stage, fed as fast as it goes or evenly; and the bare session."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.arena import PictureArena, PictureSlots, slot_of
from sidecar.bench.batch_rows import Pace
from sidecar.classify.batcher import Batcher
from sidecar.classify.calibration import throughput
from sidecar.classify.inference_thread import InferenceThreads
from sidecar.classify.lane import Rows
from sidecar.classify.onnx_engine import OnnxEngine
from sidecar.classify.onnx_session import OnnxSession
from sidecar.classify.planner import PlannerSettings
from sidecar.clock import SystemClock
from sidecar.domain import Picture, Sample
from sidecar.stats import Stats

_SEED: Final = 4
_TICK_S: Final = 0.001
_STREAMS: Final = 32  # of a paced stage


class TimedSession:
    """A session that notes how long `run` took for the picture in each slot."""

    def __init__(self, session: OnnxSession) -> None:
        self._session = session
        self.took_s: dict[int, float] = {}

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def raw(self, batch: Sequence[Picture]) -> Rows:
        """See `OnnxSession.raw`."""
        began = time.perf_counter()
        rows = self._session.raw(batch)
        took_s = time.perf_counter() - began
        for picture in batch:
            self.took_s[slot_of(picture)] = took_s
        return rows


class Stage:
    """One model with its queue, its threads and its arena.

    Args:
        session: Loaded and warmed up.
        planner: As in production.
    """

    def __init__(self, session: OnnxSession, planner: PlannerSettings) -> None:
        self.session = session
        self.planner = planner
        self._timed = TimedSession(session)
        callers = session.layout.callers
        threads = InferenceThreads(f"inference-{session.manifest.name}", callers)
        self.engine = OnnxEngine(self._timed, threads, timeout_s=60.0)  # type: ignore[arg-type]
        self._clock = SystemClock()
        self._batcher = Batcher(self.engine, planner, self._clock, Stats())
        # One batch on each thread, one ready, one collecting.
        self._feeders = planner.max_batch_size * (callers + 2)
        slots = PictureSlots(session.manifest.format, 4 * self._feeders)
        noise = np.random.default_rng(_SEED).integers(0, 256, slots.array.shape)
        slots.array[:] = noise
        self.arena = PictureArena(slots)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves while the block runs."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._batcher.run(), name="bench-batcher")
            try:
                yield
            finally:
                await self._batcher.drain()
                await asyncio.to_thread(self.engine.close)

    async def saturated(self, seconds: float) -> float:
        """Samples a second, with always more of them than the engine can take."""
        done = 0
        began = time.perf_counter()
        until = began + seconds

        async def feed(stream: str) -> None:
            nonlocal done
            while True:
                await self.one(stream)
                done += 1
                if time.perf_counter() >= until:
                    return

        async with asyncio.TaskGroup() as group:
            for number in range(self._feeders):
                group.create_task(feed(f"s{number}"), name=f"feed-{number}")
        return done / (time.perf_counter() - began)

    async def paced(self, rate: float, seconds: float) -> Pace:
        """Samples evenly spread over time, by streams that take turns.

        As live: a stream is a task that waits for its sample's scores. One whose next
        sample is due meanwhile takes it late, which counts as latency.
        """
        found: list[tuple[float, float]] = []
        count = max(2, round(rate * seconds))
        began, cpu_s = time.monotonic(), time.process_time()

        async def stream(first: int) -> None:
            for number in range(first, count, _STREAMS):
                due = began + number / rate
                late_s = time.monotonic() - due
                if late_s < 0:
                    await asyncio.sleep(-late_s)
                    late_s = 0.0
                whole_s, inside_s = await self.one(f"s{first}")
                found.append((late_s + whole_s, inside_s))

        async with asyncio.TaskGroup() as group:
            for first in range(min(count, _STREAMS)):
                group.create_task(stream(first), name=f"stream-{first}")
        cpu_s, seconds = time.process_time() - cpu_s, time.monotonic() - began
        latencies_s, inferences_s = zip(*found, strict=True)
        return Pace(
            rate,
            cpu_s,
            seconds,
            latencies_s,
            inferences_s,
            self.planner.max_queue_delay_s,
        )

    async def bare_paced(self, rate: float, seconds: float) -> Pace:
        """`session.run` on one picture whenever the stage would be given one.

        The same timer paces both: what it costs is no cost of the stage. It blocks the
        loop while it runs. It goes round the pictures as the stage does.
        """
        run = self.session.bare()
        pictures = self.arena.slots.array
        count = max(2, round(rate * seconds))
        began, cpu_s = time.monotonic(), time.process_time()
        for number in range(count):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            at = number % len(pictures)
            run(pictures[at : at + 1])
        cpu_s, seconds = time.process_time() - cpu_s, time.monotonic() - began
        return Pace(rate, cpu_s, seconds)

    def bare_saturated(self, seconds: float) -> float:
        """Samples a second of `session.run` in a loop, round the same pictures."""
        pictures = self.arena.slots.array
        batch = self.planner.max_batch_size
        return bare_throughput(self.session, pictures, batch, seconds)

    async def one(self, stream: str) -> tuple[float, float]:
        """A sample's way through the stage: seconds in all, and within `run`."""
        now = self._clock.monotonic()
        while (picture := self.arena.take()) is None:  # noqa: ASYNC110 a rare hiccup
            await asyncio.sleep(_TICK_S)
        await self._batcher.classify(Sample(stream, picture, now, now))
        return self._clock.monotonic() - now, self._timed.took_s[slot_of(picture)]


def bare_throughput(
    session: OnnxSession, pictures: NDArray[np.uint8], batch: int, seconds: float
) -> float:
    """Samples a second of `session.run` in a loop, in as many threads as callers.

    `pictures` are `(n, height, width, 3)`, at least a batch, taken in turn.
    """
    run = session.bare()
    turns = itertools.cycle(range(0, len(pictures) - batch + 1, batch))

    def work() -> object:
        at = next(turns)
        return run(pictures[at : at + batch])

    return batch * throughput(work, session.layout.callers, seconds)
