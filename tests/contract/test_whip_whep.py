"""WHIP and WHEP with real peers over loopback HTTP, from joining to having left."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.clock import SystemClock
from sidecar.domain import AccessUnit, Codec
from sidecar.errors import StreamError, StreamUnavailable, StreamUnsupported
from sidecar.ingest.receiver import IceSettings
from sidecar.ingest.source import AccessUnitSource, Want
from sidecar.ingest.whep import WhepConnector, WhepSettings
from sidecar.ingest.whip import WhipEndpoint, WhipSession, WhipSettings
from sidecar.stats import Stats
from sidecar.web.whip_routes import whip_app
from tests.fakes.http_server import serving
from tests.fakes.sdp_texts import description
from tests.fakes.video_publisher import VideoPublisher
from tests.fakes.whep_server import Said, WhepServer

pytestmark = pytest.mark.anyio

_SDP = {"content-type": "application/sdp"}
_CODECS = [("video/VP8", Codec.VP8), ("video/H264", Codec.H264)]


def _open_files() -> int:
    """How many descriptors this process holds (Linux)."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def _first(source: AccessUnitSource, count: int) -> list[AccessUnit]:
    """The first `count` access units."""
    units: list[AccessUnit] = []
    async for unit in source:
        units.append(unit)
        if len(units) == count:
            break
    return units


@asynccontextmanager
async def _client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:  # noqa: S501
        yield client


def _connector(
    url: str, http: httpx.AsyncClient, *, trickle: bool = False
) -> WhepConnector:
    whep = WhepSettings(url, "token", trickle, connect_timeout_s=10.0)
    ice = IceSettings(addresses=("127.0.0.1",))
    return WhepConnector("cam", whep, ice, http, SystemClock(), Stats())


class TestWhep:
    """Pulling."""

    @pytest.mark.parametrize(("mime", "codec"), _CODECS)
    @pytest.mark.parametrize("trickle", [False, True])
    async def test_pull(self, mime: str, codec: Codec, *, trickle: bool) -> None:
        """Pictures come, begin with a keyframe, and the server is left in order."""
        sender = VideoPublisher(mime)
        server = WhepServer(sender.answer_to)
        async with serving(server) as url, _client() as http:
            connector = _connector(f"{url}/whep", http, trickle=trickle)
            async with connector.connect() as source:
                source.want(Want.ALL)
                units = await _first(source, 5)
            assert server.sessions == set()
            await sender.close()
        assert units[0].keyframe
        assert {unit.codec for unit in units} == {codec}

    async def test_server_that_leaves(self) -> None:
        """When the server closes the connection the source ends or says so."""
        sender = VideoPublisher()
        async with serving(WhepServer(sender.answer_to)) as url, _client() as http:
            try:
                async with _connector(url, http).connect() as source:
                    await _first(source, 1)
                    await sender.close()
                    async for _ in source:
                        pass
            except StreamUnavailable:
                pass

    async def test_nothing_is_left_over(self) -> None:
        """Ten pulls later as many descriptors are open as after the first."""
        counts = []
        async with serving(server := WhepServer()) as url:
            for _ in range(10):
                sender = VideoPublisher()
                server._answer = sender.answer_to
                async with _client() as http, _connector(url, http).connect() as source:
                    await _first(source, 1)
                await sender.close()
                counts.append(_open_files())
        assert counts[-1] <= counts[1]

    @pytest.mark.parametrize(
        "body",
        [
            b"garbage",
            os.urandom(500),
            description("VP9").encode(),
            description("VP8").replace("127.0.0.1 40000", "host.invalid 1").encode(),
            description("VP8").replace("VP8/90000", "VP8/0").encode(),
            description("VP8").replace("UDP/TLS/RTP/SAVPF", "RTP/AVP").encode(),
            description("VP8").replace("sha-256", "sha-0").encode(),
            description("VP8").replace("a=setup:actpass", "a=setup:nobody").encode(),
            description("VP8").replace("a=mid:0", "a=mid:7").encode(),
            description("VP8").replace("SAVPF 96", "SAVPF 72").encode(),
        ],
    )
    async def test_broken_answers(self, body: bytes) -> None:
        """A real peer that is fed garbage raises StreamError and is closed."""
        server = WhepServer()
        server.said["POST"] = [Said(201, {**_SDP, "Location": "/s"}, body)]
        async with serving(server) as url, _client() as http:
            connector = _connector(url, http)
            connector.settings = WhepSettings(url, connect_timeout_s=0.2)
            with pytest.raises(StreamError):
                async with connector.connect():
                    pass

    async def test_codec_that_cannot_be_decoded(self) -> None:
        """A server that has only VP9 leads to unsupported, for the codec."""
        server = WhepServer()
        body = description("VP9").encode()
        server.said["POST"] = [Said(201, {**_SDP, "Location": "/s"}, body)]
        async with serving(server) as url, _client() as http:
            with pytest.raises(StreamUnsupported) as caught:
                async with _connector(url, http).connect():
                    pass
        assert caught.value.reason == "undecodable_codec"

    async def test_nobody_there(self) -> None:
        """A port that nobody listens on is unavailable."""
        async with serving(WhepServer()) as url:
            pass
        async with _client() as http:
            with pytest.raises(StreamUnavailable):
                async with _connector(url, http).connect():
                    pass


class _Push:
    """An endpoint with real peers; each admitted session is watched in a task."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self.stats = Stats()
        self.endpoint = WhipEndpoint(
            WhipSettings(connect_timeout_s=10.0, packet_timeout_s=3.0),
            IceSettings(addresses=("127.0.0.1",)),
            self._admit,
            SystemClock(),
            self.stats,
        )
        self.units: list[AccessUnit] = []
        self.seen = asyncio.Event()
        self.over = asyncio.Event()
        self.error: StreamError | None = None

    def _admit(self, session: WhipSession) -> None:
        self._group.create_task(self._watch(session), name="watch")

    async def _watch(self, session: WhipSession) -> None:
        try:
            async with session.connect() as source:
                source.want(Want.ALL)
                async for unit in source:
                    self.units.append(unit)
                    if len(self.units) == 5:
                        self.seen.set()
        except StreamError as error:
            self.error = error
        self.over.set()


@asynccontextmanager
async def _pushing() -> AsyncIterator[tuple[_Push, str, httpx.AsyncClient]]:
    async with asyncio.TaskGroup() as group:
        push = _Push(group)
        async with serving(whip_app(push.endpoint)) as url, _client() as http:
            try:
                yield push, url, http
            finally:
                await push.endpoint.close()


_LINES = description("VP8", "H264").split("\r\n")
_ATTRIBUTES = (
    "rtpmap:96 ",
    "fmtp:96 ",
    "rtcp-fb:",
    "ssrc:",
    "extmap:",
    "msid:",
    "mid:",
)
_PIECES = (
    st.sampled_from(_LINES)
    | st.builds("a={}{}".format, st.sampled_from(_ATTRIBUTES), st.text(max_size=12))
    | st.text(max_size=12)
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1), _PIECES), max_size=4))
def _mutated(changes: list[tuple[int, int, str]]) -> None:
    """One offer with `changes` (where, how many lines go, what comes) is posted."""
    lines = list(_LINES)
    for at, cut, piece in changes:
        lines[at : at + cut] = [piece]

    async def attempt() -> None:
        admitted: list[WhipSession] = []
        ice = IceSettings(addresses=("127.0.0.1",))
        endpoint = WhipEndpoint(
            WhipSettings(), ice, admitted.append, SystemClock(), Stats()
        )
        body = "\r\n".join(lines).encode(errors="replace")
        try:
            reply = await endpoint.post("cam", _SDP, body)
            assert reply.status in {201, 400, 406}
        finally:
            await endpoint.close()

    asyncio.run(attempt())


class TestWhip:
    """Being pushed to."""

    @pytest.mark.parametrize(("mime", "codec"), _CODECS)
    async def test_push_and_delete(self, mime: str, codec: Codec) -> None:
        """A publisher's pictures arrive; its DELETE ends the session in order."""
        sender = VideoPublisher(mime)
        async with _pushing() as (push, url, http):
            offer = await sender.offer()
            reply = await http.post(f"{url}/whip/cam", content=offer, headers=_SDP)
            assert reply.status_code == 201
            await sender.accept(reply.text)
            await push.seen.wait()
            left = await http.delete(url + reply.headers["location"])
            assert left.status_code == 200
            await push.over.wait()
            await sender.close()
            assert push.endpoint.session_count == 0
        assert push.error is None
        assert push.units[0].keyframe
        assert {unit.codec for unit in push.units} == {codec}

    async def test_publisher_that_leaves_without_a_word(self) -> None:
        """A closed connection frees the stream without DELETE."""
        sender = VideoPublisher()
        async with _pushing() as (push, url, http):
            offer = await sender.offer()
            reply = await http.post(f"{url}/whip/cam", content=offer, headers=_SDP)
            await sender.accept(reply.text)
            await push.seen.wait()
            await sender.close()
            await push.over.wait()
            assert push.endpoint.session_count == 0

    async def test_publisher_that_never_connects(self) -> None:
        """A publisher that goes away after its offer is given up in time."""
        sender = VideoPublisher()
        async with _pushing() as (push, url, http):
            push.endpoint.settings = WhipSettings(connect_timeout_s=0.2)
            offer = await sender.offer()
            await sender.close()
            reply = await http.post(f"{url}/whip/cam", content=offer, headers=_SDP)
            assert reply.status_code == 201
            await push.over.wait()
            assert isinstance(push.error, StreamUnavailable)
            assert push.endpoint.session_count == 0

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("a=mid:0", "a=mid:"),
            ("a=group:BUNDLE 0", "a=group:BUNDLE 7"),
            ("VP8/90000", "VP8/1"),
            ("a=setup:actpass", "a=setup:nobody"),
            ("a=setup:actpass", "a=x:y"),
            ("SAVPF 96", "SAVPF 72"),
            ("SAVPF 96", "SAVPF 300"),
            ("a=rtcp-mux", "a=extmap:one urn:x"),
            ("a=rtcp-mux", "a=fmtp:96 apt=x"),
            ("a=rtcp-mux", "a=fmtp:127 a"),
            ("a=rtcp-mux", "a=rtcp-fb:96"),
            ("a=rtcp-mux", "a=ssrc:x cname"),
            ("a=rtcp-mux", "a=ssrc-group:FID x"),
            ("a=rtcp-mux", "a=rtcp:x"),
            ("a=rtcp-mux", "a=setup"),
            ("c=IN IP4 0.0.0.0", "c=nonsense"),
            ("sha-256", "sha-0"),
            ("AB:AB", "AB"),
            ("v=0", "v=0\r\na=group"),
            ("udp 2130706431", "tcp 1"),
            ("127.0.0.1 40000", "x.local 40000"),
            ("127.0.0.1 40000", "1.1 99999"),
        ],
    )
    async def test_odd_offers(self, old: str, new: str) -> None:
        """A real peer that is fed oddities answers 201, 400 or 406; none is left."""
        async with _pushing() as (push, url, http):
            push.endpoint.settings = WhipSettings(connect_timeout_s=0.2)
            body = description("VP8").replace(old, new, 1)
            reply = await http.post(f"{url}/whip/cam", content=body, headers=_SDP)
            assert reply.status_code in {201, 400, 406}
            if reply.status_code == 201:
                await push.over.wait()
            assert push.endpoint.session_count == 0

    def test_any_mutation_of_an_offer(self) -> None:
        """Valid offers with lines cut, doubled or overwritten: 201, 400 or 406."""
        _mutated()

    async def test_oversized_body_over_a_real_connection(self) -> None:
        """A body beyond the bound is 413, and the next request is served."""
        async with _pushing() as (_, url, http):
            big = await http.post(
                f"{url}/whip/cam", content=b"x" * 65_537, headers=_SDP
            )
            assert big.status_code == 413
            assert (await http.options(f"{url}/whip/cam")).status_code == 200
