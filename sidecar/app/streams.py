"""The streams under watch, which come and go while the sidecar runs."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from sidecar.clock import Clock
from sidecar.config.schema import StreamConfig
from sidecar.decide.policyset import Policy, PolicySet
from sidecar.domain import Stream, StreamState, UnknownReason, VerdictState
from sidecar.errors import ConfigError
from sidecar.ingest.source import Connector
from sidecar.ingest.supervisor import (
    StreamStatus,
    Supervisor,
    SupervisorSettings,
    Surroundings,
)
from sidecar.log import get_logger
from sidecar.pipeline import Pipeline, Watch
from sidecar.sample.budget import Budget
from sidecar.sample.sampler import Sampler
from sidecar.stats import Stats

log = get_logger(__name__)

TICK_S: Final = 0.5
_REFUSED_SHOWN_S: Final = 600.0
_REFUSED_LIMIT: Final = 256
_REVERSIBLE_LIMIT: Final = 1000

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


class Origin(StrEnum):
    """Who asked for a stream to be watched."""

    CONFIG = "config"
    API = "api"
    MQTT = "mqtt"
    WHIP = "whip"


class StreamExists(ValueError):
    """A stream with that id is already under watch."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What it takes to watch a stream.

    Attributes:
        stream: Which.
        connector: The way to it.
        sampler: When it is looked at.
        origin: Who asked for it, and so who may change it.
        reconnect: Whether its source can come back.
        location: Where it is received from, to be shown; None for a publisher.
        settings: The configuration it was built from, to tell a change.
    """

    stream: Stream
    connector: Connector
    sampler: Sampler
    origin: Origin
    reconnect: bool = True
    location: str | None = None
    settings: StreamConfig | None = None


class Streams:
    """Starts, stops and lists the watches; one supervised task each."""

    def __init__(
        self,
        pipeline: Pipeline,
        policies: PolicySet,
        settings: SupervisorSettings,
        clock: Clock,
        stats: Stats,
        budget: Budget | None = None,
    ) -> None:
        self.policies = policies
        self._budget = budget
        self._pipeline = pipeline
        self._settings = settings
        self._clock = clock
        self._stats = stats
        self._watches: dict[str, Watch] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._specs: dict[str, StreamSpec] = {}
        self._acted_on: dict[str, Stream] = {}
        self._refused_at: dict[str, float] = {}
        self._spawn: Spawn | None = None

    def open(self, spawn: Spawn) -> None:
        """Streams can be added now; `spawn` starts a task in the inbound group."""
        self._spawn = spawn

    def __iter__(self) -> Iterator[Watch]:
        return iter(list(self._watches.values()))

    def __len__(self) -> int:
        return len(self._watches)

    def get(self, stream_id: str) -> Watch | None:
        """The watch of a stream, or None."""
        return self._watches.get(stream_id)

    def add(self, spec: StreamSpec) -> Watch:
        """Starts watching. Raises StreamExists."""
        stream_id = spec.stream.id
        if stream_id in self._refused_at:
            self._forget(stream_id)
        if stream_id in self._watches or self._spawn is None:
            raise StreamExists(stream_id)
        watch = self._begin(spec.stream, spec.sampler)
        self._specs[stream_id] = spec
        self._tasks[stream_id] = self._spawn(
            self._run(watch, spec), f"stream:{stream_id}"
        )
        return watch

    def _begin(self, stream: Stream, sampler: Sampler) -> Watch:
        watch = self._pipeline.begin(stream, sampler, self._policy_of(stream))
        self._watches[stream.id] = watch
        return watch

    def _policy_of(self, stream: Stream) -> Policy:
        policy = self.policies.select(stream)
        if policy is None:
            raise ConfigError(
                f"no policy matches stream {stream.id!r}; add a catch-all"
            )
        return policy

    async def _run(self, watch: Watch, spec: StreamSpec) -> None:
        stream_id = watch.stream.id
        supervisor = Supervisor(
            spec.stream,
            spec.connector,
            lambda source: self._pipeline.watch(watch, source),
            lambda status: self._pipeline.report_status(watch, status),
            replace(self._settings, reconnect=spec.reconnect),
            Surroundings(self._clock, self._stats),
        )
        try:
            await supervisor.run()
        finally:
            # An unsupported input stays listed: it is not seen, and says why.
            self._tasks.pop(stream_id, None)
            if watch.status.state is not StreamState.UNSUPPORTED:
                self._forget(stream_id)

    def _forget(self, stream_id: str) -> None:
        self._refused_at.pop(stream_id, None)
        self._specs.pop(stream_id, None)
        watch = self._watches.pop(stream_id, None)
        if watch is not None:
            self._remember(watch)
            self._pipeline.end(watch)

    def _remember(self, watch: Watch) -> None:
        """A stream that was cut off ends; it may be cleared for a while yet."""
        if watch.cut:
            self._acted_on[watch.stream.id] = watch.stream
            if len(self._acted_on) > _REVERSIBLE_LIMIT:
                del self._acted_on[next(iter(self._acted_on))]

    def ended_after_cut(self, stream_id: str) -> Stream | None:
        """A stream that is gone and had a takedown or interrupt, or None."""
        return self._acted_on.get(stream_id)

    def spec(self, stream_id: str) -> StreamSpec | None:
        """What a stream is watched by; None for one that was turned away."""
        return self._specs.get(stream_id)

    async def close(self) -> None:
        """Stops all streams, at once; none can be added any more."""
        self._spawn = None
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for stream_id in tuple(self._watches):
            self._forget(stream_id)

    async def remove(self, stream_id: str) -> bool:
        """Stops watching; returns once everything of the stream is closed."""
        task = self._tasks.get(stream_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        known = stream_id in self._watches or task is not None
        self._forget(stream_id)
        return known

    def exchange(
        self, stream_id: str, spec: StreamSpec | None
    ) -> asyncio.Task[None] | None:
        """Replaces a stream, or stops it (None), in a task; None once closed."""
        if self._spawn is None:
            return None
        return self._spawn(self._exchange(stream_id, spec), f"exchange:{stream_id}")

    async def _exchange(self, stream_id: str, spec: StreamSpec | None) -> None:
        await self.remove(stream_id)
        if spec is not None:
            with suppress(StreamExists):  # somebody was quicker
                self.add(spec)

    def show_refused(
        self, stream: Stream, sampler: Sampler, reason: UnknownReason, message: str
    ) -> None:
        """Lists a publisher that was turned away: its stream is live, and not seen."""
        if stream.id in self._tasks or len(self._refused_at) >= _REFUSED_LIMIT:
            return
        self._forget(stream.id)
        now = self._clock.monotonic()
        watch = self._begin(stream, sampler)
        self._refused_at[stream.id] = now
        self._pipeline.report_status(
            watch, StreamStatus(StreamState.UNSUPPORTED, now, message, reason, None)
        )

    def apply_policies(self, policies: PolicySet) -> None:
        """Puts every stream under its policy in `policies`, at once."""
        self.policies = policies
        for watch in self:
            self._pipeline.repolicy(watch, self._policy_of(watch.stream))

    async def run_ticks(self) -> None:
        """Ticks every watch about twice a second, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            await self.tick()

    async def tick(self) -> None:
        """One round: staleness, time accounts, gauges, refused ones that are old."""
        for watch in self:
            await self._pipeline.tick(watch)
        now = self._clock.monotonic()
        for stream_id, since in list(self._refused_at.items()):
            if now - since > _REFUSED_SHOWN_S:
                self._forget(stream_id)
        self._share_out(now)
        self._gauge(now)

    def _share_out(self, now: float) -> None:
        """Paces the live streams by the common budget, if there is one."""
        if self._budget is not None:
            live = [w.sampler for w in self if w.status.state is StreamState.LIVE]
            refused = self._budget.share_out(live, now)
            self._stats.lost.labels("sample", "budget").inc(refused)

    def _gauge(self, now: float) -> None:
        self._stats.streams.clear()
        self._stats.verdict_streams.clear()
        for state in StreamState:
            self._stats.streams.labels(state).set(0)
        for verdict in VerdictState:
            if verdict is not VerdictState.UNKNOWN:
                self._stats.verdict_streams.labels(verdict, "").set(0)
        oldest = 0.0
        for watch in self:
            verdict_ = watch.verdict
            self._stats.streams.labels(watch.status.state).inc()
            self._stats.verdict_streams.labels(
                verdict_.state, verdict_.reason or ""
            ).inc()
            oldest = max(oldest, now - (verdict_.seen_at or watch.began_at))
        self._stats.unseen_age_seconds.set(oldest)
