"""The WHIP endpoint over HTTP: bounds first, then `ingest.whip` decides."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.clock import Clock
from sidecar.ingest.whip_reply import METHODS, WhipRefusal, WhipReply, busy
from sidecar.web.rate_limit import ClientBuckets, Rate, TokenBucket

_EVERY_METHOD: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_CLOSE: Final = {"Connection": "close"}  # the rest of the body is not read
_PER_CLIENT: Final = Rate(per_s=5.0, burst=20)
_OVERALL: Final = Rate(per_s=50.0, burst=200)


class Settings(Protocol):
    """What the routes read of `WhipSettings`."""

    @property
    def path_prefix(self) -> str:
        """Of all routes."""
        ...

    @property
    def max_body(self) -> int:
        """Bytes."""
        ...


class WhipEndpoint(Protocol):
    """What the routes need of `ingest.whip.WhipEndpoint`.

    Only its shape, for the real one brings aiortc along, which is not for this layer.
    """

    @property
    def settings(self) -> Settings:
        """Prefix and bounds."""
        ...

    @property
    def clock(self) -> Clock:
        """For the rates."""
        ...

    async def post(
        self, stream_id: str, headers: Mapping[str, str], body: bytes
    ) -> WhipReply:
        """A publisher comes."""
        ...

    async def patch(
        self, stream_id: str, session_id: str, headers: Mapping[str, str], body: bytes
    ) -> WhipReply:
        """It trickles candidates."""
        ...

    async def delete(
        self, stream_id: str, session_id: str, headers: Mapping[str, str]
    ) -> WhipReply:
        """It leaves."""
        ...

    def options(
        self, stream_id: str | None, headers: Mapping[str, str], /
    ) -> WhipReply:
        """A page asks what it may do."""
        ...

    def refuse(self, refusal: WhipRefusal, headers: Mapping[str, str]) -> WhipReply:
        """The reply to a refusal of the routes' own, counted."""
        ...


@dataclass(frozen=True, slots=True)
class WhipLimits:
    """What strangers may cost.

    Attributes:
        per_client: Requests of one address. Behind a proxy let the server take the
            address from its headers, or all publishers share this one rate.
        overall: Requests of all addresses together.
        max_in_flight: Requests being read or answered at once.
        body_timeout_s: For a body to arrive whole.
    """

    per_client: Rate = _PER_CLIENT
    overall: Rate = _OVERALL
    max_in_flight: int = 64
    body_timeout_s: float = 10.0


def whip_app(endpoint: WhipEndpoint, limits: WhipLimits | None = None) -> Starlette:
    """An application that serves `endpoint` under its path prefix, and nothing else."""
    app = Starlette(routes=whip_routes(endpoint, limits))
    app.router.redirect_slashes = False  # it would redirect to what Host says
    return app


def whip_routes(
    endpoint: WhipEndpoint, limits: WhipLimits | None = None
) -> list[Route]:
    """The routes of `whip_app`, for an application that serves more than WHIP."""
    door = _Door(endpoint, limits or WhipLimits())
    prefix = endpoint.settings.path_prefix

    async def at_stream(request: Request) -> Response:
        """`{prefix}/{stream}`: POST and OPTIONS."""
        return await door.enter(request)

    async def at_session(request: Request) -> Response:
        """`{prefix}/{stream}/{session}`: PATCH, DELETE and OPTIONS."""
        return await door.enter(request)

    return [
        Route(f"{prefix}/{{stream}}", at_stream, methods=_EVERY_METHOD),
        Route(f"{prefix}/{{stream}}/{{session}}", at_session, methods=_EVERY_METHOD),
    ]


class _Door:
    """Lets a bounded number of requests through to the endpoint."""

    def __init__(self, endpoint: WhipEndpoint, limits: WhipLimits) -> None:
        self._endpoint = endpoint
        self._limits = limits
        self._clients = ClientBuckets(limits.per_client)
        self._all = TokenBucket(limits.overall, endpoint.clock.monotonic())
        self._in_flight = 0

    async def enter(self, request: Request) -> Response:
        """The response to any request under the prefix."""
        headers = dict(request.headers)
        try:
            self._check_rate(request)
            self._in_flight += 1
            try:
                reply = await self._answered(request, headers)
            finally:
                self._in_flight -= 1
        except WhipRefusal as refusal:
            reply = self._endpoint.refuse(refusal, headers)
        return Response(reply.body, reply.status, dict(reply.headers))

    def _check_rate(self, request: Request) -> None:
        """Refuses by 429 a client, by 503 all together, that ask too often."""
        now = self._endpoint.clock.monotonic()
        client = request.client.host if request.client else ""
        if wait := self._clients.take(client, now):
            raise busy(429, "too many requests from this address", wait)
        if wait := self._all.take(now):
            raise busy(503, "too many requests", wait)
        if self._in_flight >= self._limits.max_in_flight:
            raise busy(503, "too many requests at once", 1.0)

    async def _answered(
        self, request: Request, headers: Mapping[str, str]
    ) -> WhipReply:
        stream = str(request.path_params["stream"])
        session = request.path_params.get("session")
        match request.method, session:
            case "OPTIONS", _:
                return self._endpoint.options(stream, headers)
            case "POST", None:
                body = await self._body(request)
                return await self._endpoint.post(stream, headers, body)
            case "PATCH", str():
                body = await self._body(request)
                return await self._endpoint.patch(stream, session, headers, body)
            case "DELETE", str():
                return await self._endpoint.delete(stream, session, headers)
        raise WhipRefusal(405, "not here", {"Allow": METHODS, **_CLOSE})

    async def _body(self, request: Request) -> bytes:
        """The body, refused by 413 as soon as it is too long, by 408 if too slow."""
        most = self._endpoint.settings.max_body
        told = request.headers.get("content-length", "")
        if told.isdigit() and int(told[:12]) > most:
            raise WhipRefusal(413, f"at most {most} bytes", _CLOSE)
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_timeout_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > most:
                        raise WhipRefusal(413, f"at most {most} bytes", _CLOSE)
        except TimeoutError:
            raise WhipRefusal(408, "the body did not arrive", _CLOSE) from None
        except ClientDisconnect:
            raise WhipRefusal(400, "the client went away", _CLOSE) from None
        return bytes(body)
