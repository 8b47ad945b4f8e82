"""A WHEP server as the draft has it, and as badly behaved as a test wants it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.fakes.sdp_texts import ANSWER


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Said:
    """One response to give."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


async def _fixed_answer(_offer: str) -> str:
    return ANSWER


class WhepServer:
    """An ASGI application.

    Attributes:
        seen: Every request, in order.
        said: Per method the replies to give before behaving well, first one first.
        held: While cleared, requests are not answered.
        arrived: Set at each request.
        sessions: The sessions that live.
    """

    def __init__(self, answer: Callable[[str], Awaitable[str]] = _fixed_answer) -> None:
        self._answer = answer
        self.seen: list[Seen] = []
        self.said: dict[str, list[Said]] = {}
        self.held = asyncio.Event()
        self.held.set()
        self.arrived = asyncio.Event()
        self.sessions: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = (await request.body()).decode()
        self.seen.append(
            Seen(request.method, str(request.url), dict(request.headers), body)
        )
        self.arrived.set()
        await self.held.wait()
        said = self.said.get(request.method)
        reply = said.pop(0) if said else await self._well(request, body)
        response = Response(reply.body, reply.status, dict(reply.headers))
        await response(scope, receive, send)

    async def _well(self, request: Request, body: str) -> Said:
        """As the draft says."""
        path = request.url.path
        if request.method == "POST":
            session = f"/session/{len(self.seen)}"
            self.sessions.add(session)
            headers = {
                "Content-Type": "application/sdp",
                "Location": session,
                "ETag": '"one"',
            }
            return Said(201, headers, (await self._answer(body)).encode())
        if path not in self.sessions:
            return Said(404)
        if request.method == "DELETE":
            self.sessions.discard(path)
            return Said(200)
        return Said(204 if request.headers.get("if-match") == '"one"' else 412)
