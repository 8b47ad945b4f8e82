"""How a batch is begun: by a call, whose end comes as a call, without a task.

An engine that waits for others (a server) is a coroutine, and needs a task a batch.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from sidecar.classify.engine import Engine
from sidecar.classify.lane import Rows
from sidecar.domain import Picture
from sidecar.errors import EngineError

Leave = Callable[[], object]
"""Nobody waits for that batch any more; its end may still be told."""


class Done(Protocol):
    """Told by the loop, once, after `begin` has returned."""

    def __call__(self, rows: Rows | None, error: BaseException | None) -> None:
        """`rows` as `Engine.infer` returns them, or what it raises."""


@runtime_checkable
class Begins(Protocol):
    """What an engine may do besides `infer`, which costs several turns of the loop."""

    def begin(self, batch: Sequence[Picture], done: Done) -> Leave:
        """As `Engine.infer`; never raises."""
        ...


class BatchTasks:
    """`begin` for an engine that has only `infer`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[Rows]] = set()

    def begin(self, batch: Sequence[Picture], done: Done) -> Leave:
        """See `Begins`."""
        work = self._engine.infer(batch)
        name = f"batch-{self._engine.ref.name}"
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, done))
        return task.cancel

    async def close(self) -> None:
        """Returns once those that were left have ended."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, done: Done, task: "asyncio.Task[Rows]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            done(None, EngineError("the batch was cancelled"))
        else:
            error = task.exception()
            done(None if error else task.result(), error)
