"""The outbox on a thread of its own, so that the disk never holds up the loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sidecar.clock import Clock
from sidecar.errors import PublishError
from sidecar.publish.outbox import Outbox
from sidecar.publish.settings import OutboxSettings

T = TypeVar("T")


class OutboxThread:
    """Runs calls on the outbox one after the other, in one thread."""

    def __init__(self, settings: OutboxSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._began_at: float | None = None
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._outbox: Outbox | None = None
        self._closed = False

    @property
    def busy_s(self) -> float:
        """For how long the call that is running has been, seconds; 0 if none is."""
        began_at = self._began_at
        if began_at is None:
            return 0.0
        return self._clock.monotonic() - began_at

    async def open(self) -> None:
        """Opens the file. Raises ConfigError; may be called again."""
        if not self._closed:
            await self._run(self._opened)

    async def call(self, use: Callable[[Outbox], T]) -> T:
        """The result of `use` on the outbox.

        Raises:
            ConfigError: at first use, if the file cannot be opened.
            PublishError: the disk fails, or the outbox is closed.
        """
        if self._closed:
            raise PublishError("the outbox is closed")
        return await self._run(lambda: use(self._opened()))

    async def close(self) -> None:
        """Finishes what was begun, lets go of the file and ends the thread."""
        if self._closed:
            return
        self._closed = True
        await self._run(self._let_go)
        self._executor.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._timed, work)

    def _timed(self, work: Callable[[], T]) -> T:
        """In the thread."""
        self._began_at = self._clock.monotonic()
        try:
            return work()
        finally:
            self._began_at = None

    def _opened(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(self._settings.path, self._settings.max_rows)
        return self._outbox

    def _let_go(self) -> None:
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None
