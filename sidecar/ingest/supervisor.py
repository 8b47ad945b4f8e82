"""One stream's life: connect, watch, tell, back off, connect again."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from sidecar.clock import Clock
from sidecar.domain import Stream, StreamState, UnknownReason
from sidecar.errors import (
    StreamError,
    StreamUnsupported,
    UnsupportedReason,
    WorkerLost,
)
from sidecar.ingest.backoff import Backoff
from sidecar.ingest.source import AccessUnitSource, Connector
from sidecar.log import get_logger
from sidecar.stats import Stats

log = get_logger(__name__)

_UNKNOWN: Final = {
    UnsupportedReason.CODEC: UnknownReason.UNDECODABLE_CODEC,
    UnsupportedReason.REFUSED: UnknownReason.UNREACHABLE,
    UnsupportedReason.INPUT: UnknownReason.NO_FRAMES,
}
_EVENT: Final = {state: f"stream_{state.value}" for state in StreamState}


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """Where a stream stands.

    Attributes:
        state: As the supervisor sees it.
        since: Since when, monotonic seconds.
        message: What went wrong last, without credentials; None if nothing.
        unknown: Why nothing is seen at present; None while LIVE or ENDED in order.
        retry_at: When it will be tried again, monotonic seconds; None if it will not.
    """

    state: StreamState
    since: float
    message: str | None = None
    unknown: UnknownReason | None = None
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class SupervisorSettings:
    """How persistent a supervisor is.

    Attributes:
        backoff: How long to wait between attempts.
        reconnect: Whether the source can come back; if not, the first end is the end.
        repeatable: Whether `connect` works more than once, so that a stream whose
            worker is lost can be connected again.
        stable_s: A connection that lasted this long makes the next back-off start anew.
        unsupported_retry_s: How long until an unsupported stream is looked at again:
            its publisher may come back with a codec that can be decoded.
    """

    backoff: Backoff = field(default_factory=Backoff)
    reconnect: bool = True
    repeatable: bool = True
    stable_s: float = 10.0
    unsupported_retry_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a supervisor takes from the world, so that tests can hold it still."""

    clock: Clock
    stats: Stats
    uniform: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Supervisor:
    """Keeps one stream under watch until it ended for good.

    Args:
        stream: Whose life it is.
        connector: Each `connect` is one attempt.
        watch: Consumes the source; returns when the source ends, raises StreamError.
        report: Told of every change of state, synchronously.
        settings: How persistent to be.
        surroundings: Clock, counters, chance and sleep.
    """

    def __init__(
        self,
        stream: Stream,
        connector: Connector,
        watch: Callable[[AccessUnitSource], Awaitable[None]],
        report: Callable[[StreamStatus], None],
        settings: SupervisorSettings,
        surroundings: Surroundings,
    ) -> None:
        self._stream = stream
        self._connector = connector
        self._watch = watch
        self._report = report
        self._settings = settings
        self._world = surroundings
        self._attempt = 0
        self._live_at: float | None = None
        self._unknown = UnknownReason.STARTING

    async def run(self) -> None:
        """Returns when the stream ended for good; lets all but StreamError through."""
        while True:
            error = await self._once()
            if not self._connects_again(error):
                self._say_last(error)
                return
            await self._world.sleep(self._say_waiting(error))

    def _connects_again(self, error: StreamError | None) -> bool:
        lost = isinstance(error, WorkerLost) and self._settings.repeatable
        return self._settings.reconnect or lost

    async def _once(self) -> StreamError | None:
        """One attempt from connecting to the end; its error, or None at an end."""
        self._live_at = None
        self._tell(StreamState.CONNECTING, unknown=self._unknown)
        try:
            async with self._connector.connect() as source:
                self._live_at = self._world.clock.monotonic()
                self._tell(StreamState.LIVE)
                await self._watch(source)
        except StreamError as error:
            return error
        return None

    def _say_last(self, error: StreamError | None) -> None:
        message = error.message if error else None
        if isinstance(error, StreamUnsupported):
            unknown = _UNKNOWN[error.reason]
            self._tell(StreamState.UNSUPPORTED, message=message, unknown=unknown)
            return
        if isinstance(error, WorkerLost):
            unknown = UnknownReason.WORKER_LOST
            self._tell(StreamState.WAITING, message=message, unknown=unknown)
            return
        unreached = UnknownReason.UNREACHABLE if error else None
        self._tell(StreamState.ENDED, message=message, unknown=unreached)

    def _say_waiting(self, error: StreamError | None) -> float:
        """Reports the loss; seconds until the next attempt."""
        self._world.stats.reconnects.labels(source=self._stream.source.value).inc()
        if self._was_stable():
            self._attempt = 0
        state, self._unknown = StreamState.WAITING, UnknownReason.UNREACHABLE
        if isinstance(error, StreamUnsupported):
            state, self._unknown = StreamState.UNSUPPORTED, _UNKNOWN[error.reason]
        if isinstance(error, WorkerLost):
            self._unknown = UnknownReason.WORKER_LOST
        delay = self._delay(error)
        self._attempt += 1
        message = error.message if error else "the stream ended"
        self._tell(state, message=message, unknown=self._unknown, delay=delay)
        return delay

    def _was_stable(self) -> bool:
        if self._live_at is None:
            return False
        lasted = self._world.clock.monotonic() - self._live_at
        return lasted >= self._settings.stable_s

    def _delay(self, error: StreamError | None) -> float:
        """Seconds until the next attempt: by the server's wish, or the operator's."""
        backoff, chance = self._settings.backoff, self._world.uniform()
        if isinstance(error, StreamUnsupported):
            slow = self._settings.unsupported_retry_s
            return slow + backoff.next_delay(self._attempt, chance)
        wish = error.retry_after_s if error else None
        return backoff.next_delay(self._attempt, chance, wish)

    def _tell(
        self,
        state: StreamState,
        *,
        message: str | None = None,
        unknown: UnknownReason | None = None,
        delay: float | None = None,
    ) -> None:
        """One report and one log line for a change of state."""
        now = self._world.clock.monotonic()
        retry_at = None if delay is None else now + delay
        self._report(StreamStatus(state, now, message, unknown, retry_at))
        facts: dict[str, object] = {
            "message": message,
            "unknown": unknown and unknown.value,
        }
        facts = {key: value for key, value in facts.items() if value is not None}
        if delay is not None:
            facts["retry_in_s"] = round(delay, 1)
        log.info(_EVENT[state], stream=self._stream.id, **facts)
