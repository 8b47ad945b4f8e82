"""Peer: two real aiortc peers in one process; ours hands out whole access units."""

import asyncio
import random
import threading
from collections.abc import Callable

import av
import pytest
from av.video.codeccontext import VideoCodecContext

from sidecar.clock import SystemClock
from sidecar.domain import AccessUnit, Codec
from sidecar.errors import (
    StreamError,
    StreamUnavailable,
    StreamUnsupported,
    UnsupportedReason,
)
from sidecar.ingest.receiver import IceServer, IceSettings, Peer
from sidecar.ingest.rtp_header import Header
from sidecar.ingest.source import AccessUnitSource, Want
from sidecar.stats import Stats
from tests.fakes.webrtc_sender import LOOPBACK, Path, Sender, connected

pytestmark = pytest.mark.anyio
both = pytest.mark.parametrize("codec", list(Codec))


def peer(
    ice: IceSettings = LOOPBACK,
    packet_timeout_s: float = 10.0,
    stats: Stats | None = None,
) -> Peer:
    """A receiving peer on the loopback."""
    return Peer(
        "s",
        ice,
        SystemClock(),
        stats or Stats(),
        packet_timeout_s=packet_timeout_s,
    )


async def take(source: AccessUnitSource, count: int) -> list[AccessUnit]:
    """The next `count` access units."""
    found: list[AccessUnit] = []
    async with asyncio.timeout(30):
        async for unit in source:
            found.append(unit)
            if len(found) == count:
                break
    return found


def assert_whole_and_chained(units: list[AccessUnit], sent: list[bytes]) -> None:
    """Each unit is one that was sent, in order; deltas follow their predecessor."""
    last = -2
    for unit in units:
        number = sent.index(unit.data, max(last, 0))
        assert number > last
        assert unit.keyframe or number == last + 1
        last = number


def decoded_sizes(codec: Codec, units: list[AccessUnit]) -> list[tuple[int, int]]:
    """Sizes of the pictures, each decoded; any fault in the data raises."""
    context = av.CodecContext.create(codec.value.lower(), "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.options = {"err_detect": "explode"}
    sizes = []
    for unit in units:
        for frame in context.decode(av.Packet(unit.data)):
            assert not frame.is_corrupt
            sizes.append((frame.width, frame.height))
    return sizes


def decoder_threads() -> list[str]:
    """Threads of aiortc's decoders."""
    return [t.name for t in threading.enumerate() if "decoder" in t.name]


@both
async def test_published_pictures_come_out_as_they_were_sent(codec: Codec) -> None:
    """WHIP's direction: our answer to a publisher's offer; no decoder runs."""
    receiving = peer()
    async with connected(receiving, codec) as sender:
        source = receiving.source()
        source.want(Want.ALL)
        units = await take(source, 20)
        assert source.codec is codec
        assert decoder_threads() == []
        assert_whole_and_chained(units, sender.sent)
        assert len(decoded_sizes(codec, units)) >= 19
        assert all(u.completed_at >= u.received_at for u in units)


@both
async def test_pulled_pictures_come_out_as_they_were_sent(codec: Codec) -> None:
    """WHEP's direction: our offer, the server's answer."""
    receiving, sender = peer(), Sender(codec)
    try:
        await receiving.accept(await sender.answer_to(await receiving.offer()))
        await receiving.wait_connected(30.0)
        source = receiving.source()
        source.want(Want.ALL)
        assert_whole_and_chained(await take(source, 10), sender.sent)
    finally:
        await sender.close()
        await receiving.close()


async def test_only_keyframes_come_until_more_is_wanted() -> None:
    """The default is keyframes; asking for one brings one."""
    stats = Stats()
    receiving = peer(stats=stats)
    async with connected(receiving):
        source = receiving.source()
        first = await take(source, 1)
        source.request_keyframe()
        more = await take(source, 1)
        assert first[0].keyframe
        assert more[0].keyframe
        requests = stats.registry.get_sample_value("sidecar_keyframe_requests_total")
        assert requests is not None
        assert requests >= 2


def _random_loss(share: float) -> Callable[[int], bool]:
    generator = random.Random(4)  # noqa: S311
    return lambda _: generator.random() < share


@both
@pytest.mark.parametrize(
    ("lose", "delay"),
    [
        (_random_loss(0.05), lambda _: 0),
        (_random_loss(0.2), lambda _: 0),
        (lambda n: 60 <= n % 150 < 80, lambda _: 0),
        (lambda n: n % 40 == 0, lambda n: 5 * (n % 7 == 0)),
        (lambda _: False, lambda n: 3 * (n % 2)),
    ],
    ids=["5%", "20%", "bursts", "reordered and lost", "reordered"],
)
async def test_only_whole_pictures_come_out_of_a_lossy_path(
    codec: Codec, lose: Callable[[int], bool], delay: Callable[[int], int]
) -> None:
    """Whatever is lost or late: whole, chained, decodable; keyframes keep coming."""
    receiving = peer()
    Path(receiving, lose, delay)
    async with connected(receiving, codec) as sender:
        source = receiving.source()
        source.want(Want.ALL)
        units = await take(source, 40)
        source.request_keyframe()
        while not units[-1].keyframe:
            units += await take(source, 1)
        assert_whole_and_chained(units, sender.sent)
        assert len(decoded_sizes(codec, units)) >= len(units) - 1


async def test_losses_beyond_repair_are_answered_by_a_keyframe_request() -> None:
    """After a hole that no NACK mends, a PLI brings the stream back by itself."""
    receiving = peer()
    path = Path(receiving)
    async with connected(receiving) as sender:
        source = receiving.source()
        source.want(Want.ALL)
        units = await take(source, 20)
        path.lose = lambda n: True  # noqa: ARG005
        await sender.sends(140)  # more packets than the sender could repeat
        path.lose = lambda n: False  # noqa: ARG005
        units += await take(source, 20)
        assert_whole_and_chained(units, sender.sent)
        assert any(unit.keyframe for unit in units[20:])


@both
async def test_another_resolution_passes_through(codec: Codec) -> None:
    """A publisher that changes its size in mid-stream is followed."""
    receiving = peer()
    async with connected(receiving, codec) as sender:
        source = receiving.source()
        source.want(Want.ALL)
        units = await take(source, 5)
        sender.track.size = (96, 64)
        units += await take(source, 20)
        assert_whole_and_chained(units, sender.sent)
        sizes = decoded_sizes(codec, units)
        assert sizes[0] == (160, 96)
        assert sizes[-1] == (96, 64)


async def test_leaving_is_the_end_of_the_iteration() -> None:
    """A publisher that leaves ends the stream normally, after what was whole."""
    receiving = peer()
    async with connected(receiving) as sender:
        source = receiving.source()
        await take(source, 1)
        await sender.close()
        async with asyncio.timeout(30):
            assert len([unit async for unit in source]) <= 1


async def test_nothing_is_left_over() -> None:
    """After both are closed there is no task but the test's, and no decoder thread."""
    before = asyncio.all_tasks()
    for _ in range(3):
        receiving = peer()
        async with connected(receiving):
            await take(receiving.source(), 1)
        assert asyncio.all_tasks() == before
    assert decoder_threads() == []


async def test_unfinished_peers_leave_nothing_over() -> None:
    """Closing is right at any point, and twice."""
    before = asyncio.all_tasks()
    started = [peer(), peer(), peer()]
    await started[1].offer()
    sender = Sender(Codec.VP8)
    await started[2].answer_to(await sender.offer())
    for each in started:
        await each.close()
        await each.close()
        assert [unit async for unit in each.source()] == []
    await sender.close()
    assert asyncio.all_tasks() == before


async def test_silence_ends_the_stream() -> None:
    """The watchdog notices a sender from which nothing comes any more."""
    receiving = peer(packet_timeout_s=1.0)
    path = Path(receiving)
    async with connected(receiving):
        source = receiving.source()
        await take(source, 1)
        path.lose = lambda n: True  # noqa: ARG005
        with pytest.raises(StreamUnavailable, match=r"no packets for 1 s"):
            await take(source, 100)


async def test_fault_in_the_packet_path_ends_this_stream_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader is told why; the transport below lives on."""
    receiving = peer()
    async with connected(receiving) as sender:
        source = receiving.source()
        await take(source, 1)

        def faulty(*_: object) -> None:
            raise TypeError("a bug")

        monkeypatch.setattr(receiving._receiver.path, "take", faulty)
        with pytest.raises(StreamUnavailable, match="TypeError") as failure:
            await take(source, 100)
        assert isinstance(failure.value.__cause__, TypeError)
        assert receiving._receiver.transport.state == "connected"
        assert sender.connection.connectionState == "connected"


async def test_another_codec_in_mid_stream_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Packets of a payload type not agreed on end the stream as undecodable."""
    receiving = peer()
    async with connected(receiving):
        source = receiving.source()
        await take(source, 1)
        handle = receiving._receiver.path.take

        def changed(header: Header, payload: bytes, now: float) -> bool:
            return handle(header._replace(payload_type=120), payload, now)

        monkeypatch.setattr(receiving._receiver.path, "take", changed)
        with pytest.raises(StreamUnsupported) as refusal:
            await take(source, 200)
        assert refusal.value.reason is UnsupportedReason.CODEC


async def test_cancelled_path_ends_as_unavailable() -> None:
    """When ICE gives up underneath, that is a failure, not a leave."""
    receiving = peer()
    async with connected(receiving):
        source = receiving.source()
        await take(source, 1)
        await receiving._transport._connection.close()
        with pytest.raises(StreamUnavailable, match="path was lost"):
            await take(source, 100)


async def with_other_codecs(names: str) -> str:
    """A publisher's offer with its codec renamed."""
    sender = Sender(Codec.VP8)
    offer = (await sender.offer()).replace("VP8/90000", f"{names}/90000")
    await sender.close()
    return offer


@pytest.mark.parametrize("name", ["VP9", "AV1", "H265"])
async def test_other_codecs_are_refused_at_once(name: str) -> None:
    """An offer with nothing we decode is UNSUPPORTED, with the codec named."""
    receiving = peer()
    with pytest.raises(StreamUnsupported, match=name) as refusal:
        await receiving.answer_to(await with_other_codecs(name))
    assert refusal.value.reason is UnsupportedReason.CODEC
    await receiving.close()


async def test_rejected_video_in_an_answer_is_a_codec_refusal() -> None:
    """A server that has no VP8 nor H.264 answers with port 0."""
    receiving, sender = peer(), Sender(Codec.VP8)
    answer = await sender.answer_to(await receiving.offer())
    port = answer.partition("m=video ")[2].partition(" ")[0]
    with pytest.raises(StreamUnsupported) as refusal:
        await receiving.accept(answer.replace(f"m=video {port} ", "m=video 0 "))
    assert refusal.value.reason is UnsupportedReason.CODEC
    with pytest.raises(StreamUnavailable, match="sends no video"):
        await receiving.accept(answer.replace("a=sendonly", "a=inactive"))
    await receiving.close()
    await sender.close()


async def test_broken_descriptions_are_refused_not_survived_by_luck() -> None:
    """Mangled SDP gives a StreamError, never anything else, and closes cleanly."""
    sender = Sender(Codec.VP8)
    offer = await sender.offer()
    await sender.close()
    lines = offer.splitlines()
    generator = random.Random(9)  # noqa: S311
    refused = 0
    for _ in range(60):
        mangled = list(lines)
        for _ in range(generator.randint(1, 4)):
            at = generator.randrange(len(mangled))
            words = mangled[at]
            cut = generator.randrange(len(words) + 1)
            mangled[at] = generator.choice(
                [
                    words[:cut],
                    words[cut:],
                    words[:cut] + "\x7f 99999 é" + words[cut:],
                    "",
                ]
            )
        receiving = peer()
        try:
            await receiving.answer_to("\r\n".join(mangled))
        except StreamError:
            refused += 1
        finally:
            await receiving.close()
    assert refused > 10


async def test_candidates_may_come_later() -> None:
    """Trickle: an offer without candidates, then a fragment with them."""
    receiving, sender = peer(), Sender(Codec.VP8)
    lines = (await sender.offer()).splitlines()
    late = [n for n in lines if n.startswith(("a=candidate", "a=end-of"))]
    early = [n for n in lines if n not in late]
    try:
        answer = await receiving.answer_to("\r\n".join(early))
        ours = ("a=candidate", "a=end-of")
        without = [n for n in answer.splitlines() if not n.startswith(ours)]
        await sender.accept("\r\n".join(without) + "\r\n")
        await receiving.add_candidates("\r\n".join(["a=mid:0", *late]))
        await receiving.wait_connected(30.0)
        assert await take(receiving.source(), 1)
    finally:
        await sender.close()
        await receiving.close()


async def test_malformed_candidate_is_told() -> None:
    """A trickled candidate that is none raises ValueError."""
    receiving = peer()
    for line in ("a=candidate:1 1 udp", "a=candidate:1 1 udp x 192.0.2.1 y typ host"):
        with pytest.raises(ValueError, match=r"candidate|invalid literal"):
            await receiving.add_candidates(line)
    await receiving.close()


async def test_wrong_fingerprint_is_unavailable() -> None:
    """Whoever has not the certificate of the SDP is not connected to."""
    receiving, sender = peer(), Sender(Codec.VP8)
    forged = [
        n[:-2] + ("00" if not n.endswith("00") else "11")
        if n.startswith("a=fingerprint")
        else n
        for n in (await sender.offer()).splitlines()
    ]
    await sender.accept(await receiving.answer_to("\r\n".join(forged) + "\r\n"))
    source = receiving.source()
    with pytest.raises(StreamUnavailable, match="failed"):
        await receiving.wait_connected(30.0)
    with pytest.raises(StreamUnavailable, match="failed"):
        await take(source, 1)
    await sender.close()
    await receiving.close()


async def test_nobody_there_is_unavailable() -> None:
    """Without a peer the wait ends in time."""
    receiving = peer()
    await receiving.offer()
    with pytest.raises(StreamUnavailable, match=r"within 0\.05 s"):
        await receiving.wait_connected(0.05)
    await receiving.close()


async def test_ports_are_taken_from_the_range() -> None:
    """Candidates lie in the configured range; without a free port there is no peer."""
    ice = IceSettings(addresses=("127.0.0.1",), port_range=(21_770, 21_771))
    peers = [peer(ice) for _ in range(3)]
    ports = set()
    for each in peers[:2]:
        line = next(n for n in (await each.offer()).splitlines() if "candidate:" in n)
        ports.add(int(line.split()[5]))
    assert ports == {21_770, 21_771}
    with pytest.raises(StreamUnavailable, match="21770-21771"):
        await peers[2].offer()
    for each in peers:
        await each.close()


async def test_no_server_is_asked_unless_configured() -> None:
    """Aiortc's public STUN server is not used; configured ones are handed on."""
    plain = peer()
    assert plain._transport._connection.stun_server is None
    await plain.close()
    servers = (
        IceServer(("stun:127.0.0.1:3478",)),
        IceServer(("turn:127.0.0.1?transport=tcp",), "user", "secret"),
    )
    asked = peer(IceSettings(servers=servers, addresses=("127.0.0.1",)))
    connection = asked._transport._connection
    assert connection.stun_server == ("127.0.0.1", 3478)
    assert connection.turn_server == ("127.0.0.1", 3478)
    assert (connection.turn_username, connection.turn_transport) == ("user", "tcp")
    assert "secret" not in repr(servers)
    await asked.close()
