"""One publisher's WHIP session, from its accepted offer to its end."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

from sidecar.errors import StreamUnavailable
from sidecar.ingest import sdp
from sidecar.ingest.peer import ReceivingPeer
from sidecar.ingest.source import AccessUnitSource
from sidecar.ingest.whip_reply import WhipRefusal


def _new_tag() -> str:
    return f'"{secrets.token_hex(8)}"'


class _State(Enum):
    PENDING = auto()  # answered, nobody watches it yet
    TAKEN = auto()  # somebody is inside `connect`
    OVER = auto()


@dataclass(slots=True, eq=False)
class WhipSession:
    """A publisher that is, or is about to be, connected; see `Connector`.

    Attributes:
        stream_id: Whose.
        ufrag: The publisher's ICE user fragment; another one is an ICE restart.
        connect_timeout_s: For ICE and DTLS, once watched.
        expires_at: Until when somebody has to watch it, monotonic seconds.
        peer: The connection; closed at the session's end.
        forget: Told at the session's end, before the peer is closed.
        candidates: How many the publisher has told of this ICE session.
        id: Unguessable; the last segment of the session's URL.
        etag: Strong entity tag of its present ICE session, quotes included.
    """

    stream_id: str
    ufrag: str
    connect_timeout_s: float
    expires_at: float
    peer: ReceivingPeer = field(repr=False)
    forget: Callable[["WhipSession"], None] = field(repr=False)
    candidates: int = 0
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    etag: str = field(default_factory=_new_tag)
    _state: _State = _State.PENDING

    @property
    def pending(self) -> bool:
        """Nobody watches it yet."""
        return self._state is _State.PENDING

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        """Waits for ICE and DTLS; works once; on exit the session is over.

        Raises:
            StreamUnavailable: It never connected, or is over or watched already.
        """
        if self._state is not _State.PENDING:
            raise StreamUnavailable(self.stream_id, "the WHIP session is over")
        self._state = _State.TAKEN
        try:
            await self.peer.wait_connected(self.connect_timeout_s)
            yield self.peer.source()
        finally:
            await self.end()

    async def patch(self, body: bytes, *, restart: bool) -> str | None:
        """Adds the publisher's candidates, to a new ICE session if it asks for one.

        New credentials are a restart, whatever If-Match says (RFC 9725 section 4.3.3).

        Returns:
            Our side of the new ICE session; None if it is the same.

        Raises:
            WhipRefusal: 400 for a malformed fragment or too many candidates.
        """
        try:
            fragment = sdp.fragment(body)
            if fragment.ufrag not in {None, self.ufrag}:
                return await self._restarted(fragment)
            if restart:
                raise WhipRefusal(400, "an ICE restart needs a new ice-ufrag")
            self._count(self.candidates + fragment.candidates)
            await self.peer.add_candidates(fragment.text)
        except ValueError as fault:
            raise WhipRefusal(400, "the fragment cannot be used") from fault
        return None

    async def _restarted(self, fragment: sdp.Fragment) -> str:
        if fragment.pwd is None:
            raise WhipRefusal(400, "an ICE restart needs a new ice-pwd")
        self._count(fragment.candidates)
        ours = await self.peer.restart_ice(fragment.text)
        assert fragment.ufrag is not None
        self.ufrag, self.etag = fragment.ufrag, _new_tag()
        return ours

    def _count(self, candidates: int) -> None:
        if candidates > sdp.MAX_CANDIDATES:
            raise WhipRefusal(400, "too many candidates")
        self.candidates = candidates

    async def end(self) -> None:
        """Frees the stream id at once, then closes the peer; may be called twice."""
        self._state = _State.OVER
        self.forget(self)
        await self.peer.close()
