"""Inside a worker: one seat, that is one connection and what goes on at it."""

import asyncio
from contextlib import AsyncExitStack

from sidecar.clock import Clock
from sidecar.ingest.receiver import Peer
from sidecar.ingest.source import AccessUnitSource
from sidecar.ingest.video_file import FileConnector
from sidecar.stats import Stats
from sidecar.workers.calls import (
    Accept,
    AddCandidates,
    AnswerTo,
    Offer,
    OpenFile,
    Request,
    RestartIce,
    WaitConnected,
)
from sidecar.workers.messages import Setup


class Receiving:
    """A connection by WebRTC or to a file, made by the first request.

    Args:
        stream_id: Whose.
        setup: How it is made.
        clock: When packets came.
        stats: Counts.

    Attributes:
        tasks: All that goes on at it; ended by `close`.
    """

    def __init__(
        self, stream_id: str, setup: Setup, clock: Clock, stats: Stats
    ) -> None:
        self._source: AccessUnitSource | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self._stream_id = stream_id
        self._setup = setup
        self._clock = clock
        self._stats = stats
        self._stack = AsyncExitStack()
        self._made: Peer | None = None

    @property
    def source(self) -> AccessUnitSource:
        """What comes, once connected."""
        assert self._source is not None
        return self._source

    async def perform(self, request: Request) -> str | None:
        """What the request comes to. Raises StreamError, ValueError."""
        match request:
            case Offer():
                return await self._peer().offer()
            case AnswerTo():
                return await self._peer().answer_to(request.sdp)
            case Accept():
                await self._peer().accept(request.sdp)
            case AddCandidates():
                await self._peer().add_candidates(request.fragment)
            case RestartIce():
                return await self._peer().restart_ice(request.fragment)
            case WaitConnected():
                await self._peer().wait_connected(request.timeout_s)
                self._source = self._peer().source()
                return self.source.codec.value
            case OpenFile():
                return await self._open(request)
        return None

    async def close(self) -> None:
        """Ends what goes on, then closes the connection."""
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
        await self._stack.aclose()

    def _peer(self) -> Peer:
        if self._made is None:
            self._made = Peer(
                self._stream_id,
                self._setup.ice,
                self._clock,
                self._stats,
                packet_timeout_s=self._setup.packet_timeout_s,
            )
            self._stack.push_async_callback(self._made.close)
        return self._made

    async def _open(self, file: OpenFile) -> str:
        connector = FileConnector(
            self._stream_id,
            file.path,
            loop=file.loop,
            realtime=file.realtime,
            clock=self._clock,
            stats=self._stats,
        )
        self._source = await self._stack.enter_async_context(connector.connect())
        return self.source.codec.value
