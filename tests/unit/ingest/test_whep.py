"""The WHEP client against a server in memory, well and badly behaved."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sidecar.clock import ManualClock
from sidecar.errors import (
    StreamError,
    StreamUnavailable,
    StreamUnsupported,
    UnsupportedReason,
)
from sidecar.ingest.receiver import IceSettings
from sidecar.ingest.source import AccessUnitSource
from sidecar.ingest.whep import WhepConnector, WhepSettings
from sidecar.ingest.whep_client import WhepClient
from sidecar.stats import Stats
from tests.fakes.fake_peer import PeerFactoryFake
from tests.fakes.sdp_texts import ANSWER, FRAGMENT, OFFER, description
from tests.fakes.whep_server import Said, WhepServer

pytestmark = pytest.mark.anyio

_URL = "http://media.example/whep/cam"
_SECRET = "s3cr3t-token"  # noqa: S105 -- made up
_SDP = {"Content-Type": "application/sdp"}


class _Rig:
    """A connector wired to a server in memory."""

    def __init__(
        self, whep: WhepSettings | None = None, *, fails: StreamError | None = None
    ) -> None:
        self.server = WhepServer()
        self.peers = PeerFactoryFake(fails)
        self.whep = whep or WhepSettings(url=_URL, token=_SECRET)

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        transport = httpx.ASGITransport(app=self.server)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
            connector = WhepConnector(
                stream_id="cam",
                settings=self.whep,
                ice=IceSettings(),
                http=http,
                clock=ManualClock(),
                stats=Stats(),
                peer_factory=self.peers,
            )
            async with connector.connect() as source:
                yield source

    async def error(self) -> StreamError:
        """The error of one attempt; afterwards nothing may be left."""
        with pytest.raises(StreamError) as caught:
            async with self.connect():
                pass
        assert self.peers.open == 0
        assert _SECRET not in str(caught.value)
        return caught.value

    def say(self, method: str, *said: Said) -> None:
        self.server.said[method] = list(said)

    @property
    def methods(self) -> list[str]:
        return [seen.method for seen in self.server.seen]


async def test_joins_and_leaves() -> None:
    """Offer by POST, answer taken, and DELETE with the token at the session's URL."""
    rig = _Rig()
    async with rig.connect():
        assert rig.peers.made[0].accepted == ANSWER
        assert len(rig.server.sessions) == 1
    post, delete = rig.server.seen
    assert post.body == OFFER
    assert post.headers["content-type"] == "application/sdp"
    assert post.headers["accept"] == "application/sdp"
    assert post.headers["authorization"] == f"Bearer {_SECRET}"
    assert (delete.method, delete.url) == ("DELETE", "http://media.example/session/1")
    assert delete.headers["authorization"] == f"Bearer {_SECRET}"
    assert rig.server.sessions == set()
    assert rig.peers.open == 0


async def test_without_token_none_is_sent() -> None:
    """No token, no Authorization header."""
    rig = _Rig(WhepSettings(url=_URL))
    async with rig.connect():
        pass
    assert "authorization" not in rig.server.seen[0].headers


async def test_user_part_is_basic_authorization() -> None:
    """A URL's user part is sent as Basic to all its URLs, but gives way to a token."""
    rig = _Rig(WhepSettings(url="http://u:pw@media.example/whep"))
    async with rig.connect():
        pass
    kinds = {seen.headers["authorization"].split()[0] for seen in rig.server.seen}
    assert kinds == {"Basic"}
    rig = _Rig(WhepSettings(url="http://u:pw@media.example/whep", token=_SECRET))
    async with rig.connect():
        pass
    assert rig.server.seen[0].headers["authorization"] == f"Bearer {_SECRET}"


@pytest.mark.parametrize(
    ("location", "left_at"),
    [
        ("/s/1", "http://media.example/s/1"),
        ("s/1", "http://media.example/whep/s/1"),
        ("http://media.example/s/1", "http://media.example/s/1"),
        ("http://x:y@media.example/s/1", "http://media.example/s/1"),
        ("http://evil.example/s/1", None),
        ("//evil.example/s/1", None),
        ("http://[broken/", None),
        ("", None),
    ],
)
async def test_location(location: str, left_at: str | None) -> None:
    """Relative or absolute, but never at another host: no token goes there."""
    rig = _Rig()
    rig.say("POST", Said(201, {**_SDP, "Location": location}, ANSWER.encode()))
    try:
        async with rig.connect():
            pass
    except StreamUnavailable:
        assert location == "http://[broken/"
    deleted = [seen.url for seen in rig.server.seen if seen.method == "DELETE"]
    assert deleted == ([left_at] if left_at else [])


async def test_redirect_on_the_same_host() -> None:
    """307 and 308 are followed with body and token, and Location counts from there."""
    rig = _Rig()
    rig.say("POST", Said(307, {"Location": "/a"}), Said(308, {"Location": "b"}))
    async with rig.connect():
        pass
    assert [seen.url for seen in rig.server.seen[:3]] == [
        _URL,
        "http://media.example/a",
        "http://media.example/b",
    ]
    assert rig.server.seen[2].body == OFFER


@pytest.mark.parametrize(
    "said",
    [
        Said(307, {"Location": "http://evil.example/whep"}),
        Said(308, {"Location": "http://media.example:8080/whep"}),
        Said(307, {"Location": "ftp://media.example/whep"}),
        Said(307),
        Said(301, {"Location": "/a"}),
        Said(303, {"Location": "/a"}),
    ],
)
async def test_refused_redirects(said: Said) -> None:
    """Other hosts, and redirects that would change the method, are not followed."""
    rig = _Rig()
    rig.say("POST", said)
    assert isinstance(await rig.error(), StreamUnsupported)
    assert len(rig.server.seen) == 1


async def test_redirect_loop() -> None:
    """After three hops it is enough."""
    rig = _Rig()
    rig.say("POST", *[Said(307, {"Location": "/whep/cam"})] * 9)
    assert "redirects" in (await rig.error()).message
    assert len(rig.server.seen) == 4


@pytest.mark.parametrize(
    ("status", "headers", "kind", "wait"),
    [
        (401, {}, StreamUnavailable, 60.0),
        (403, {"Retry-After": "600"}, StreamUnavailable, 600.0),
        (404, {}, StreamUnavailable, None),
        (409, {"Retry-After": "3"}, StreamUnavailable, 3.0),
        (503, {"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT"}, StreamUnavailable, 60),
        (500, {"Retry-After": "nonsense"}, StreamUnavailable, None),
        (400, {}, StreamUnsupported, None),
        (406, {"Content-Type": "text/plain"}, StreamUnsupported, None),
        (415, {}, StreamUnsupported, None),
        (202, {}, StreamUnsupported, None),
    ],
)
async def test_refusals(
    status: int,
    headers: dict[str, str],
    kind: type[StreamError],
    wait: float | None,
) -> None:
    """Each status leads to the error and the wait that its meaning asks for."""
    rig = _Rig()
    rig.say("POST", Said(status, headers, OFFER.encode()))
    error = await rig.error()
    assert type(error) is kind
    assert error.retry_after_s == wait
    assert rig.methods == ["POST"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (_SDP, b""),
        (_SDP, b"\x00\xff" * 100),
        (_SDP, b"v=0\r\n" + b"a=x\r\n" * 30_000),
        (_SDP, OFFER.replace("a=fingerprint", "a=x").encode()),
        ({"Content-Type": "text/html"}, b"<html>"),
        ({"Content-Type": "application/json"}, ANSWER.encode()),
        ({**_SDP, "Content-Encoding": "gzip"}, b"\x1f\x8b bomb"),
    ],
)
async def test_unusable_answers_are_left(headers: dict[str, str], body: bytes) -> None:
    """Garbage, another type or too much is unsupported, and the session is ended."""
    rig = _Rig()
    rig.say("POST", Said(201, {**headers, "Location": "/s/1"}, body))
    assert isinstance(await rig.error(), StreamUnsupported)
    assert rig.methods == ["POST", "DELETE"]


async def test_rejected_video_is_about_the_codec() -> None:
    """A server whose stream has none of our codecs rejects the section: UNKNOWN."""
    rig = _Rig()
    answer = description("VP9", port=0).encode()
    rig.say("POST", Said(201, {**_SDP, "Location": "/s/1"}, answer))
    error = await rig.error()
    assert isinstance(error, StreamUnsupported)
    assert error.reason is UnsupportedReason.CODEC


async def test_peer_that_fails_closes_everything() -> None:
    """A peer that cannot offer is closed, and the server is not bothered."""
    rig = _Rig(fails=StreamUnavailable("cam", "no port left"))
    assert (await rig.error()).message == "no port left"
    assert rig.methods == []


async def test_no_connection_leaves_the_server() -> None:
    """Where ICE never connects, the session is deleted as well."""
    rig = _Rig(WhepSettings(url=_URL, connect_timeout_s=0.001))
    rig.peers.connects = False
    assert isinstance(await rig.error(), StreamUnavailable)
    assert rig.methods == ["POST", "DELETE"]


async def test_server_that_hangs() -> None:
    """A server that never answers costs the request's time limit, no more."""
    rig = _Rig(WhepSettings(url=_URL, request_timeout_s=0.01))
    rig.server.held.clear()
    assert "did not answer" in (await rig.error()).message


async def test_delete_that_hangs_or_fails() -> None:
    """Leaving is bounded in time and never fails."""
    rig = _Rig(WhepSettings(url=_URL, leave_timeout_s=0.01))
    async with rig.connect():
        rig.server.held.clear()
    assert rig.methods == ["POST", "DELETE"]
    rig = _Rig()
    rig.say("DELETE", Said(500))
    async with rig.connect():
        pass
    assert rig.peers.open == 0


async def test_cancelled_stream_still_leaves() -> None:
    """Cancellation while watching: DELETE is sent, the peer closed, nothing eaten."""
    rig, watching = _Rig(), asyncio.Event()

    async def watch() -> None:
        async with rig.connect():
            watching.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch(), name="watch")
        await watching.wait()
        task.cancel()
    assert task.cancelled()
    assert rig.methods == ["POST", "DELETE"]
    assert rig.server.sessions == set()
    assert rig.peers.open == 0


async def test_cancelled_while_joining() -> None:
    """Cancellation before the answer closes the peer; there is nothing to delete."""
    rig = _Rig()
    rig.server.held.clear()

    async def join() -> None:
        async with rig.connect():
            raise AssertionError

    async with asyncio.TaskGroup() as group:
        task = group.create_task(join(), name="join")
        await rig.server.arrived.wait()
        task.cancel()
    assert task.cancelled()
    assert rig.peers.open == 0


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:99999/x", "http://xn--a/x", "http://[::1/x", "http://h/\udcff"],
)
async def test_an_impossible_url_is_the_stream_s_own_trouble(url: str) -> None:
    """Whatever httpx and what is below it make of it, only this stream is lost."""
    async with httpx.AsyncClient(trust_env=False) as http:
        settings = WhepSettings(url=url)
        client = WhepClient("cam", settings, http, ManualClock())
        with pytest.raises(StreamUnavailable):
            await client.join(OFFER)


async def test_unreachable_server_hides_the_url() -> None:
    """Connection errors name host and path, never user, query or token."""
    url = "http://u:pw@media.example/whep?key=hidden"

    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("u:pw hidden")

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
        connector = WhepConnector(
            "cam",
            WhepSettings(url=url, token=_SECRET),
            IceSettings(),
            http,
            ManualClock(),
            Stats(),
            PeerFactoryFake(),
        )
        with pytest.raises(StreamUnavailable) as caught:
            async with connector.connect():
                pass
    assert "media.example/whep" in str(caught.value)
    for secret in ("pw", "hidden", _SECRET):
        assert secret not in str(caught.value)
        assert secret not in repr(connector.settings)


async def test_logs_hold_no_secret() -> None:
    """Joining without a session URL and failing to leave are logged without secrets."""
    with capture_logs() as logs:
        rig = _Rig(WhepSettings(url=f"{_URL}?key=hidden", token=_SECRET))
        rig.say("POST", Said(201, _SDP, ANSWER.encode()))
        async with rig.connect():
            pass
        rig = _Rig(WhepSettings(url=f"{_URL}?key=hidden", leave_timeout_s=0.01))
        async with rig.connect():
            rig.server.held.clear()
    events = [entry["event"] for entry in logs]
    assert events == ["whep_no_session_url", "whep_not_left"]
    assert _SECRET not in str(logs)
    assert "hidden" not in str(logs)


class TestTrickle:
    """Candidates by PATCH instead of inside the offer."""

    def _rig(self) -> _Rig:
        return _Rig(WhepSettings(url=_URL, token=_SECRET, trickle=True))

    async def test_candidates_follow_the_offer(self) -> None:
        """The offer has none; the PATCH has all, under the session's ETag."""
        rig = self._rig()
        async with rig.connect():
            pass
        post, patch, _ = rig.server.seen
        assert "candidate" not in post.body
        assert "a=candidate:1 1 udp" in patch.body
        assert patch.headers["content-type"] == "application/trickle-ice-sdpfrag"
        assert patch.headers["if-match"] == '"one"'

    async def test_without_etag_no_if_match(self) -> None:
        """A server without ETags is not asked to match one; nor one that is odd."""
        rig = self._rig()
        said = Said(201, {**_SDP, "Location": "/s/1", "ETag": "\xe4"}, ANSWER.encode())
        rig.say("POST", said)
        rig.say("PATCH", Said(204))
        async with rig.connect():
            pass
        assert "if-match" not in rig.server.seen[1].headers

    async def test_servers_own_candidates(self) -> None:
        """Candidates in the PATCH's answer reach the peer."""
        rig = self._rig()
        kind = {"Content-Type": "application/trickle-ice-sdpfrag"}
        rig.say("PATCH", Said(200, kind, FRAGMENT.encode()))
        async with rig.connect():
            assert rig.peers.made[0].fragments == [FRAGMENT]

    @pytest.mark.parametrize("body", [b"", b"\xff", b"a=end-of-candidates\r\n"])
    async def test_broken_candidates(self, body: bytes) -> None:
        """A fragment that cannot be read makes the stream unsupported."""
        rig = self._rig()
        kind = {"Content-Type": "application/trickle-ice-sdpfrag"}
        rig.say("PATCH", Said(200, kind, body))
        assert isinstance(await rig.error(), StreamUnsupported)
        assert rig.methods == ["POST", "PATCH", "DELETE"]

    @pytest.mark.parametrize(
        ("status", "kind"), [(405, StreamUnsupported), (503, StreamUnavailable)]
    )
    async def test_refused(self, status: int, kind: type[StreamError]) -> None:
        """A server without trickle is unsupported as set; a busy one is not."""
        rig = self._rig()
        rig.say("PATCH", Said(status))
        error = await rig.error()
        assert type(error) is kind
        assert rig.methods == ["POST", "PATCH", "DELETE"]

    async def test_nowhere_to_send_them(self) -> None:
        """Without a session URL there is no PATCH."""
        rig = self._rig()
        rig.say("POST", Said(201, _SDP, ANSWER.encode()))
        assert "session URL" in (await rig.error()).message


class TestServerThatOffers:
    """A server that answers our offer by 406 with one of its own."""

    def _rig(self, offer: str = OFFER, location: str = "/s/1") -> _Rig:
        rig = _Rig()
        rig.say("POST", Said(406, {**_SDP, "Location": location}, offer.encode()))
        return rig

    async def test_is_answered_by_patch(self) -> None:
        """A new peer answers at the session's URL; the one that offered is closed."""
        rig = self._rig()
        rig.say("PATCH", Said(204))
        async with rig.connect():
            assert rig.peers.open == 1
        post, patch, delete = rig.server.seen
        assert post.body == OFFER
        assert (patch.method, patch.body) == ("PATCH", ANSWER)
        assert patch.headers["content-type"] == "application/sdp"
        assert patch.headers["authorization"] == f"Bearer {_SECRET}"
        assert patch.url == delete.url == "http://media.example/s/1"
        assert rig.peers.open == 0

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(422, StreamUnsupported), (404, StreamUnavailable), (503, StreamUnavailable)],
    )
    async def test_that_refuses_the_answer(
        self, status: int, kind: type[StreamError]
    ) -> None:
        """Its status says whether trying again may help; the session is ended."""
        rig = self._rig()
        rig.say("PATCH", Said(status))
        assert type(await rig.error()) is kind
        assert rig.methods == ["POST", "PATCH", "DELETE"]

    async def test_without_a_session_url(self) -> None:
        """There is nowhere to answer."""
        error = await self._rig(location="").error()
        assert "session URL" in error.message

    async def test_whose_codec_is_not_ours(self) -> None:
        """The stream is undecodable, and the session ended without an answer."""
        rig = self._rig(description("VP9"))
        error = await rig.error()
        assert isinstance(error, StreamUnsupported)
        assert error.reason is UnsupportedReason.CODEC
        assert rig.methods == ["POST", "DELETE"]


def test_unusable_tokens_are_refused_at_once() -> None:
    """A token that cannot stand in a header is a setting to mend; it is not quoted."""
    for token in ("with space", "line\nbreak", "ä"):
        with pytest.raises(ValueError, match="visible ASCII") as caught:
            WhepSettings(url=_URL, token=token)
        assert token not in str(caught.value)


_ANY_HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    status=st.integers(200, 599) | st.just(406),
    location=_ANY_HEADER,
    kind=_ANY_HEADER | st.just("application/sdp"),
    body=st.binary(max_size=300) | st.just(ANSWER.encode()),
)
def test_any_answer(status: int, location: str, kind: str, body: bytes) -> None:
    """Whatever a server says: a stream, or StreamError; never anything else."""
    headers = {"Location": location, "Content-Type": kind, "Retry-After": location}
    said = Said(status, headers, body)

    async def attempt() -> None:
        rig = _Rig(WhepSettings(url=_URL, trickle=len(body) % 2 == 0))
        rig.say("POST", said, said, said, said)
        rig.say("PATCH", said)
        try:
            async with rig.connect():
                pass
        except StreamError:
            pass
        assert rig.peers.open == 0

    asyncio.run(attempt())
