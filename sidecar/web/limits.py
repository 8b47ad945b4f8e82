"""Bounds on one HTTP request: how large its body, and how long it may take."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.stats import Stats
from sidecar.web.problems import ProblemResponse

_CLOSE: Final = {"Connection": "close"}


class _TooLarge(Exception):
    """The body has passed the limit."""


class _Gone(Exception):
    """The client left before its body was whole."""


class RequestLimits:
    """ASGI middleware that reads the whole body, bounded, before the app sees it.

    Args:
        app: Gets the body as one message.
        stats: Refusals are counted there, under endpoint `control`.
        max_body: Bytes; a larger body is answered 413 and the connection closed.
        timeout_s: For body, handler and a slow reader together; then 408 or, once the
            answer has begun, the connection is cut.
        endless: Paths whose answers have no end, and mind slow readers themselves:
            there it is for the body alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        stats: Stats,
        max_body: int = 65_536,
        timeout_s: float = 30.0,
        endless: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._stats = stats
        self._max_body = max_body
        self._timeout_s = timeout_s
        self._endless = endless

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers through the app, or with 408 or 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noting_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        deadline = asyncio.timeout(self._timeout_s)
        try:
            async with deadline:
                body = await self._body(scope, receive)
                if scope.get("path") in self._endless:
                    deadline.reschedule(None)
                await self._app(scope, _replay(body, receive), noting_send)
        except _Gone:
            return
        except _TooLarge:
            await self._refuse(413, "too_large")(scope, receive, send)
        except TimeoutError:
            if begun or not deadline.expired():
                raise
            await self._refuse(408, "too_slow")(scope, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        if _declared(scope) > self._max_body:
            raise _TooLarge
        chunks = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            chunks += message.get("body", b"")
            if len(chunks) > self._max_body:
                raise _TooLarge
            if not message.get("more_body", False):
                return bytes(chunks)

    def _refuse(self, status: int, code: str) -> ProblemResponse:
        self._stats.http_refusals.labels("control", str(status)).inc()
        detail = f"at most {self._max_body} bytes within {self._timeout_s:g} s"
        return ProblemResponse(status, code, detail, headers=_CLOSE)


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name.lower() == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _replay(body: bytes, receive: Receive) -> Receive:
    """Gives the read body once, then whatever the connection says."""
    messages: list[Message] = [
        {"type": "http.request", "body": body, "more_body": False}
    ]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
