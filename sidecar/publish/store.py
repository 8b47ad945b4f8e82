"""The outbox on a thread of its own, so that the disk never holds up the loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sidecar.errors import PublishError
from sidecar.publish.outbox import Outbox
from sidecar.publish.settings import OutboxSettings

T = TypeVar("T")


class OutboxThread:
    """Runs calls on the outbox one after the other, in one thread."""

    def __init__(self, settings: OutboxSettings) -> None:
        self._settings = settings
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._outbox: Outbox | None = None
        self._closed = False

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
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def _opened(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(self._settings.path, self._settings.max_rows)
        return self._outbox

    def _let_go(self) -> None:
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None
