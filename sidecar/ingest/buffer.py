"""The bounded hand-off from a packet path to the one who samples it."""

import asyncio
from collections import deque
from typing import Self

from sidecar.domain import AccessUnit
from sidecar.errors import StreamError
from sidecar.ingest.source import Want
from sidecar.stats import Stats


class AccessUnitBuffer:
    """Access units of one stream, for one reader in the same event loop.

    While keyframes are wanted, the newest alone is kept. While all are wanted, they
    are kept in order; when there are too many, all go, and what comes next is a
    keyframe: a delta is never handed out without what it refers to.

    Args:
        stats: Counts what was given up, under stage `ingest`.
        capacity: Access units kept at most.
    """

    def __init__(self, stats: Stats, capacity: int = 128) -> None:
        self._lost = stats.lost
        self._capacity = capacity
        self._units: deque[AccessUnit] = deque()
        self._want = Want.KEYFRAMES
        self._chained = False
        self._ended = False
        self._error: StreamError | None = None
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._units)

    @property
    def ended(self) -> bool:
        """Whether nothing more is taken in."""
        return self._ended

    @property
    def wanted(self) -> Want:
        """What is kept at present."""
        return self._want

    def want(self, want: Want) -> None:
        """Sets what is kept from now on; `ALL` begins with the next keyframe."""
        if want is self._want:
            return
        self._want = want
        self._chained = False
        if want is Want.KEYFRAMES:
            newest = [unit for unit in self._units if unit.keyframe][-1:]
            self._units = deque(newest)

    def put(self, unit: AccessUnit) -> None:
        """Takes one in, or drops it if it cannot be used; after the end, drops all."""
        if self._ended:
            return
        if self._want is Want.KEYFRAMES:
            if not unit.keyframe:
                return
            self._drop("keyframe_superseded")
        elif not self._fits(unit):
            return
        self._units.append(unit)
        self._changed.set()

    def _fits(self, unit: AccessUnit) -> bool:
        """Makes room; whether `unit` can be decoded after what is kept."""
        if len(self._units) >= self._capacity:
            self._drop("buffer_overflow")
            self._chained = False
        if unit.keyframe:
            self._chained = True
        elif not self._chained:
            self._count("no_keyframe", 1)
        return self._chained

    def _drop(self, reason: str) -> None:
        self._count(reason, len(self._units))
        self._units.clear()

    def _count(self, reason: str, number: int) -> None:
        if number:
            self._lost.labels(stage="ingest", reason=reason).inc(number)

    def close(self) -> None:
        """The stream has ended: the reader ends after what is still here."""
        self._ended = True
        self._changed.set()

    def fail(self, error: StreamError) -> None:
        """The stream broke: the reader gets `error` after what is still here.

        Of several ends the first one counts.
        """
        if not self._ended:
            self._error = error
            self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AccessUnit:
        while not self._units:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._units.popleft()
