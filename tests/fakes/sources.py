"""Access-unit sources and connectors without a network."""

from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from sidecar.domain import AccessUnit, Codec
from sidecar.errors import StreamError
from sidecar.ingest.buffer import AccessUnitBuffer
from sidecar.ingest.source import AccessUnitSource, Want
from sidecar.stats import Stats


def unit(number: int = 0, *, keyframe: bool = True, at: float = 0.0) -> AccessUnit:
    """An access unit that can be told from others, not decoded."""
    return AccessUnit(Codec.VP8, f"unit {number}".encode(), keyframe, at, at)


class FakeSource:
    """A source that delivers what a test puts into it, as a real one would.

    Attributes:
        wants: Every `want` so far.
        rests: Every `rest` so far; all goes on, as a source may have it.
        keyframe_requests: How many.
    """

    def __init__(self, codec: Codec = Codec.VP8, stats: Stats | None = None) -> None:
        self._codec = codec
        self._buffer = AccessUnitBuffer(stats or Stats())
        self.wants: list[Want] = []
        self.rests: list[float] = []
        self.keyframe_requests = 0

    @property
    def codec(self) -> Codec:
        """As given."""
        return self._codec

    def want(self, want: Want) -> None:
        """Like every source; noted."""
        self.wants.append(want)
        self._buffer.want(want)

    def rest(self, until: float) -> None:
        """Noted, nothing more."""
        self.rests.append(until)

    def request_keyframe(self) -> None:
        """Noted, nothing more."""
        self.keyframe_requests += 1

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        return self._buffer

    def put(self, *units: AccessUnit) -> None:
        """The sender sends."""
        for each in units:
            self._buffer.put(each)

    def close(self) -> None:
        """The sender leaves."""
        self._buffer.close()

    def fail(self, error: StreamError) -> None:
        """The stream breaks."""
        self._buffer.fail(error)


class FakeConnector:
    """Connects to what it is told to, one outcome per attempt.

    Args:
        outcomes: A source to deliver, or the error of the attempt.

    Attributes:
        attempts: How many so far.
        open: How many sources are in use.
    """

    def __init__(self, outcomes: Iterable[FakeSource | StreamError]) -> None:
        self._outcomes = deque(outcomes)
        self.attempts = 0
        self.open = 0

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        """The next outcome."""
        self.attempts += 1
        outcome = self._outcomes.popleft()
        if isinstance(outcome, StreamError):
            raise outcome
        self.open += 1
        try:
            yield outcome
        finally:
            self.open -= 1
            outcome.close()
