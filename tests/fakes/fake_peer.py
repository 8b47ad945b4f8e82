"""A receiving peer without a network: connects and ends when it is told to."""

import asyncio
from collections.abc import AsyncIterator

from sidecar.domain import AccessUnit, Codec
from sidecar.errors import StreamError, StreamUnavailable
from sidecar.ingest.source import Want
from tests.fakes.sdp_texts import ANSWER, OFFER, RESTARTED


class FakeSource:
    """Yields nothing and ends once its peer is closed."""

    codec = Codec.VP8

    def __init__(self, closed: asyncio.Event) -> None:
        self._closed = closed

    def want(self, want: Want) -> None:
        """Nothing is delivered, whatever is wanted."""

    def rest(self, until: float) -> None:
        """Nothing comes before, or after."""

    def request_keyframe(self) -> None:
        """There is nobody to ask."""

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        return self

    async def __anext__(self) -> AccessUnit:
        await self._closed.wait()
        raise StopAsyncIteration


class FakePeer:
    """See `ReceivingPeer`; set `connected` to let `wait_connected` return.

    Attributes:
        fails: Raised by the next negotiation step instead of its result.
        answering: Cleared to hold `answer_to` back.
    """

    def __init__(self, stream_id: str, fails: StreamError | None = None) -> None:
        self.stream_id = stream_id
        self.fails = fails
        self.answering = asyncio.Event()
        self.answering.set()
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.fragments: list[str] = []
        self.restarts: list[str] = []
        self.accepted: str | None = None

    async def offer(self) -> str:
        """A fixed offer."""
        self._maybe_fail()
        return OFFER

    async def answer_to(self, sdp_offer: str) -> str:
        """A fixed answer, once `answering` is set."""
        assert sdp_offer
        await self.answering.wait()
        self._maybe_fail()
        return ANSWER

    async def accept(self, sdp_answer: str) -> None:
        """Remembers the answer."""
        self._maybe_fail()
        self.accepted = sdp_answer

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Remembers the fragment; one without a mid is malformed."""
        if "a=mid:" not in sdp_fragment:
            raise ValueError("no mid")
        self.fragments.append(sdp_fragment)

    async def restart_ice(self, sdp_fragment: str) -> str:
        """Remembers the fragment; the answer is a fixed one."""
        self._maybe_fail()
        if "a=mid:" not in sdp_fragment:
            raise ValueError("no mid")
        self.restarts.append(sdp_fragment)
        return RESTARTED

    def source(self) -> FakeSource:
        """Ends when the peer is closed."""
        return FakeSource(self.closed)

    async def wait_connected(self, timeout_s: float) -> None:
        """Waits for `connected`; closing fails it, as does zero time."""
        async with asyncio.TaskGroup() as group:
            closing = group.create_task(self.closed.wait(), name="closed")
            opening = group.create_task(self.connected.wait(), name="connected")
            await asyncio.wait(
                {closing, opening},
                timeout=timeout_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            closing.cancel()
            opening.cancel()
        if not self.connected.is_set():
            raise StreamUnavailable(self.stream_id, "no connection")

    async def close(self) -> None:
        """Ends the source."""
        self.closed.set()

    def _maybe_fail(self) -> None:
        if self.fails is not None:
            raise self.fails


class PeerFactoryFake:
    """Makes fake peers and keeps them in `made`; `fails` is handed to each."""

    def __init__(
        self, fails: StreamError | None = None, *, connects: bool = True
    ) -> None:
        self.made: list[FakePeer] = []
        self.fails = fails
        self.connects = connects

    def __call__(self, stream_id: str) -> FakePeer:
        """Makes one more."""
        peer = FakePeer(stream_id, self.fails)
        if self.connects:
            peer.connected.set()
        self.made.append(peer)
        return peer

    @property
    def open(self) -> int:
        """How many peers are not closed."""
        return sum(not peer.closed.is_set() for peer in self.made)
