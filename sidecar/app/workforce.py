"""Where streams are received and sampled: here, or in workers to be kept running."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from sidecar.app.intake import InProcess, Intake, InWorkers
from sidecar.app.stages import ice_settings, picture_arena
from sidecar.classify.cores import usable_cores
from sidecar.clock import Clock
from sidecar.config import Config
from sidecar.domain import Formats
from sidecar.stats import Stats
from sidecar.workers.keeper import Keeper
from sidecar.workers.messages import Setup
from sidecar.workers.pool import Pool

_DECODERS: Final = 2  # threads a worker: one slow picture does not hold up all others


@dataclass(frozen=True, slots=True)
class Workforce:
    """What receives and samples.

    Attributes:
        intake: For the streams.
        decoders: Threads of this process to decode in.
        pool: The workers; None if all is done in this process.
        keepers: One for each worker, to be run.
    """

    intake: Intake
    decoders: ThreadPoolExecutor
    pool: Pool | None = None
    keepers: tuple[Keeper, ...] = ()


async def open_workforce(
    config: Config,
    formats: Formats,
    stack: AsyncExitStack,
    clock: Clock,
    stats: Stats,
) -> Workforce:
    """As the configuration says; `stack` closes what is in this process."""
    cores = await asyncio.to_thread(usable_cores)
    count = worker_count(config, cores)
    threads = max(_DECODERS, cores if count == 1 else 0)
    decoders = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    stack.push_async_callback(asyncio.to_thread, decoders.shutdown)
    if count == 1:
        arena = picture_arena(config.batch, formats()[0])
        here = InProcess(formats()[0], decoders, clock, stats, arena, formats)
        return Workforce(here, decoders)
    pool = Pool(tuple(f"w{number}" for number in range(1, count + 1)), stats)
    keepers = tuple(
        Keeper(pool, _setup(config, name), formats, clock, stats) for name in pool.names
    )
    return Workforce(InWorkers(pool, clock, stats), decoders, pool, keepers)


def worker_count(config: Config, cores: int) -> int:
    """How many processes receive streams; 1: this one, without a worker.

    `auto` leaves the engine its cores: it is busy when there are many streams. Where it
    is to find out itself how many it needs, one.
    """
    if config.ingest.workers == "auto":
        if sys.platform != "linux":  # memfd_create, prctl
            return 1
        return max(1, cores - config.engine.cores_set)
    return config.ingest.workers


def _setup(config: Config, name: str) -> Setup:
    # As many as may wait for a batch, with two batches on their way and two decoded.
    near = 4 * config.batch.most
    return Setup(
        worker=name,
        log_format=config.log.format,
        log_level=config.log.level,
        slots=config.batch.capacity + near,
        near=near,
        decoders=_DECODERS,
        ice=ice_settings(config.webrtc),
        packet_timeout_s=config.webrtc.packet_timeout_s,
    )
