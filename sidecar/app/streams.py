"""The streams under watch, which come and go while the sidecar runs."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, Final

from sidecar.app.gauges import show_streams
from sidecar.app.gone import Gone
from sidecar.app.spec import Origin, StreamExists, StreamSpec
from sidecar.clock import Clock
from sidecar.config.schema import StreamConfig
from sidecar.decide.policy import hits_in
from sidecar.decide.policyset import Policy, PolicySet
from sidecar.domain import Scores, Stream, StreamState, UnknownReason
from sidecar.errors import ConfigError
from sidecar.ingest.supervisor import (
    StreamStatus,
    Supervisor,
    SupervisorSettings,
    Surroundings,
)
from sidecar.log import get_logger
from sidecar.pipeline import Pipeline, Watch
from sidecar.sample.budget import Budget
from sidecar.sample.stream_sampler import StreamSampler
from sidecar.stats import Stats

log = get_logger(__name__)

TICK_S: Final = 0.5
_NOT_SEEN: Final = (StreamState.UNSUPPORTED, StreamState.WAITING)
_REFUSED_SHOWN_S: Final = 600.0
_REFUSED_LIMIT: Final = 256

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]


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
        self.gone = Gone()
        self._refused_at: dict[str, float] = {}
        self._exchanges: dict[str, asyncio.Task[None]] = {}
        self._wished: dict[str, StreamSpec | None] = {}
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
        taken = stream_id in self._watches or stream_id in self._exchanges
        if taken or self._spawn is None:
            raise StreamExists(stream_id)
        watch = self._begin(spec.stream, spec.sampler)
        self._specs[stream_id] = spec
        self._tasks[stream_id] = self._spawn(
            self._run(watch, spec), f"stream:{stream_id}"
        )
        return watch

    def _begin(self, stream: Stream, sampler: StreamSampler) -> Watch:
        watch = self._pipeline.begin(stream, sampler, self.policy_of(stream))
        former = self.gone.before(stream.id, self._clock.monotonic())
        if former is not None:
            self._pipeline.resume(watch, former.policy, former.state)
        self._watches[stream.id] = watch
        return watch

    def policy_of(self, stream: Stream) -> Policy:
        """The one that holds. Raises ConfigError, but for a checked configuration."""
        policy = self.policies.select(stream)
        if policy is None:
            raise ConfigError(
                f"no policy matches stream {stream.id!r}; add a catch-all"
            )
        return policy

    def hits(self, stream_id: str, scores: Scores) -> frozenset[str]:
        """The rungs of a stream's policy that hear a hit in `scores`."""
        watch = self._watches.get(stream_id)
        return frozenset() if watch is None else hits_in(watch.policy, scores)

    async def _run(self, watch: Watch, spec: StreamSpec) -> None:
        stream_id = watch.stream.id
        supervisor = Supervisor(
            spec.stream,
            spec.connector,
            lambda source: self._pipeline.watch(watch, source),
            lambda status: self._pipeline.report_status(watch, status),
            replace(
                self._settings,
                reconnect=spec.reconnect,
                repeatable=spec.origin is not Origin.WHIP,
            ),
            Surroundings(self._clock, self._stats),
        )
        try:
            await supervisor.run()
        finally:
            self._tasks.pop(stream_id, None)
            self._ended(watch, spec)

    def _ended(self, watch: Watch, spec: StreamSpec) -> None:
        """Who is not seen but may be live stays listed, and says why."""
        stream_id = watch.stream.id
        if watch.status.state not in _NOT_SEEN:
            self._forget(stream_id)
        elif spec.origin is Origin.WHIP:
            self._turned_away(stream_id)

    def _forget(self, stream_id: str) -> None:
        self._refused_at.pop(stream_id, None)
        self._specs.pop(stream_id, None)
        watch = self._watches.pop(stream_id, None)
        if watch is not None:
            self.gone.add(watch, self._clock.monotonic())
            self._pipeline.end(watch)

    def spec(self, stream_id: str) -> StreamSpec | None:
        """What a stream is watched by; None for one that was turned away."""
        return self._specs.get(stream_id)

    def full(self, stream_id: str, limit: int) -> bool:
        """Whether `stream_id` would be one more than `limit`, those asked for too."""
        asked = {key for key, spec in self._wished.items() if spec is not None}
        taken = self._watches.keys() | asked
        return stream_id not in taken and len(taken) >= limit

    def runs(self, stream_id: str, settings: StreamConfig) -> bool:
        """Whether a stream is under watch, or about to be, exactly so."""
        spec = self._wished.get(stream_id, self._specs.get(stream_id))
        alive = stream_id in self._tasks or stream_id in self._exchanges
        return alive and spec is not None and spec.settings == settings

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

    async def remove(self, stream_id: str) -> None:
        """Stops watching; returns once everything of the stream is closed."""
        task = self.exchange(stream_id, None)
        if task is not None:
            await asyncio.wait([task])

    def exchange(
        self, stream_id: str, spec: StreamSpec | None
    ) -> asyncio.Task[None] | None:
        """Replaces a stream, or stops it (None), in a task; None once closed.

        One task a stream at a time: of several wishes the newest is granted.
        """
        if self._spawn is None:
            return None
        under_way = self._exchanges.get(stream_id)
        self._wished[stream_id] = spec
        if under_way is not None:
            return under_way
        task = self._spawn(self._exchange(stream_id), f"exchange:{stream_id}")
        self._exchanges[stream_id] = task
        return task

    async def _exchange(self, stream_id: str) -> None:
        task = self._tasks.get(stream_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            self._tasks.pop(stream_id, None)  # one that never began does not itself
        self._forget(stream_id)
        del self._exchanges[stream_id]
        spec = self._wished.pop(stream_id)
        if spec is not None and self._spawn is not None:
            self.add(spec)

    def show_refused(
        self,
        stream: Stream,
        sampler: StreamSampler,
        reason: UnknownReason,
        message: str,
    ) -> None:
        """Lists a publisher that was turned away: its stream is live, and not seen."""
        if stream.id in self._tasks or stream.id in self._exchanges:
            return
        self._forget(stream.id)
        now = self._clock.monotonic()
        watch = self._begin(stream, sampler)
        self._turned_away(stream.id)
        self._pipeline.report_status(
            watch, StreamStatus(StreamState.UNSUPPORTED, now, message, reason, None)
        )

    def _turned_away(self, stream_id: str) -> None:
        """It stays listed for a while, and may come back at any time."""
        self._refused_at[stream_id] = self._clock.monotonic()
        if len(self._refused_at) > _REFUSED_LIMIT:
            self._forget(next(iter(self._refused_at)))

    def apply_policies(self, policies: PolicySet) -> None:
        """Puts every stream under its policy in `policies`, at once."""
        self.policies = policies
        for watch in self:
            self._pipeline.repolicy(watch, self.policy_of(watch.stream))

    async def run_ticks(self) -> None:
        """Ticks every watch about twice a second, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            self.tick()

    def tick(self) -> None:
        """One round: staleness, time accounts, gauges, refused ones that are old."""
        for watch in self:
            self._pipeline.tick(watch)
        now = self._clock.monotonic()
        for stream_id, since in list(self._refused_at.items()):
            if now - since > _REFUSED_SHOWN_S:
                self._forget(stream_id)
        self._share_out(now)
        show_streams(self._stats, self, now)

    def _share_out(self, now: float) -> None:
        """Paces the live streams by the common budget, if there is one."""
        if self._budget is not None:
            live = [w.sampler for w in self if w.status.state is StreamState.LIVE]
            refused = self._budget.share_out(live, now)
            self._stats.lost.labels("sample", "budget").inc(refused)
