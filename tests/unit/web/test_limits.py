"""What must hold of the bounds on one request."""

import asyncio
from collections.abc import Iterable

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from sidecar.stats import Stats
from sidecar.web.limits import RequestLimits


class _Peer:
    """The server's side of ASGI: gives messages, collects the answer."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._messages = list(messages)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if not self._messages:
            await anyio.sleep_forever()
        return self._messages.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])


def _chunk(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def _scope(*headers: tuple[bytes, bytes], kind: str = "http") -> Scope:
    return {"type": kind, "headers": list(headers), "method": "PUT"}


async def _echo(_scope: Scope, receive: Receive, send: Send) -> None:
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


@pytest.mark.anyio
async def test_a_body_in_pieces_arrives_whole_and_once() -> None:
    """The app gets one message; after it, what the connection says."""
    peer = _Peer(
        [
            _chunk(b"ab", more=True),
            _chunk(b"c", more=False),
            {"type": "http.disconnect"},
        ]
    )
    after: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _echo(scope, receive, send)
        after.append(await receive())

    await RequestLimits(app, Stats(), max_body=3)(_scope(), peer.receive, peer.send)
    assert peer.sent[1]["body"] == b"abc"
    assert after == [{"type": "http.disconnect"}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "messages"),
    [
        ([(b"Content-Length", b"4")], []),
        ([(b"content-length", b"9" * 5000)], []),
        ([], [_chunk(b"ab", more=True), _chunk(b"cd", more=True)]),
    ],
)
async def test_too_large_is_413_and_closes(
    headers: list[tuple[bytes, bytes]], messages: list[Message]
) -> None:
    """Refused by its declared length, or as soon as it passes the limit."""
    peer = _Peer(messages)
    stats = Stats()
    limits = RequestLimits(_echo, stats, max_body=3)
    await limits(_scope(*headers), peer.receive, peer.send)
    assert peer.status == 413
    assert (b"connection", b"close") in peer.sent[0]["headers"]
    assert b'status="413"} 1.0' in stats.render()


@pytest.mark.anyio
async def test_a_dripping_body_is_408() -> None:
    """A client that never finishes its body does not hold the request for ever."""
    peer = _Peer([_chunk(b"a", more=True)])
    limits = RequestLimits(_echo, Stats(), timeout_s=0.01)
    await limits(_scope(), peer.receive, peer.send)
    assert peer.status == 408


@pytest.mark.anyio
async def test_a_reader_that_stalls_ends_the_request() -> None:
    """Once the answer has begun there is no second one: the error ends it."""
    peer = _Peer([_chunk(b"", more=False)])

    async def stalls(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await anyio.sleep_forever()

    limits = RequestLimits(stalls, Stats(), timeout_s=0.01)
    with pytest.raises(TimeoutError):
        await limits(_scope(), peer.receive, peer.send)
    assert len(peer.sent) == 1


@pytest.mark.anyio
async def test_the_apps_own_timeout_is_not_ours() -> None:
    """A TimeoutError out of the app is a bug to be seen, not a 408."""
    peer = _Peer([_chunk(b"", more=False)])

    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        async with asyncio.timeout(0):
            await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        await RequestLimits(fails, Stats())(_scope(), peer.receive, peer.send)
    assert peer.sent == []


@pytest.mark.anyio
async def test_a_client_that_leaves_is_not_answered() -> None:
    """A body cut by the end of the connection reaches no handler."""
    peer = _Peer([_chunk(b"a", more=True), {"type": "http.disconnect"}])
    await RequestLimits(_echo, Stats())(_scope(), peer.receive, peer.send)
    assert peer.sent == []


@pytest.mark.anyio
async def test_other_protocols_pass() -> None:
    """Only HTTP requests have bodies to bound."""
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    peer = _Peer([])
    limits = RequestLimits(app, Stats())
    await limits(_scope(kind="lifespan"), peer.receive, peer.send)
    assert seen == ["lifespan"]
