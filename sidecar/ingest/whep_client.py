"""The HTTP side of WHEP (draft-ietf-wish-whep): POST, PATCH, DELETE; home of httpx.

A server that makes the offer itself answers 406 with it (Janus before 1.2, and its
rooms in any release): our answer then goes to the session's URL by PATCH.

Nothing but StreamError leaves this module, and no token, URL user or URL query is in
its messages. Answers are bounded in size and time.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from sidecar.clock import Clock
from sidecar.errors import (
    StreamError,
    StreamUnavailable,
    StreamUnsupported,
    UnsupportedReason,
)
from sidecar.ingest import sdp
from sidecar.ingest.http_rules import (
    FRAGMENT_TYPE,
    SDP_TYPE,
    may_follow,
    media_type,
    refusal,
    retry_after_s,
    shown,
)
from sidecar.log import get_logger

log = get_logger(__name__)

# Go servers that set no type send text/plain (seen with Pion); the body decides.
_ANSWER_TYPES: Final = frozenset({SDP_TYPE, "text/plain", ""})

_MAX_HOPS: Final = 3
_PORT_MAX: Final = 65535
_REDIRECTS: Final = frozenset({307, 308})  # the ones that keep method and body
_CREATED: Final = frozenset({200, 201})  # the draft says 201; some servers say 200
_PATCHED: Final = frozenset({200, 204})
_COUNTERED: Final = 406


@dataclass(frozen=True, slots=True)
class WhepSettings:
    """Where and how to pull.

    Attributes:
        url: The WHEP endpoint; may carry credentials, so it is never shown whole.
        token: Bearer token, sent to the endpoint's own host only.
        trickle: Send our candidates by PATCH after the offer, instead of inside it.
        connect_timeout_s: From the server's answer to ICE and DTLS being up.
        packet_timeout_s: Without a packet for this long the stream is lost.
        request_timeout_s: For each HTTP exchange, its body included.
        leave_timeout_s: For the DELETE on leaving, even when cancelled.
    """

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    trickle: bool = False
    connect_timeout_s: float = 15.0
    packet_timeout_s: float = 10.0
    request_timeout_s: float = 10.0
    leave_timeout_s: float = 3.0

    def __post_init__(self) -> None:
        token = self.token or "x"
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise ValueError("a bearer token must be visible ASCII without spaces")


@dataclass(frozen=True, slots=True)
class Joined:
    """What the server said to our offer.

    Attributes:
        text: SDP, looked at but not yet believed.
        is_offer: It is no answer, but an offer in place of ours.
    """

    text: str
    is_offer: bool = False


class WhepClient:
    """One attempt's exchanges with a WHEP server."""

    def __init__(
        self,
        stream_id: str,
        settings: WhepSettings,
        http: httpx.AsyncClient,
        clock: Clock,
    ) -> None:
        self._stream_id = stream_id
        self._settings = settings
        self._http = http
        self._clock = clock
        self._session: str | None = None
        self._etag: str | None = None

    async def join(self, offer: str) -> Joined:
        """POSTs the offer; the server's answer, or its own offer."""
        url = self._settings.url
        headers = {"Content-Type": SDP_TYPE, "Accept": SDP_TYPE}
        for _ in range(_MAX_HOPS + 1):
            async with self._request("POST", url, offer, headers) as reply:
                if reply.status_code in _REDIRECTS:
                    url = self._redirected(url, reply)
                    continue
                countered = self._countered(reply)
                if reply.status_code not in _CREATED and not countered:
                    raise self._refused(reply)
                self._remember(url, reply)
                text = await self._description(reply, is_offer=countered)
                return Joined(text, is_offer=countered)
        raise self._unsupported(f"more than {_MAX_HOPS} redirects")

    async def answer(self, answer: str) -> None:
        """PATCHes our answer to the server's offer."""
        if self._session is None:
            raise self._unsupported("no session URL to answer its offer at")
        headers = {"Content-Type": SDP_TYPE}
        async with self._request("PATCH", self._session, answer, headers) as reply:
            if reply.status_code not in _PATCHED:
                raise self._refused(reply)

    async def trickle(self, fragment: str) -> str | None:
        """PATCHes our candidates; the server's own in return, if it sends any."""
        if self._session is None:
            raise self._unsupported("no session URL to trickle candidates to")
        headers = {"Content-Type": FRAGMENT_TYPE}
        if self._etag is not None:
            headers["If-Match"] = self._etag
        async with self._request("PATCH", self._session, fragment, headers) as reply:
            status = reply.status_code
            if status not in _PATCHED:
                if 400 <= status < 500:  # noqa: PLR2004
                    message = f"PATCH answered {status}: try it with trickle off"
                    raise self._unsupported(message)
                raise self._refused(reply)
            if media_type(reply.headers.get("content-type")) != FRAGMENT_TYPE:
                return None
            return self._fragment(await self._body(reply))

    async def leave(self) -> None:
        """DELETEs the session if there is one; never fails, never takes long.

        Meant for a `finally`: a task that was cancelled once may still await it.
        """
        url, self._session = self._session, None
        if url is None:
            return
        limit = self._settings.leave_timeout_s
        try:
            async with self._request("DELETE", url, None, {}, limit) as reply:
                log.debug("whep_left", stream=self._stream_id, status=reply.status_code)
        except StreamError as error:
            log.info("whep_not_left", stream=self._stream_id, message=error.message)

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        url: str,
        content: str | None,
        headers: Mapping[str, str],
        limit_s: float | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """The reply to one request, its body still to be read; no redirect followed."""
        limit = limit_s or self._settings.request_timeout_s
        try:
            async with asyncio.timeout(limit):
                request = self._http.build_request(
                    method,
                    self._with_credentials(url),
                    content=content.encode() if content is not None else None,
                    headers={**headers, **self._standing_headers()},
                    timeout=limit,
                )
                reply = await self._http.send(
                    request, stream=True, follow_redirects=False
                )
                try:
                    yield reply
                finally:
                    await reply.aclose()
        except TimeoutError:
            message = f"{shown(url)} did not answer within {limit:g} s"
            raise StreamUnavailable(self._stream_id, message) from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as exc:
            message = f"{shown(url)} cannot be reached: {type(exc).__name__}"
            raise StreamUnavailable(self._stream_id, message) from exc

    def _standing_headers(self) -> dict[str, str]:
        # Compressed answers are not asked for: one could swell beyond any bound.
        headers = {"Accept-Encoding": "identity"}
        if self._settings.token is not None:
            headers["Authorization"] = f"Bearer {self._settings.token}"
        return headers

    def _with_credentials(self, url: str) -> httpx.URL:
        """`url` with the endpoint's own user part, or none if there is a token."""
        # httpx would let the URL's user part override the Authorization header.
        mine = b"" if self._settings.token else httpx.URL(self._settings.url).userinfo
        whole = httpx.URL(url).copy_with(userinfo=mine)
        # A host that IDNA refuses and a port out of range come out of httpx and anyio
        # as errors of their own, the latter in a group.
        if not (whole.host and 0 < (whole.port or 80) <= _PORT_MAX):
            raise httpx.InvalidURL("no usable host and port")
        return whole

    def _redirected(self, here: str, reply: httpx.Response) -> str:
        there = self._resolved(here, reply)
        if there is None:
            raise self._unsupported("redirected to another host, which is refused")
        return there

    def _resolved(self, here: str, reply: httpx.Response) -> str | None:
        """The reply's Location as a URL that credentials may be sent to, or None."""
        location = reply.headers.get("location")
        if not location:
            return None
        there = str(httpx.URL(here).join(location))
        return there if may_follow(here, there) else None

    def _remember(self, here: str, reply: httpx.Response) -> None:
        """Takes note of the session, so that `leave` can end it whatever comes."""
        self._session = self._resolved(here, reply)
        etag = reply.headers.get("etag", "")
        self._etag = etag if etag.isascii() and etag.isprintable() and etag else None
        if self._session is None:
            log.warning("whep_no_session_url", stream=self._stream_id)

    async def _body(self, reply: httpx.Response) -> bytes:
        if reply.headers.get("content-encoding", "identity").lower() != "identity":
            raise self._unsupported("the answer is compressed, which was not asked for")
        body = bytearray()
        async for chunk in reply.aiter_raw():
            body += chunk
            if len(body) > sdp.MAX_BYTES:
                raise self._unsupported("the answer is too long to be SDP")
        return bytes(body)

    @staticmethod
    def _countered(reply: httpx.Response) -> bool:
        """Whether the refusal of our offer carries one of the server's."""
        kind = media_type(reply.headers.get("content-type"))
        return reply.status_code == _COUNTERED and kind == SDP_TYPE

    async def _description(self, reply: httpx.Response, *, is_offer: bool) -> str:
        """The server's session description, if it can be used."""
        body = await self._body(reply)
        if media_type(reply.headers.get("content-type")) not in _ANSWER_TYPES:
            raise self._unsupported(f"the answer is not {SDP_TYPE}")
        try:
            return (sdp.offer if is_offer else sdp.answer)(body).text
        except sdp.SdpError as exc:
            codec = exc.fault is sdp.SdpFault.CODEC
            reason = UnsupportedReason.CODEC if codec else UnsupportedReason.REFUSED
            word = "offer" if is_offer else "answer"
            message = f"the WHEP server's {word} cannot be used: {exc}"
            raise StreamUnsupported(self._stream_id, message, reason=reason) from exc

    def _fragment(self, body: bytes) -> str:
        try:
            return sdp.fragment(body).text
        except sdp.SdpError as exc:
            raise self._unsupported(f"its candidates cannot be used: {exc}") from exc

    def _refused(self, reply: httpx.Response) -> StreamError:
        wish = retry_after_s(reply.headers.get("retry-after"), self._clock.wall())
        return refusal(self._stream_id, reply.status_code, wish)

    def _unsupported(self, message: str) -> StreamUnsupported:
        return StreamUnsupported(self._stream_id, f"WHEP server: {message}")
