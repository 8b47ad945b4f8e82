"""WHIP over HTTP: what is too much is turned down before it costs anything."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.clock import ManualClock
from sidecar.ingest.receiver import IceSettings
from sidecar.ingest.whip import WhipEndpoint, WhipSession, WhipSettings
from sidecar.stats import Stats
from sidecar.web.rate_limit import Rate
from sidecar.web.whip_routes import WhipLimits, whip_app
from tests.fakes.fake_peer import PeerFactoryFake
from tests.fakes.sdp_texts import ANSWER, FRAGMENT, OFFER

pytestmark = pytest.mark.anyio

_SDP = {"content-type": "application/sdp"}


class _Rig:
    """The routes over a fake peer, with a client in memory."""

    def __init__(
        self, whip: WhipSettings | None = None, limits: WhipLimits | None = None
    ) -> None:
        self.clock = ManualClock()
        self.peers = PeerFactoryFake()
        self.admitted: list[WhipSession] = []
        self.stats = Stats()
        self.endpoint = WhipEndpoint(
            whip or WhipSettings(),
            IceSettings(),
            self.admitted.append,
            self.clock,
            self.stats,
            peer_factory=self.peers,
        )
        self.app = whip_app(self.endpoint, limits)

    @asynccontextmanager
    async def client(
        self, address: str = "192.0.2.1"
    ) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=self.app, client=(address, 1))
        base = "http://sidecar.example"
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            yield client

    def refusals(self, status: int) -> float | None:
        return self.stats.registry.get_sample_value(
            "sidecar_http_refusals_total", {"endpoint": "whip", "status": str(status)}
        )


async def test_a_session_over_http() -> None:
    """POST, PATCH and DELETE with the headers that RFC 9725 asks for."""
    rig = _Rig()
    async with rig.client() as http:
        post = await http.post("/whip/cam", content=OFFER, headers=_SDP)
        assert (post.status_code, post.text) == (201, ANSWER)
        assert post.headers["content-type"] == "application/sdp"
        where, tag = post.headers["location"], post.headers["etag"]
        kind = {"content-type": "application/trickle-ice-sdpfrag", "if-match": tag}
        patch = await http.patch(where, content=FRAGMENT, headers=kind)
        assert (patch.status_code, patch.content) == (204, b"")
        assert (await http.delete(where)).status_code == 200
        assert (await http.delete(where)).status_code == 404
    assert rig.peers.open == 0


async def test_options_and_other_methods() -> None:
    """OPTIONS is 200 at both kinds of URL; methods kept for later are 405."""
    rig = _Rig()
    async with rig.client() as http:
        for path in ("/whip/cam", "/whip/cam/x"):
            reply = await http.options(path)
            assert reply.status_code == 200
            assert reply.headers["accept-post"] == "application/sdp"
            for method in ("GET", "HEAD", "PUT"):
                refused = await http.request(method, path)
                assert refused.status_code == 405
                assert "POST" in refused.headers["allow"]
        assert (await http.post("/whip/cam/x")).status_code == 405
        assert (await http.delete("/whip/cam")).status_code == 405
        assert (await http.get("/elsewhere")).status_code == 404
        assert (await http.get("/whip/cam/")).status_code == 404


async def test_stream_ids_from_paths() -> None:
    """A path segment that is no stream id is 400; one that hides a slash is no id."""
    rig = _Rig()
    async with rig.client() as http:
        bad = await http.post("/whip/a%20b", content=OFFER, headers=_SDP)
        assert bad.status_code == 400
        split = await http.post("/whip/a%2Fb", content=OFFER, headers=_SDP)
        assert split.status_code == 405
    assert rig.admitted == []


async def test_declared_length_is_refused_unread() -> None:
    """A Content-Length beyond the bound is 413 before a byte is read."""
    rig, read = _Rig(), []

    async def body() -> AsyncIterator[bytes]:
        read.append(1)
        yield b"x"

    async with rig.client() as http:
        headers = {**_SDP, "content-length": "9" * 30}
        reply = await http.post("/whip/cam", content=body(), headers=headers)
    assert reply.status_code == 413
    assert reply.headers["connection"] == "close"
    assert rig.refusals(413) == 1.0


async def test_undeclared_length_is_cut_while_reading() -> None:
    """A body without end is refused as soon as it passes the bound."""
    rig, sent = _Rig(WhipSettings(max_body=1000)), []

    async def receive() -> dict[str, object]:
        sent.append(100)
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    statuses: list[int] = []

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/whip/cam",
        "headers": [(b"content-type", b"application/sdp")],
        "query_string": b"",
        "client": None,
    }
    await rig.app(scope, receive, send)  # type: ignore[arg-type]
    assert statuses == [413]
    assert len(sent) == 11


async def test_body_that_never_arrives() -> None:
    """A publisher that sends no body costs its time limit: 408."""
    rig = _Rig(limits=WhipLimits(body_timeout_s=0.01))

    async def body() -> AsyncIterator[bytes]:
        yield b"v=0"
        await asyncio.Event().wait()

    async with rig.client() as http:
        reply = await http.post("/whip/cam", content=body(), headers=_SDP)
    assert reply.status_code == 408


async def test_client_that_goes_away() -> None:
    """A connection lost within the body ends quietly and is counted."""
    rig = _Rig()

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    async def send(_message: object) -> None:
        """Nobody listens."""

    scope = {"type": "http", "method": "POST", "path": "/whip/cam", "headers": []}
    await rig.app({**scope, "query_string": b""}, receive, send)
    assert rig.refusals(400) == 1.0


async def test_flood_of_one_address() -> None:
    """10,000 quick posts of one address: 429 with Retry-After, few peers."""
    rig, counts = _Rig(), Counter[int]()

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": OFFER.encode()}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            counts[message["status"]] += 1
            if message["status"] == 429:
                assert int(dict(message["headers"])[b"retry-after"]) >= 1

    scope = {"type": "http", "method": "POST", "query_string": b"", "client": ("a", 1)}
    scope["headers"] = [(b"content-type", b"application/sdp")]
    for n in range(10_000):
        await rig.app({**scope, "path": f"/whip/cam-{n}"}, receive, send)  # type: ignore[arg-type]
        rig.clock.advance(0.0001)
    assert counts.total() == 10_000
    assert counts[201] == len(rig.peers.made) == 24
    assert counts[429] == rig.refusals(429) == 10_000 - 24
    async with rig.client("192.0.2.2") as http:
        reply = await http.post("/whip/other", content=OFFER, headers=_SDP)
        assert reply.status_code == 201


async def test_flood_of_many_addresses() -> None:
    """Many addresses together are held back by 503; the peers stay few."""
    limits = WhipLimits(overall=Rate(per_s=1.0, burst=10))
    rig, statuses = _Rig(limits=limits), []
    for n in range(50):
        async with rig.client(f"192.0.2.{n}") as http:
            reply = await http.post(f"/whip/cam-{n}", content=OFFER, headers=_SDP)
            statuses.append(reply.status_code)
    assert statuses == [201] * 10 + [503] * 40
    assert len(rig.peers.made) == 10


async def test_requests_in_flight_are_bounded() -> None:
    """While max_in_flight requests wait for their bodies, more are 503 at once."""
    rig, more, waiting = _Rig(limits=WhipLimits(max_in_flight=1)), asyncio.Event(), []
    begun = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        waiting.append(1)
        begun.set()
        await more.wait()
        yield OFFER.encode()

    async with rig.client() as http, asyncio.TaskGroup() as group:
        slow = group.create_task(
            http.post("/whip/cam", content=body(), headers=_SDP), name="slow"
        )
        await begun.wait()
        refused = await http.post("/whip/other", content=OFFER, headers=_SDP)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        more.set()
    assert slow.result().status_code == 201


_DOCUMENTED = {200, 201, 204, 400, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429}
_methods = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"])
_value = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


@settings(max_examples=40, deadline=None)
@given(
    method=_methods,
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
    kind=_value | st.just("application/sdp"),
    length=st.none() | _value,
    body=st.binary(max_size=100),
)
def test_any_request(
    method: str, path: str, kind: str, length: str | None, body: bytes
) -> None:
    """Any method, path, headers and body: one of the documented statuses."""

    async def attempt() -> int:
        rig = _Rig()
        quoted = "".join(f"%{ord(ch):02x}" for ch in path)
        headers = {"content-type": kind, "if-match": kind}
        if length is not None:
            headers["content-length"] = length
        async with rig.client() as http:
            reply = await http.request(
                method, f"/whip/{quoted}", content=body, headers=headers
            )
        return reply.status_code

    assert asyncio.run(attempt()) in _DOCUMENTED
