"""A stream's life, told in states; no test here waits for real time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sidecar.clock import ManualClock
from sidecar.domain import SourceKind, Stream, StreamState, UnknownReason
from sidecar.errors import (
    StreamError,
    StreamUnavailable,
    StreamUnsupported,
    UnsupportedReason,
    WorkerLost,
)
from sidecar.ingest.backoff import Backoff
from sidecar.ingest.source import AccessUnitSource
from sidecar.ingest.supervisor import (
    StreamStatus,
    Supervisor,
    SupervisorSettings,
    Surroundings,
)
from sidecar.stats import Stats
from tests.fakes.fake_peer import FakeSource

pytestmark = pytest.mark.anyio

_CODEC = StreamUnsupported("cam", "VP9 only", reason=UnsupportedReason.CODEC)


class _Enough(Exception):
    """The script is played."""


class _Script:
    """A connector, watcher and sleeper that play a list of attempts.

    An attempt is the error that connecting raises, or how many seconds the connection
    lasts and the error it ends by (None: it ends in order).
    """

    def __init__(
        self, *attempts: StreamError | tuple[float, StreamError | None]
    ) -> None:
        self.attempts = list(attempts)
        self.clock = ManualClock()
        self.stats = Stats()
        self.sleeps: list[float] = []
        self.told: list[StreamStatus] = []
        self.open = 0
        self._end: tuple[float, StreamError | None] = (0.0, None)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        if not self.attempts:
            raise _Enough
        attempt = self.attempts.pop(0)
        if isinstance(attempt, StreamError):
            raise attempt
        self._end = attempt
        self.open += 1
        try:
            yield FakeSource(asyncio.Event())
        finally:
            self.open -= 1

    async def watch(self, _source: AccessUnitSource) -> None:
        seconds, error = self._end
        self.clock.advance(seconds)
        if error is not None:
            raise error

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.clock.advance(seconds)

    async def play(
        self,
        settings: SupervisorSettings | None = None,
        watch: Callable[[AccessUnitSource], Awaitable[None]] | None = None,
    ) -> list[StreamState]:
        """Runs to the script's end, or the stream's; the states told."""
        world = Surroundings(self.clock, self.stats, lambda: 0.5, self.sleep)
        stream = Stream("cam", SourceKind.WHEP)
        supervisor = Supervisor(
            stream,
            self,
            watch or self.watch,
            self.told.append,
            settings or _SETTINGS,
            world,
        )
        try:
            await supervisor.run()
        except _Enough:
            self.told.pop()  # the CONNECTING of the attempt that was not played
        return [status.state for status in self.told]


_SETTINGS = SupervisorSettings(
    backoff=Backoff(first_s=1.0, cap_s=8.0), stable_s=10.0, unsupported_retry_s=60.0
)
_ONCE = replace(_SETTINGS, reconnect=False)


async def test_lost_stream_is_connected_again() -> None:
    """A stream that breaks waits, unreachable, and is connected again."""
    script = _Script((1.0, StreamUnavailable("cam", "no packets")), (1.0, None))
    states = await script.play()
    one = [StreamState.CONNECTING, StreamState.LIVE, StreamState.WAITING]
    assert states == one + one
    first, live, lost = script.told[:3]
    assert (first.unknown, live.unknown) == (UnknownReason.STARTING, None)
    assert (lost.unknown, lost.message) == (UnknownReason.UNREACHABLE, "no packets")
    assert lost.retry_at == lost.since + script.sleeps[0]
    assert script.told[3].unknown is UnknownReason.UNREACHABLE
    assert script.told[5].message == "the stream ended"


async def test_waits_grow_and_are_counted() -> None:
    """Failures in a row wait longer and longer, up to the cap; each is counted."""
    script = _Script(*[StreamUnavailable("cam", "refused")] * 5)
    await script.play()
    assert script.sleeps == [0.5, 1.0, 2.0, 4.0, 4.0]
    count = script.stats.registry.get_sample_value(
        "sidecar_reconnects_total", {"source": "whep"}
    )
    assert count == 5.0


async def test_a_stable_connection_resets_the_waits() -> None:
    """After stable_s on air the back-off starts anew; after less it goes on."""
    no = StreamUnavailable("cam", "refused")
    script = _Script(no, no, (9.0, no), (11.0, no), no)
    await script.play()
    assert script.sleeps == [0.5, 1.0, 2.0, 0.5, 1.0]


async def test_retry_after_is_honoured() -> None:
    """The server's wish is waited out, plus jitter."""
    script = _Script(StreamUnavailable("cam", "busy", retry_after_s=30.0))
    await script.play()
    assert script.sleeps == [30.5]


async def test_unsupported_is_shown_and_looked_at_slowly() -> None:
    """An undecodable codec is UNKNOWN for that reason until the publisher changes."""
    script = _Script(_CODEC, (1.0, None))
    states = await script.play()
    assert states[:4] == [
        StreamState.CONNECTING,
        StreamState.UNSUPPORTED,
        StreamState.CONNECTING,
        StreamState.LIVE,
    ]
    assert script.told[1].unknown is UnknownReason.UNDECODABLE_CODEC
    assert script.told[2].unknown is UnknownReason.UNDECODABLE_CODEC
    assert script.sleeps[0] == 60.5


@pytest.mark.parametrize(
    ("reason", "unknown"),
    [
        (UnsupportedReason.CODEC, UnknownReason.UNDECODABLE_CODEC),
        (UnsupportedReason.REFUSED, UnknownReason.UNREACHABLE),
        (UnsupportedReason.INPUT, UnknownReason.NO_FRAMES),
    ],
)
async def test_unsupported_for_good(
    reason: UnsupportedReason, unknown: UnknownReason
) -> None:
    """A source that cannot come back ends as unsupported, with its reason."""
    script = _Script(StreamUnsupported("cam", "no", reason=reason))
    assert (await script.play(_ONCE))[-1] is StreamState.UNSUPPORTED
    assert script.told[-1].unknown is unknown
    assert script.told[-1].retry_at is None
    assert script.sleeps == []


async def test_end_of_a_source_that_cannot_come_back() -> None:
    """A file's end is the end, in order and without a reason."""
    script = _Script((3.0, None))
    assert (await script.play(_ONCE))[-1] is StreamState.ENDED
    assert (script.told[-1].unknown, script.told[-1].message) == (None, None)


async def test_break_of_a_source_that_cannot_come_back() -> None:
    """A push session that breaks is over, and says why."""
    script = _Script((3.0, StreamUnavailable("cam", "no packets for 10 s")))
    assert (await script.play(_ONCE))[-1] is StreamState.ENDED
    assert script.told[-1].unknown is UnknownReason.UNREACHABLE
    assert script.told[-1].message == "no packets for 10 s"


@pytest.mark.parametrize("settings", [_SETTINGS, _ONCE])
async def test_a_lost_worker_is_another_reason_and_no_end(
    settings: SupervisorSettings,
) -> None:
    """UNKNOWN(worker_lost) until it is on air again; even a file is taken over."""
    script = _Script((1.0, WorkerLost("cam", "w1 is gone")), (1.0, None))
    states = await script.play(settings)
    lost, again = script.told[2:4]
    assert states[2:5] == [
        StreamState.WAITING,
        StreamState.CONNECTING,
        StreamState.LIVE,
    ]
    assert (lost.unknown, lost.message) == (UnknownReason.WORKER_LOST, "w1 is gone")
    assert again.unknown is UnknownReason.WORKER_LOST
    assert script.sleeps[0] == 0.5


async def test_a_publisher_whose_worker_is_lost_has_to_come_again() -> None:
    """A session works once: it is over, unseen and perhaps still live."""
    script = _Script((1.0, WorkerLost("cam", "w1 is gone")))
    states = await script.play(replace(_ONCE, repeatable=False))
    assert states[-1] is StreamState.WAITING
    assert script.told[-1].unknown is UnknownReason.WORKER_LOST
    assert script.told[-1].retry_at is None
    assert script.sleeps == []


async def test_bugs_are_not_caught() -> None:
    """Anything but StreamError goes through, after the source was closed."""

    async def buggy(_source: AccessUnitSource) -> None:
        raise ZeroDivisionError

    script = _Script((1.0, None))
    with pytest.raises(ZeroDivisionError):
        await script.play(watch=buggy)
    assert script.open == 0


async def test_cancellation_closes_the_source() -> None:
    """A cancelled supervisor leaves nothing open and swallows nothing."""
    script, watching = _Script((1.0, None)), asyncio.Event()

    async def forever(_source: AccessUnitSource) -> None:
        watching.set()
        await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(script.play(watch=forever), name="supervisor")
        await watching.wait()
        assert script.open == 1
        task.cancel()
    assert task.cancelled()
    assert script.open == 0
    assert script.told[-1].state is StreamState.LIVE
