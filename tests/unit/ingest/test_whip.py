"""The WHIP endpoint: every request gets the answer RFC 9725 or its docstring says."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.clock import ManualClock
from sidecar.domain import UnknownReason
from sidecar.errors import (
    StreamError,
    StreamUnavailable,
    StreamUnsupported,
    UnsupportedReason,
)
from sidecar.ingest import sdp
from sidecar.ingest.receiver import IceServer, IceSettings
from sidecar.ingest.whip import WhipEndpoint, WhipReply, WhipSession, WhipSettings
from sidecar.stats import Stats
from tests.fakes.fake_peer import FakePeer, PeerFactoryFake
from tests.fakes.sdp_texts import ANSWER, FRAGMENT, OFFER, RESTARTED, description

pytestmark = pytest.mark.anyio

_SDP = {"content-type": "application/sdp"}
_ICE = {"content-type": "application/trickle-ice-sdpfrag"}
_SHARED = "all"
_PAGE = {"origin": "https://studio.example"}
_BEARER = {**_SDP, "authorization": "Bearer own"}


class _Rig:
    """An endpoint that admits into a list."""

    def __init__(
        self, whip: WhipSettings | None = None, *, fails: StreamError | None = None
    ) -> None:
        self.clock = ManualClock()
        self.stats = Stats()
        self.peers = PeerFactoryFake(fails)
        self.admitted: list[WhipSession] = []
        self.refused: list[tuple[str, UnknownReason, str]] = []
        self.endpoint = WhipEndpoint(
            settings=whip or WhipSettings(),
            ice=IceSettings(),
            admit=self.admitted.append,
            clock=self.clock,
            stats=self.stats,
            refused=lambda *told: self.refused.append(told),
            peer_factory=self.peers,
        )

    async def post(
        self,
        body: str | bytes = OFFER,
        headers: Mapping[str, str] = _SDP,
        stream: str = "cam",
    ) -> WhipReply:
        raw = body.encode() if isinstance(body, str) else body
        return await self.endpoint.post(stream, headers, raw)

    async def joined(self) -> WhipSession:
        assert (await self.post()).status == 201
        return self.admitted[-1]

    async def patch(self, headers: Mapping[str, str], body: str = FRAGMENT) -> int:
        session = self.admitted[-1]
        reply = await self.endpoint.patch(
            session.stream_id, session.id, {**_ICE, **headers}, body.encode()
        )
        return reply.status

    def refusals(self, status: int) -> float | None:
        return self.stats.registry.get_sample_value(
            "sidecar_http_refusals_total", {"endpoint": "whip", "status": str(status)}
        )


async def test_publisher_is_taken_in() -> None:
    """201 with the answer, an unguessable Location, a strong ETag; and admitted."""
    rig = _Rig()
    reply = await rig.post()
    session = rig.admitted[0]
    assert (reply.status, reply.body) == (201, ANSWER.encode())
    assert reply.headers["Content-Type"] == "application/sdp"
    assert reply.headers["Location"] == f"/whip/cam/{session.id}"
    assert reply.headers["ETag"] == session.etag
    assert session.etag.startswith('"')
    assert len(session.id) >= 32
    assert session.id not in repr(session)
    assert "Link" not in reply.headers
    assert rig.endpoint.session_count == 1


async def test_ice_servers_are_told_if_set() -> None:
    """Publishers get their own ICE servers as Link headers, quotes escaped."""
    turn = IceServer(("turn:t.example?transport=udp",), "u", 'c"\\')
    servers = (IceServer(("stun:s.example",)), turn)
    rig = _Rig(WhipSettings(publisher_ice_servers=servers))
    link = (await rig.post()).headers["Link"]
    assert link == (
        '<stun:s.example>; rel="ice-server", '
        '<turn:t.example?transport=udp>; rel="ice-server"; username="u"; '
        'credential="c\\"\\\\"; credential-type="password"'
    )


class TestTokens:
    """Bearer tokens, shared and per stream."""

    _whip = WhipSettings(shared_token=_SHARED, stream_tokens={"cam": "own"})

    @pytest.mark.parametrize(
        ("stream", "given", "status"),
        [
            ("cam", "Bearer own", 201),
            ("cam", "bearer own", 201),
            ("cam", "Bearer all", 403),
            ("other", "Bearer all", 201),
            ("other", "Bearer own", 403),
            ("cam", "Basic own", 401),
            ("cam", "", 401),
            ("cam", None, 401),
        ],
    )
    async def test_post(self, stream: str, given: str | None, status: int) -> None:
        """A stream's own token opens it, the shared one opens the others only."""
        rig = _Rig(self._whip)
        headers = _SDP if given is None else {**_SDP, "Authorization": given}
        reply = await rig.post(headers=headers, stream=stream)
        assert reply.status == status
        if status == 401:
            assert reply.headers["WWW-Authenticate"].startswith("Bearer")

    async def test_stream_without_token_beside_others(self) -> None:
        """Where only some streams have tokens, no token opens the rest."""
        rig = _Rig(WhipSettings(stream_tokens={"cam": "own"}))
        headers = {**_SDP, "authorization": "Bearer x"}
        assert (await rig.post(headers=headers, stream="other")).status == 403
        assert (await rig.post(stream="other")).status == 401

    async def test_session_requests_need_it_too(self) -> None:
        """DELETE and PATCH are turned down without the token, whoever knows the id."""
        rig = _Rig(self._whip)
        await rig.post(headers=_BEARER)
        session = rig.admitted[0]
        at = (session.stream_id, session.id)
        assert (await rig.endpoint.delete(*at, {})).status == 401
        assert (await rig.endpoint.patch(*at, _ICE, b"")).status == 401
        assert (await rig.endpoint.delete(*at, _BEARER)).status == 200

    async def test_tokens_are_not_shown(self) -> None:
        """Neither settings nor refusals show a token."""
        rig = _Rig(self._whip)
        reply = await rig.post(headers={**_SDP, "authorization": "Bearer wrong"})
        assert "own" not in repr(self._whip)
        assert b"wrong" not in reply.body


@pytest.mark.parametrize(
    ("status", "stream", "headers", "body"),
    [
        (400, "a b", _SDP, OFFER),
        (400, "", _SDP, OFFER),
        (400, "x" * 129, _SDP, OFFER),
        (415, "cam", {}, OFFER),
        (415, "cam", {"content-type": "application/json"}, OFFER),
        (413, "cam", _SDP, "v=0\r\n" + "a=x\r\n" * 20_000),
        (400, "cam", _SDP, "garbage"),
        (400, "cam", _SDP, ""),
        (406, "cam", _SDP, OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"),
        (406, "cam", _SDP, description("VP8", direction="recvonly")),
    ],
)
async def test_refused_offers(
    status: int, stream: str, headers: dict[str, str], body: str
) -> None:
    """Each kind of unusable request has its status; nothing is opened for it."""
    rig = _Rig()
    assert (await rig.post(body, headers, stream)).status == status
    assert (rig.peers.made, rig.admitted, rig.refused) == ([], [], [])
    assert rig.refusals(status) == 1.0
    assert rig.endpoint.session_count == 0


async def test_undecodable_codec_is_told() -> None:
    """A publisher with VP9 alone is turned down by 406 and the stream is UNKNOWN."""
    rig = _Rig()
    reply = await rig.post(description("VP9"))
    assert reply.status == 406
    assert b"VP8 and H264" in reply.body
    ((stream, reason, message),) = rig.refused
    assert (stream, reason) == ("cam", UnknownReason.UNDECODABLE_CODEC)
    assert "VP9" in message


async def test_nobody_has_to_be_told() -> None:
    """Without an observer the refusal is the same."""
    rig = _Rig()
    rig.endpoint.refused = None
    assert (await rig.post(description("VP9"))).status == 406


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (StreamUnsupported("cam", "x", reason=UnsupportedReason.CODEC), 406, 1),
        (StreamUnsupported("cam", "x"), 400, 0),
        (StreamUnavailable("cam", "no port left"), 503, 0),
        (StreamUnavailable("cam", "no port left", retry_after_s=9), 503, 0),
    ],
)
async def test_peer_that_cannot_answer(
    error: StreamError, status: int, told: int
) -> None:
    """What the WebRTC side refuses becomes a status; the peer is closed."""
    rig = _Rig(fails=error)
    reply = await rig.post()
    assert reply.status == status
    assert len(rig.refused) == told
    assert rig.peers.open == 0
    assert rig.endpoint.session_count == 0
    if status == 503:
        assert reply.headers["Retry-After"] == str(round(error.retry_after_s or 5))


async def test_peer_that_hangs() -> None:
    """An answer that takes too long is a 503, and the peer is closed."""
    rig = _Rig(WhipSettings(connect_timeout_s=0.01))

    def hold(stream_id: str) -> FakePeer:
        peer = rig.peers(stream_id)
        peer.answering.clear()
        return peer

    rig.endpoint.peer_factory = hold
    assert (await rig.post()).status == 503
    assert rig.peers.open == 0


class TestRoom:
    """One publisher per stream, and only so many streams."""

    async def test_taken_stream(self) -> None:
        """The older publisher stays; the newer is told when to come back."""
        rig = _Rig()
        session = await rig.joined()
        reply = await rig.post()
        assert (reply.status, reply.headers["Retry-After"]) == (409, "10")
        await session.end()
        assert (await rig.post()).status == 201

    async def test_stream_being_negotiated(self) -> None:
        """Of two posts at once for one stream, one wins."""
        rig = _Rig()
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(rig.post(), name="post") for _ in range(2)]
        assert sorted(task.result().status for task in both) == [201, 409]
        assert len(rig.peers.made) == 1

    async def test_full_house(self) -> None:
        """Beyond max_sessions: 503 with Retry-After."""
        rig = _Rig(WhipSettings(max_sessions=2))
        posts = [await rig.post(stream=f"cam-{n}") for n in range(3)]
        assert [reply.status for reply in posts] == [201, 201, 503]
        assert int(posts[2].headers["Retry-After"]) >= 1

    async def test_a_flood_opens_no_more_than_max_sessions(self) -> None:
        """10,000 posts of different streams: peers stay bounded."""
        rig = _Rig(WhipSettings(max_sessions=4))
        for n in range(10_000):
            await rig.post(b"" if n % 2 else OFFER, stream=f"cam-{n}")
        assert len(rig.peers.made) == 4

    async def test_admission_refused(self) -> None:
        """If the admitting side has no room, it is a 503 and nothing is left."""
        rig = _Rig()

        def no(session: WhipSession) -> None:
            raise StreamUnavailable(session.stream_id, "draining")

        rig.endpoint.admit = no
        assert (await rig.post()).status == 503
        assert (rig.endpoint.session_count, rig.peers.open) == (0, 0)

    async def test_closed_endpoint(self) -> None:
        """After close sessions are over, and new ones are turned down by 503."""
        rig = _Rig()
        session = await rig.joined()
        await rig.endpoint.close()
        assert rig.peers.open == 0
        assert (await rig.post()).status == 503
        with pytest.raises(StreamUnavailable):
            async with session.connect():
                pass

    async def test_closed_while_negotiating(self) -> None:
        """A publisher whose answer comes after close is not admitted."""
        rig = _Rig()

        def closing(stream_id: str) -> FakePeer:
            rig.endpoint._closed = True
            return rig.peers(stream_id)

        rig.endpoint.peer_factory = closing
        assert (await rig.post()).status == 503
        assert (rig.admitted, rig.peers.open) == ([], 0)

    async def test_session_nobody_watches(self) -> None:
        """An admitted session that nobody comes for is ended and its stream freed."""
        rig = _Rig()
        await rig.joined()
        rig.clock.advance(15.0)
        assert await rig.endpoint.reap() == 0
        rig.clock.advance(0.1)
        assert (await rig.post()).status == 201
        assert rig.peers.open == 1


class TestSession:
    """From connect to the end."""

    async def test_watching(self) -> None:
        """The source is handed out; on leaving the stream is free and closed."""
        rig = _Rig()
        session = await rig.joined()
        async with session.connect() as source:
            assert source is not None
            assert not session.pending
            rig.clock.advance(1000.0)
            assert await rig.endpoint.reap() == 0
            assert rig.peers.open == 1
        assert (rig.endpoint.session_count, rig.peers.open) == (0, 0)

    async def test_only_once(self) -> None:
        """A session is watched by one, once."""
        rig = _Rig()
        session = await rig.joined()
        async with session.connect():
            with pytest.raises(StreamUnavailable):
                async with session.connect():
                    pass
            assert rig.peers.open == 1

    async def test_never_connects(self) -> None:
        """Without ICE the session fails in time and frees its stream."""
        rig = _Rig(WhipSettings(connect_timeout_s=0.01))
        rig.peers.connects = False
        session = await rig.joined()
        with pytest.raises(StreamUnavailable):
            async with session.connect():
                pass
        assert (rig.endpoint.session_count, rig.peers.open) == (0, 0)

    async def test_delete_ends_the_source(self) -> None:
        """DELETE answers 200, and the watcher's iteration ends in order."""
        rig = _Rig()
        session = await rig.joined()
        watching, seen = asyncio.Event(), []

        async def watch() -> None:
            async with session.connect() as source:
                watching.set()
                seen.extend([unit async for unit in source])

        async with asyncio.TaskGroup() as group:
            group.create_task(watch(), name="watch")
            await watching.wait()
            reply = await rig.endpoint.delete("cam", session.id, {})
            assert reply.status == 200
        assert seen == []
        again = await rig.endpoint.delete("cam", session.id, {})
        assert again.status == 404

    @pytest.mark.parametrize(
        ("stream", "session"), [("cam", "x"), ("cam", "\xe4"), ("other", None)]
    )
    async def test_unknown_session(self, stream: str, session: str | None) -> None:
        """A wrong stream or session id is 404 and touches nobody."""
        rig = _Rig()
        joined = await rig.joined()
        reply = await rig.endpoint.delete(stream, session or joined.id, {})
        assert reply.status == 404
        assert rig.endpoint.session_count == 1

    async def test_an_old_session_does_not_forget_a_new_one(self) -> None:
        """Ending a session twice leaves its successor alone."""
        rig = _Rig()
        old = await rig.joined()
        await old.end()
        await rig.joined()
        await old.end()
        assert rig.endpoint.session_count == 1


class TestPatch:
    """Trickle ICE and ICE restarts are taken."""

    async def test_candidates(self) -> None:
        """204, and the peer has the fragment."""
        rig = _Rig()
        session = await rig.joined()
        assert await rig.patch({"if-match": session.etag}) == 204
        assert rig.peers.made[0].fragments == [FRAGMENT]

    async def test_preconditions(self) -> None:
        """No If-Match: 428; another tag: 412."""
        rig = _Rig()
        session = await rig.joined()
        assert await rig.patch({}) == 428
        assert await rig.patch({"if-match": '"other"'}) == 412
        assert await rig.patch({"if-match": f"W/{session.etag}"}) == 412
        assert await rig.patch({"if-match": f'"a", {session.etag}'}) == 204

    @pytest.mark.parametrize("match", ["*", '"*"', None])
    async def test_ice_restart(self, match: str | None) -> None:
        """New credentials: 200 with ours and a new tag; the old one is refused then.

        By If-Match `*`, as the RFC's text or as its example has it, or by the tag.
        """
        rig = _Rig()
        session = await rig.joined()
        old = session.etag
        reply = await rig.endpoint.patch(
            *("cam", session.id), {**_ICE, "if-match": match or old}, _NEW.encode()
        )
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "application/trickle-ice-sdpfrag"
        assert reply.headers["ETag"] == session.etag != old
        assert reply.body.decode() == RESTARTED
        assert rig.peers.made[0].restarts == [_NEW]
        assert await rig.patch({"if-match": old}) == 412
        assert await rig.patch({"if-match": session.etag}, _NEW) == 204

    async def test_restart_without_new_credentials(self) -> None:
        """400, and the session stays as it is: tag, candidates and all."""
        rig = _Rig()
        session = await rig.joined()
        tag, no_pwd = session.etag, _NEW.replace("a=ice-pwd", "a=x")
        for body in (FRAGMENT, no_pwd, _NEW.replace("a=mid:0\r\n", "")):
            assert await rig.patch({"if-match": "*"}, body) == 400
        assert session.etag == tag
        assert await rig.patch({"if-match": tag}) == 204
        bare = FRAGMENT.replace("a=ice-ufrag:abcd\r\n", "")
        assert await rig.patch({"if-match": tag}, bare) == 204
        assert await rig.patch({"if-match": "*"}, bare) == 400

    async def test_restart_that_is_not_to_be_had(self) -> None:
        """503, and the publisher may try again or publish anew."""
        rig = _Rig()
        session = await rig.joined()
        rig.peers.made[0].fails = StreamUnavailable("cam", "not now")
        assert await rig.patch({"if-match": "*"}, _NEW) == 503
        assert rig.endpoint.session_count == 1
        assert session.ufrag == "abcd"

    async def test_unusable_fragments(self) -> None:
        """Another type is 415, too long 413, malformed 400."""
        rig = _Rig()
        tag = {"if-match": (await rig.joined()).etag}
        assert await rig.patch({**tag, **_SDP}) == 415
        assert await rig.patch(tag, "a=x\r\n" * 20_000) == 413
        assert await rig.patch(tag, "") == 400
        assert await rig.patch(tag, FRAGMENT.replace("a=mid:0\r\n", "")) == 400

    async def test_candidates_are_bounded(self) -> None:
        """A publisher cannot add candidates without end."""
        rig = _Rig()
        tag = {"if-match": (await rig.joined()).etag}
        statuses = [await rig.patch(tag) for _ in range(sdp.MAX_CANDIDATES)]
        assert statuses == [204] * (sdp.MAX_CANDIDATES - 1) + [400]


class TestCors:
    """Pages of allowed origins only."""

    async def test_options(self) -> None:
        """OPTIONS is 200 without token and names what may be posted."""
        rig = _Rig(WhipSettings(shared_token=_SHARED))
        reply = rig.endpoint.options("cam", _PAGE)
        assert (reply.status, reply.headers["Accept-Post"]) == (200, "application/sdp")
        assert not any(name.startswith("Access-Control") for name in reply.headers)

    @pytest.mark.parametrize("allowed", ["https://studio.example", "*"])
    async def test_allowed_origin(self, allowed: str) -> None:
        """An allowed page gets the headers on every reply, refusals included."""
        rig = _Rig(WhipSettings(allow_origins=(allowed,)))
        preflight = rig.endpoint.options(None, _PAGE).headers
        assert preflight["Access-Control-Allow-Origin"] == allowed
        assert "Authorization" in preflight["Access-Control-Allow-Headers"]
        assert "PATCH" in preflight["Access-Control-Allow-Methods"]
        for body, status in (("", 400), (OFFER, 201)):
            reply = await rig.post(body, {**_SDP, **_PAGE})
            assert reply.status == status
            assert reply.headers["Access-Control-Allow-Origin"] == allowed
            assert "Location" in reply.headers["Access-Control-Expose-Headers"]

    async def test_other_origin(self) -> None:
        """Another page gets none."""
        rig = _Rig(WhipSettings(allow_origins=("https://studio.example",)))
        reply = await rig.post(headers={**_SDP, "origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in reply.headers


_NEW = FRAGMENT.replace("abcd", "efgh", 1)
_DOCUMENTED = {201, 400, 401, 403, 406, 409, 413, 415, 503}
_names = st.sampled_from(["content-type", "authorization", "origin", "if-match", "x"])
_values = st.text(max_size=30) | st.sampled_from(["application/sdp", "Bearer own"])


@settings(deadline=None)
@given(
    stream=st.text(max_size=10) | st.just("cam"),
    headers=st.dictionaries(_names, _values),
    body=st.binary(max_size=200) | st.just(OFFER.encode()),
    token=st.none() | st.just("own"),
)
def test_any_post(
    stream: str, headers: dict[str, str], body: bytes, token: str | None
) -> None:
    """Any path, headers and body get one of the documented statuses."""
    rig = _Rig(replace(WhipSettings(), shared_token=token))
    reply = asyncio.run(rig.endpoint.post(stream, headers, body))
    assert reply.status in _DOCUMENTED


@settings(deadline=None)
@given(headers=st.dictionaries(_names, _values), body=st.binary(max_size=200))
def test_any_patch(headers: dict[str, str], body: bytes) -> None:
    """Any fragment and headers get one of the documented statuses."""

    async def attempt() -> int:
        rig = _Rig()
        session = await rig.joined()
        at = ("cam", session.id)
        tag = {"if-match": session.etag, **_ICE}
        first = await rig.endpoint.patch(*at, headers, body)
        second = await rig.endpoint.patch(*at, {**tag, **headers}, body)
        return max(first.status, second.status)

    assert asyncio.run(attempt()) in {200, 204, 400, 412, 415, 428}
