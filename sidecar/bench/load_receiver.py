"""Many WHEP sessions of the sidecar's own kind, alone in a process.

Takes the `LoadSettings` as its first JSON line; then `{"stats": true}` asks for what
was used so far, `{"leave": true}` ends every session and asks for what is left over.
"""

import asyncio
import random
import threading
from asyncio import TaskGroup
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from sidecar.bench.child import Message, serve
from sidecar.bench.receiver import DECODERS, FORMAT
from sidecar.bench.usage import LoopLag, usage
from sidecar.clock import SystemClock
from sidecar.domain import SourceKind, Stream, StreamState
from sidecar.ingest.receiver import IceSettings
from sidecar.ingest.source import AccessUnitSource
from sidecar.ingest.supervisor import (
    StreamStatus,
    Supervisor,
    SupervisorSettings,
    Surroundings,
)
from sidecar.ingest.whep import WhepConnector, WhepSettings
from sidecar.log import setup
from sidecar.sample.cadence import CadenceSettings
from sidecar.sample.listeners import Listeners
from sidecar.sample.sampler import Sampler, SamplerSettings
from sidecar.stats import Stats


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What is pulled.

    Attributes:
        url: The WHEP endpoint; may carry credentials. `{index}` in it is the session's
            number, from 0; without it all pull the same stream.
        streams: Sessions at once.
        interval_s: Mean time between samples of each.
        token: Bearer token, if the endpoint wants one.
    """

    url: str = field(repr=False)
    streams: int = 10
    interval_s: float = 2.0
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Left:
    """What there is of each kind in this process."""

    tasks: int
    threads: int
    sockets: int


def left() -> Left:
    """The present count."""
    links = [_target(entry) for entry in Path("/proc/self/fd").glob("*")]
    sockets = sum(link.startswith("socket:") for link in links)
    return Left(len(asyncio.all_tasks()), threading.active_count(), sockets)


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:  # the folder's own descriptor, closed meanwhile
        return ""


class _Session:
    """One stream under its supervisor."""

    def __init__(self, load: "_Load", index: int) -> None:
        self._load = load
        name = f"load-{index}"
        settings = SamplerSettings(CadenceSettings(load.settings.interval_s))
        self._sampler = Sampler(
            name,
            settings,
            FORMAT,
            load.decoders,
            load.clock,
            load.stats,
            random.random,
            listeners=load.listeners,
        )
        self.state = StreamState.CONNECTING
        self.losses = 0
        url = load.settings.url.replace("{index}", str(index))
        whep = WhepSettings(url=url, token=load.settings.token)
        self.supervisor = Supervisor(
            Stream(name, SourceKind.WHEP),
            WhepConnector(name, whep, IceSettings(), load.http, load.clock, load.stats),
            self._watch,
            self._report,
            SupervisorSettings(),
            Surroundings(load.clock, load.stats),
        )

    async def _watch(self, source: AccessUnitSource) -> None:
        async with aclosing(self._sampler.samples(source)) as samples:
            async for _ in samples:
                self._load.taken += 1

    def _report(self, status: StreamStatus) -> None:
        self.losses += status.message is not None
        self.state = status.state


class _Load:
    """All sessions."""

    def __init__(self, settings: LoadSettings, http: httpx.AsyncClient) -> None:
        self.settings = settings
        self.http = http
        self.taken = 0
        self.clock, self.stats = SystemClock(), Stats()
        self.listeners = Listeners()
        self.decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
        self.sessions = [_Session(self, index) for index in range(settings.streams)]

    def counts(self) -> Message:
        return {
            "live": sum(s.state is StreamState.LIVE for s in self.sessions),
            "losses": sum(s.losses for s in self.sessions),
            "taken": self.taken,
        }


@asynccontextmanager
async def _pulling(settings: LoadSettings) -> AsyncIterator[_Load]:
    """Every session, until the block is left."""
    limits = httpx.Limits(max_connections=settings.streams)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as http:
        load = _Load(settings, http)
        try:
            async with TaskGroup() as group:
                running = [
                    group.create_task(session.supervisor.run())
                    for session in load.sessions
                ]
                yield load
                for task in running:
                    task.cancel()
        finally:
            await asyncio.to_thread(load.decoders.shutdown)


class _Desk:
    """Answers the parent's lines."""

    def __init__(self) -> None:
        self._lag = LoopLag()
        self._load: _Load | None = None
        self._settings: asyncio.Future[LoadSettings] = asyncio.Future()
        self._leave = asyncio.Event()
        self._gone = asyncio.Event()
        self._leftovers: Message = {}

    async def answer(self, message: Message) -> Message:
        if "url" in message:
            self._settings.set_result(LoadSettings(**message))
            return {}
        if "leave" in message:
            self._leave.set()
            await self._gone.wait()
            return self._leftovers
        counts = self._load.counts() if self._load else {}
        return {**asdict(usage()), **counts, "loop_lag_ms": self._lag.worst_ms()}

    async def run(self) -> None:
        """One load from its settings to its end."""
        settings = await self._settings
        before = asdict(left())
        async with TaskGroup() as group:
            watching = group.create_task(self._lag.run(), name="loop-lag")
            async with _pulling(settings) as self._load:
                await self._leave.wait()
            watching.cancel()
        self._load = None
        await asyncio.get_running_loop().shutdown_default_executor()
        after = asdict(left())
        self._leftovers = {f"{kind}_left": after[kind] - before[kind] for kind in after}
        self._gone.set()


async def main() -> None:
    """Serves until standard input ends."""
    desk = _Desk()
    async with TaskGroup() as group:
        running = group.create_task(desk.run(), name="load")
        await serve(desk.answer)
        running.cancel()


if __name__ == "__main__":
    setup("console", "error")
    asyncio.run(main())
