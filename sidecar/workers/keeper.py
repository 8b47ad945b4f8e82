"""One worker process's life after the other: start it, hear it, start it again."""

import asyncio
import sys
from dataclasses import dataclass
from typing import Final

from sidecar import __version__
from sidecar.clock import Clock
from sidecar.domain import Formats
from sidecar.log import get_logger
from sidecar.stats import Stats
from sidecar.workers.block import BlockFull, Plan
from sidecar.workers.borrowing import Borrowing
from sidecar.workers.codec import VERSION, WireError
from sidecar.workers.messages import Hello, Setup
from sidecar.workers.pool import Pool
from sidecar.workers.process import Process, started
from sidecar.workers.worker import Worker

log = get_logger(__name__)

COMMAND: Final = (sys.executable, "-m", "sidecar.workers")


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """How patient a keeper is.

    Attributes:
        start_s: From the start of the process to its first word, whole seconds.
        silent_s: A worker not heard for so many seconds is killed; it beats each one.
        stable_s: Who lived this long is started again at once.
        failing_after: So many shorter lives in a row are reported as a fault.
        first_wait_s: After the first of them; each further wait is twice as long.
        longest_wait_s: No wait grows beyond this.
        command: Starts it; the descriptors of control and memory are appended.
    """

    start_s: int = 20
    silent_s: int = 5
    stable_s: float = 10.0
    failing_after: int = 3
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    command: tuple[str, ...] = COMMAND

    def wait_s(self, short_lives: int) -> float:
        """Until the next start, after so many short lives in a row."""
        if not short_lives:
            return 0.0
        grown: float = self.first_wait_s * 2.0 ** min(short_lives - 1, 32)
        return min(self.longest_wait_s, grown)


class Keeper:
    """Keeps one of the pool's workers running.

    Args:
        pool: Told of its coming and going.
        setup: Its first message.
        formats: What the models want to see now.
        clock: How long it lived.
        stats: Counts its ends, and what it counts.
        settings: How patient to be.
    """

    def __init__(
        self,
        pool: Pool,
        setup: Setup,
        formats: Formats,
        clock: Clock,
        stats: Stats,
        settings: KeeperSettings | None = None,
    ) -> None:
        self._pool = pool
        self._setup = setup
        self._formats = formats
        self._clock = clock
        self._stats = stats
        self._settings = settings or KeeperSettings()
        self._short_lives = 0

    @property
    def name(self) -> str:
        """The worker's."""
        return self._setup.worker

    async def run(self) -> None:
        """Until cancelled; then the worker is told to stop, and gone on return."""
        while True:
            self._pool.starts(self.name)
            began = self._clock.monotonic()
            why = await self._life()
            lived_s = self._clock.monotonic() - began
            short = lived_s < self._settings.stable_s
            self._short_lives = self._short_lives + 1 if short else 0
            self._stats.worker_losses.labels(self.name).inc()
            self._say_failing(why)
            wait_s = self._settings.wait_s(self._short_lives)
            if wait_s <= self._settings.first_wait_s:
                self._pool.starts(self.name)  # as good as: streams may wait for it
            await asyncio.sleep(wait_s)

    def _say_failing(self, why: str) -> None:
        if self._short_lives < self._settings.failing_after:
            return
        if self._short_lives == self._settings.failing_after:
            log.error("worker_failing", worker=self.name, reason=why)
        self._pool.fails(self.name)

    async def _life(self) -> str:
        """One process, from its start to its end; why it ended."""
        plan = Plan(self._formats(), self._setup.slots)
        why = "it ended"
        process: Process | None = None
        try:
            async with started(self._settings.command, plan) as process:
                try:
                    await self._serve(process, plan)
                except (WireError, BlockFull) as exc:
                    why = str(exc)
                    process.kill()  # who has lost its mind is not asked to leave
                finally:
                    self._pool.loses(self.name, f"worker {self.name} is gone")
        except OSError as exc:
            why = f"no process could be started: {exc.strerror or exc}"
            self._pool.loses(self.name, why)
        code = None if process is None else process.exit_code
        log.error("worker_lost", worker=self.name, reason=why, exit_code=code)
        return why

    async def _serve(self, process: Process, plan: Plan) -> None:
        """Hears the worker until it is gone. Raises WireError, BlockFull."""
        settings, channel = self._settings, process.channel
        process.guard(settings.start_s)
        hello = await channel.receive()
        if hello is None:
            return
        if not isinstance(hello, Hello):
            raise WireError(f"its first word was {hello.kind}")
        if (hello.version, hello.release) != (VERSION, __version__):
            raise WireError(
                f"it is release {hello.release} and this is {__version__}: the files "
                "were replaced while it ran; restart the sidecar"
            )
        channel.send(self._setup)
        process.guard(settings.silent_s)
        pictures = Borrowing(process.block, plan, self._formats)
        worker = Worker(self.name, channel, pictures, self._stats)
        worker.show()
        began = self._clock.monotonic()
        self._pool.joins(worker)
        log.info("worker_running", worker=self.name, pid=process.pid)
        while (message := await channel.receive()) is not None:
            process.heard()
            worker.hear(message)
            worker.show()
            if self._clock.monotonic() - began >= settings.stable_s:
                self._pool.holds(self.name)
