"""The workers, and who sits where."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sidecar.errors import WorkerLost
from sidecar.log import get_logger
from sidecar.stats import Stats
from sidecar.workers.calls import Close, Request
from sidecar.workers.placement import choose
from sidecar.workers.worker import Worker

log = get_logger(__name__)

_PATIENCE_S: Final = 3.0  # for one that starts, while another runs; it takes about one
_GIVE_UP_S: Final = 10.0
_CLOSE_S: Final = 3.0


@dataclass(slots=True, eq=False)
class Seat:
    """One connection of one stream in a worker, from the sidecar's side.

    Attributes:
        pool: To be told when it is given up.
        worker: Where.
        id: The worker's number for it.
    """

    pool: "Pool"
    worker: Worker
    id: int

    async def call(self, request: Request) -> str | None:
        """See `Worker.call`."""
        return await self.worker.call(self.id, request)

    async def close(self) -> None:
        """Closes the connection; returns once it is; may be called twice."""
        if self.id not in self.worker.streams:
            return
        try:
            # Lost: then it is closed, too. Hanging: it soon will be.
            with suppress(WorkerLost, TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self.worker.call(self.id, Close())
        finally:
            self.pool.leave(self)


class Pool:
    """Gives each stream a worker.

    Args:
        names: Of the workers that there are to be.
        stats: `workers` and what belongs to it.
    """

    def __init__(self, names: tuple[str, ...], stats: Stats) -> None:
        self._stats = stats
        self._running: dict[str, Worker] = {}
        self._starting = set(names)
        self._failing: set[str] = set()
        self._last: dict[str, Worker] = {}  # where a stream's sampler is
        self._waiting = 0
        self._changed = asyncio.Event()
        self.names = names
        self._show()

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._running.values())

    @property
    def failing(self) -> bool:
        """Whether none runs (yet), or one ends again and again: cores lie idle."""
        return bool(self._failing) or not self._running

    def starts(self, name: str) -> None:
        """A worker is being started."""
        self._starting.add(name)
        self._tell_change()

    def joins(self, worker: Worker) -> None:
        """It runs."""
        self._starting.discard(worker.name)
        self._running[worker.name] = worker
        self._tell_change()

    def holds(self, name: str) -> None:
        """A worker has proved to be stable."""
        self._failing.discard(name)

    def fails(self, name: str) -> None:
        """A worker ends again and again."""
        self._failing.add(name)
        self._tell_change()

    async def change(self) -> None:
        """Until a worker comes, goes or fails."""
        await self._changed.wait()

    def loses(self, name: str, why: str) -> None:
        """A worker is gone; whoever sat there hears so."""
        self._starting.discard(name)
        worker = self._running.pop(name, None)
        if worker is not None:
            self._stats.worker_lost_streams.inc(len(worker.streams))
            worker.lose(why)
        self._tell_change()

    async def seat(self, stream_id: str) -> Seat:
        """A place for a connection: where the stream sat before, or the emptiest.

        Raises:
            WorkerLost: No worker runs.
        """
        worker = await self._worker_for(stream_id)
        seat = Seat(self, worker, worker.new_id())
        worker.streams[seat.id] = stream_id
        self._show()
        return seat

    def leave(self, seat: Seat) -> None:
        """The seat is empty again."""
        seat.worker.streams.pop(seat.id, None)
        self._show()

    def remember(self, stream_id: str, worker: Worker) -> None:
        """The stream's sampler is in `worker` now."""
        self._last[stream_id] = worker

    def forget(self, stream_id: str) -> None:
        """The stream is gone for good."""
        self._last.pop(stream_id, None)

    async def _worker_for(self, stream_id: str) -> Worker:
        last = self._last.get(stream_id)
        if last is not None and last.alive:
            return last
        self._waiting += 1
        try:
            await self._until(self._emptiest, _GIVE_UP_S)
            worker = await self._until(self._fairest, _PATIENCE_S) or self._emptiest()
        finally:
            self._waiting -= 1
        if worker is None:
            raise WorkerLost(stream_id, "no worker runs")
        return worker

    def _fairest(self) -> Worker | None:
        """The best, those that are starting considered; None: wait for them."""
        return self._chosen(len(self._starting))

    def _emptiest(self) -> Worker | None:
        """The best of those that run; None: there are none."""
        return self._chosen(0)

    def _chosen(self, starting: int) -> Worker | None:
        running = list(self._running.values())
        loads = [len(worker.streams) for worker in running]
        index = choose(loads, starting, self._waiting)
        return None if index is None else running[index]

    async def _until(
        self, find: Callable[[], Worker | None], within_s: float
    ) -> Worker | None:
        """What is found, by the last of the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while find() is None:
                    await self.change()
        return find()

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        self._show()

    def _show(self) -> None:
        running, starting = len(self._running), len(self._starting)
        self._stats.workers.labels("running").set(running)
        self._stats.workers.labels("starting").set(starting)
        self._stats.workers.labels("down").set(len(self.names) - running - starting)
        for name in self.names:
            worker = self._running.get(name)
            count = 0 if worker is None else len(worker.streams)
            self._stats.worker_streams.labels(name).set(count)
