"""The WHIP endpoint (RFC 9725) without its transport: requests in, replies out.

Decisions the RFC leaves open:

- A taken stream id is answered 409 with Retry-After: no one can cut off a publisher on
  air. One that closed its connection is gone at once, one that crashed after the packet
  watchdog.
- A stream with a token of its own takes only that; the shared one opens the others.
- No codec in common, and any number of video tracks but one, are answered 406.
- Trickle ICE and ICE restarts are taken. ETags are always given, so a PATCH without
  If-Match is answered 428, one with another tag 412.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sidecar.clock import Clock
from sidecar.domain import UnknownReason
from sidecar.errors import StreamError, StreamUnsupported, UnsupportedReason
from sidecar.ingest import sdp, whip_reply
from sidecar.ingest.http_rules import FRAGMENT_TYPE, SDP_TYPE, same_token
from sidecar.ingest.peer import PeerFactory, ReceivingPeer, real_peers
from sidecar.ingest.receiver import IceSettings
from sidecar.ingest.whip_door import (
    WhipSettings,
    check_body,
    check_token,
    restarts,
)
from sidecar.ingest.whip_reply import WhipRefusal, WhipReply, busy
from sidecar.ingest.whip_session import WhipSession
from sidecar.log import get_logger
from sidecar.stats import Stats

__all__ = ["WhipEndpoint", "WhipReply", "WhipSession", "WhipSettings"]

log = get_logger(__name__)

_BUSY_S: Final = 5.0


@dataclass(slots=True)
class WhipEndpoint:
    """Takes publishers in.

    Attributes:
        settings: Who may publish, and how much.
        ice: How candidates are gathered.
        admit: Told of each new session; has to see to it that somebody enters its
            `connect` soon. May raise StreamError: the publisher is then answered 503.
        clock: Monotonic time for sessions that nobody watches.
        stats: `http_refusals` and the receiver's counters.
        refused: Told stream, reason and message where nothing offered can be decoded,
            so that the stream shows as UNKNOWN.
        peer_factory: Makes the connections; None: the real one.
    """

    settings: WhipSettings
    ice: IceSettings
    admit: Callable[[WhipSession], None]
    clock: Clock
    stats: Stats
    refused: Callable[[str, UnknownReason, str], None] | None = None
    peer_factory: PeerFactory | None = None
    _sessions: dict[str, WhipSession] = field(default_factory=dict, init=False)
    _negotiating: set[str] = field(default_factory=set, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def session_count(self) -> int:
        """Sessions alive, those still negotiating included."""
        return len(self._sessions) + len(self._negotiating)

    async def post(
        self, stream_id: str, headers: Mapping[str, str], body: bytes
    ) -> WhipReply:
        """201 with answer, Location and ETag; or 4xx, 503 with a line of text."""
        try:
            reply = await self._post(stream_id, headers, body)
        except WhipRefusal as refusal:
            return self.refuse(refusal, headers)
        return self._with_cors(reply, headers)

    async def delete(
        self, stream_id: str, session_id: str, headers: Mapping[str, str]
    ) -> WhipReply:
        """200 and the session is over; 401, 403, 404."""
        try:
            session = self._session(stream_id, session_id, headers)
        except WhipRefusal as refusal:
            return self.refuse(refusal, headers)
        log.info("whip_left", stream=stream_id)
        await session.end()
        return self._with_cors(WhipReply(200), headers)

    async def patch(
        self,
        stream_id: str,
        session_id: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> WhipReply:
        """204 and the candidates are taken; 200 with our side of a new ICE session.

        Or 400…404, 412, 413, 415, 428, 503.
        """
        try:
            session = self._session(stream_id, session_id, headers)
            reply = await self._patch(session, headers, body)
        except WhipRefusal as refusal:
            return self.refuse(refusal, headers)
        return self._with_cors(reply, headers)

    def options(self, _stream_id: str | None, headers: Mapping[str, str]) -> WhipReply:
        """200, with CORS headers for allowed origins. Asks for no token (RFC 9725)."""
        return whip_reply.options(whip_reply.cors(headers, self.settings.allow_origins))

    async def reap(self) -> int:
        """Ends admitted sessions that nobody came to watch; how many."""
        now = self.clock.monotonic()
        late = [s for s in self._sessions.values() if s.pending and now > s.expires_at]
        for session in late:
            log.warning("whip_never_watched", stream=session.stream_id)
            await session.end()
        return len(late)

    async def close(self) -> None:
        """Takes no one in any more and ends all sessions."""
        self._closed = True
        for session in tuple(self._sessions.values()):
            await session.end()

    async def _post(
        self, stream_id: str, headers: Mapping[str, str], body: bytes
    ) -> WhipReply:
        check_token(self.settings, stream_id, headers)
        check_body(self.settings, headers, body, SDP_TYPE)
        await self.reap()
        self._check_room(stream_id)
        self._negotiating.add(stream_id)
        try:
            offer = self._offer(stream_id, body)
            session, answer = await self._negotiate(stream_id, offer)
        finally:
            self._negotiating.discard(stream_id)
        log.info("whip_joined", stream=stream_id)
        told = whip_reply.links(self.settings.publisher_ice_servers)
        told["Content-Type"] = SDP_TYPE
        told["ETag"] = session.etag
        told["Location"] = f"{self.settings.path_prefix}/{stream_id}/{session.id}"
        return WhipReply(201, told, answer.encode())

    def _check_room(self, stream_id: str) -> None:
        if self._closed:
            raise busy(503, "shutting down", _BUSY_S)
        if stream_id in self._sessions or stream_id in self._negotiating:
            raise busy(409, "published already", self.settings.packet_timeout_s)
        if self.session_count >= self.settings.max_sessions:
            raise busy(503, "no room for another publisher", _BUSY_S)

    def _offer(self, stream_id: str, body: bytes) -> sdp.Description:
        try:
            return sdp.offer(body)
        except sdp.SdpError as fault:
            raise self._unusable(stream_id, str(fault), fault.fault) from fault

    def _unusable(
        self, stream_id: str, message: str, fault: sdp.SdpFault
    ) -> WhipRefusal:
        """400 or 406; a codec that cannot be decoded makes the stream UNKNOWN."""
        if fault is sdp.SdpFault.CODEC:
            log.info("whip_undecodable", stream=stream_id, message=message)
            if self.refused is not None:
                self.refused(stream_id, UnknownReason.UNDECODABLE_CODEC, message)
        return WhipRefusal(400 if fault is sdp.SdpFault.MALFORMED else 406, message)

    async def _negotiate(
        self, stream_id: str, offer: sdp.Description
    ) -> tuple[WhipSession, str]:
        """The admitted session and its answer; else the peer is closed again."""
        wait = self.settings.packet_timeout_s
        real = real_peers(self.ice, self.clock, self.stats, wait)
        peer, session = (self.peer_factory or real)(stream_id), None
        try:
            async with asyncio.timeout(self.settings.connect_timeout_s):
                answer = await peer.answer_to(offer.text)
            session = self._admitted(stream_id, peer, offer)
        except StreamUnsupported as error:
            codec = error.reason is UnsupportedReason.CODEC
            fault = sdp.SdpFault.CODEC if codec else sdp.SdpFault.MALFORMED
            raise self._unusable(stream_id, error.message, fault) from error
        except StreamError as error:
            raise busy(503, "not now", error.retry_after_s or _BUSY_S) from error
        except TimeoutError as error:
            raise busy(503, "the answer took too long", _BUSY_S) from error
        finally:
            if session is None:
                await peer.close()
        return session, answer

    def _admitted(
        self, stream_id: str, peer: ReceivingPeer, offer: sdp.Description
    ) -> WhipSession:
        session = WhipSession(
            stream_id=stream_id,
            ufrag=offer.ufrag,
            connect_timeout_s=self.settings.connect_timeout_s,
            expires_at=self.clock.monotonic() + self.settings.connect_timeout_s,
            peer=peer,
            forget=self._forget,
            candidates=offer.candidates,
        )
        if self._closed:
            raise busy(503, "shutting down", _BUSY_S)
        self._sessions[stream_id] = session
        try:
            self.admit(session)
        except StreamError:
            self._forget(session)
            raise
        return session

    def _forget(self, session: WhipSession) -> None:
        if self._sessions.get(session.stream_id) is session:
            del self._sessions[session.stream_id]

    def _session(
        self, stream_id: str, session_id: str, headers: Mapping[str, str]
    ) -> WhipSession:
        check_token(self.settings, stream_id, headers)
        session = self._sessions.get(stream_id)
        if session is None or not same_token(session_id, session.id):
            raise WhipRefusal(404, "no such session")
        return session

    async def _patch(
        self, session: WhipSession, headers: Mapping[str, str], body: bytes
    ) -> WhipReply:
        check_body(self.settings, headers, body, FRAGMENT_TYPE)
        restart = restarts(headers, session.etag)
        try:
            ours = await session.patch(body, restart=restart)
        except StreamError as error:
            raise busy(503, "not now", error.retry_after_s or _BUSY_S) from error
        if ours is None:
            return WhipReply(204)
        log.info("whip_ice_restarted", stream=session.stream_id)
        told = {"Content-Type": FRAGMENT_TYPE, "ETag": session.etag}
        return WhipReply(200, told, ours.encode())

    def refuse(self, refusal: WhipRefusal, headers: Mapping[str, str]) -> WhipReply:
        """The reply to a refusal, counted; the transport's own (405, 429 …) too."""
        status = str(refusal.status)
        self.stats.http_refusals.labels(endpoint="whip", status=status).inc()
        return self._with_cors(refusal.reply(), headers)

    def _with_cors(self, reply: WhipReply, headers: Mapping[str, str]) -> WhipReply:
        allowed = whip_reply.cors(headers, self.settings.allow_origins)
        return WhipReply(reply.status, {**reply.headers, **allowed}, reply.body)
