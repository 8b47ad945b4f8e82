"""Peer at rest: two real aiortc peers, packets kept away between the keyframes."""

import asyncio
from pathlib import Path as File

import pytest
from aiortc import rtcrtpsender
from aiortc.rtp import RtcpPsfbPacket, RtcpRrPacket, RtcpRtpfbPacket

from sidecar.clock import SystemClock
from sidecar.domain import AccessUnit, Codec
from sidecar.errors import StreamUnavailable
from sidecar.ingest import kernel_filter, rtp_header
from sidecar.ingest.ice import IceSettings, bind
from sidecar.ingest.receiver import Peer
from sidecar.ingest.source import AccessUnitSource, Want
from sidecar.stats import Stats
from tests.fakes.webrtc_sender import LOOPBACK, Path, Sender, connected

pytestmark = pytest.mark.anyio
both = pytest.mark.parametrize("codec", list(Codec))

EVERY = 15  # pictures of 1/60 s
PERIOD_S = EVERY / 60
AHEAD_S = 0.08  # opened before the next keyframe is due


class Receiving:
    """A peer with its counters, and how much its door let through while closed."""

    def __init__(
        self, packet_timeout_s: float = 10.0, ice: IceSettings = LOOPBACK
    ) -> None:
        self.stats, self.clock = Stats(), SystemClock()
        self.peer = Peer(
            "s", ice, self.clock, self.stats, packet_timeout_s=packet_timeout_s
        )
        self.read_in_vain = 0
        self.gate = self.peer._receiver._gatekeeper._gate
        self._door = self.peer._receiver._door
        self._take = self._door.take_media
        self._door.take_media = self._count  # type: ignore[method-assign]

    def _count(self, datagrams: list[bytes]) -> None:
        self.read_in_vain += len(datagrams) if self._door.closed else 0
        self._take(datagrams)

    def value(self, name: str, **labels: str) -> float:
        """A counter's."""
        return self.stats.registry.get_sample_value(name, labels) or 0.0

    def losses(self) -> float:
        """Access units given up for what did not come."""
        reasons = ("torn", "chain_broken", "malformed")
        return sum(
            self.value("sidecar_lost_total", stage="ingest", reason=reason)
            for reason in reasons
        )


def open_descriptors() -> int:
    """Of this process; 0 where they cannot be counted."""
    return len(list(File("/proc/self/fd").glob("*")))


async def next_unit(source: AccessUnitSource) -> AccessUnit:
    """The next one."""
    async with asyncio.timeout(30):
        return await anext(aiter(source))


async def keyframes(source: AccessUnitSource, count: int) -> list[AccessUnit]:
    """As many, resting from each until shortly before the next is due."""
    found = []
    for _ in range(count):
        unit = await next_unit(source)
        source.rest(unit.received_at + PERIOD_S - AHEAD_S)
        found.append(unit)
    return found


def assert_nothing_missed(sender: Sender, units: list[AccessUnit]) -> None:
    """From the first keyframe on, each that was sent is there."""
    numbers = [sender.sent.index(unit.data) for unit in units]
    assert numbers == list(range(numbers[0], numbers[-1] + 1, EVERY))


def complaints(sender: Sender, since: int) -> list[object]:
    """NACKs, PLIs, and reports of loss that the sender was told."""
    return [
        packet
        for packet in sender.told[since:]
        if isinstance(packet, RtcpRtpfbPacket | RtcpPsfbPacket)
        or (
            isinstance(packet, RtcpRrPacket)
            and any(r.packets_lost or r.fraction_lost for r in packet.reports)
        )
    ]


@both
@pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "no kernel"])
async def test_every_due_keyframe_is_taken_and_nobody_complains(
    codec: Codec, monkeypatch: pytest.MonkeyPatch, *, kernel: bool
) -> None:
    """24 of 24, the numbers going round; the sender hears of no loss, NACK or PLI."""
    if not kernel:
        monkeypatch.setattr(kernel_filter, "attach", lambda _: False)
    monkeypatch.setattr(rtcrtpsender, "random_sequence_number", lambda: 65_480)
    receiving, sender = Receiving(), Sender(codec, EVERY)
    async with connected(receiving.peer, codec, sender):
        source = receiving.peer.source()
        first = await next_unit(source)
        heard_before = receiving.gate._sequence
        source.rest(first.received_at + PERIOD_S - AHEAD_S)
        units = [first, *await keyframes(source, 1)]
        asked = len(sender.told)  # the PLI of the start has arrived, too
        units += await keyframes(source, 22)
    took_s = units[-1].received_at - first.received_at
    assert len(units) == 24
    assert_nothing_missed(sender, units)
    assert complaints(sender, asked) == []
    reports = [p for p in sender.told[asked:] if isinstance(p, RtcpRrPacket)]
    assert len(reports) >= 2  # one each 2.5 s: a quarter of the time to silence
    assert heard_before is not None
    assert heard_before > 65_000
    assert reports[-1].reports[0].highest_sequence > 1 << 16
    assert receiving.losses() == 0
    # 23, if the machine never stood still: then a rest is over before it begins.
    assert 18 <= receiving.value("sidecar_gate_openings_total") <= 24
    closed_s = receiving.value("sidecar_gate_closed_seconds_total")
    assert 18 * (PERIOD_S - AHEAD_S) / 2 < closed_s < took_s
    # Without the kernel some ten pictures a rest; with it what was in the socket.
    vain = receiving.read_in_vain
    assert vain <= 100 if kernel else vain > 100


async def test_on_ipv6_too() -> None:
    """The same filter, the same offsets."""
    try:
        bind("::1", None).close()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    ice = IceSettings(addresses=("::1",))
    receiving, sender = Receiving(ice=ice), Sender(Codec.VP8, EVERY, ice)
    async with connected(receiving.peer, sender=sender):
        units = await keyframes(receiving.peer.source(), 4)
        assert_nothing_missed(sender, units)
    assert 2 <= receiving.value("sidecar_gate_openings_total") <= 4


async def test_every_local_socket_is_kept_shut() -> None:
    """Whichever pair is nominated: no way in is forgotten, and all open again."""
    receiving = Receiving(ice=IceSettings(addresses=("127.0.0.1", "127.0.0.2")))
    async with connected(receiving.peer):
        source = receiving.peer.source()
        unit = await next_unit(source)
        source.rest(unit.received_at + 60)
        sockets = [p.socket for p in receiving._door._protocols]
        assert len(sockets) == 2
        if not all(kernel_filter.detach(sock) for sock in sockets):
            pytest.skip("no filter on this system")
        receiving._door.close()
        source.rest(0.0)
        assert not any(kernel_filter.detach(sock) for sock in sockets)


async def test_all_is_wanted_at_once() -> None:
    """`ALL` ends a rest, and begins with a keyframe asked for."""
    receiving = Receiving()
    async with connected(receiving.peer) as sender:
        source = receiving.peer.source()
        unit = await next_unit(source)
        source.rest(unit.received_at + 60)
        await sender.sends(20)
        source.want(Want.ALL)
        source.request_keyframe()
        units = [await next_unit(source) for _ in range(10)]
        numbers = [sender.sent.index(unit.data) for unit in units]
        assert units[0].keyframe
        assert numbers == list(range(numbers[0], numbers[0] + 10))
        assert receiving.losses() == 0


async def test_asking_for_a_keyframe_lets_it_in() -> None:
    """Otherwise the answer would be kept out."""
    receiving = Receiving()
    async with connected(receiving.peer):
        source = receiving.peer.source()
        for _ in range(3):
            unit = await next_unit(source)
            source.rest(unit.received_at + 60)
            source.request_keyframe()
        assert receiving.losses() == 0


@both
async def test_the_answer_is_whole_though_its_first_packet_was_lost(
    codec: Codec,
) -> None:
    """Asked for once the sender is heard, it is missed by number, and sent again."""
    receiving, sender = Receiving(), Sender(codec)
    async with connected(receiving.peer, codec, sender):
        source = receiving.peer.source()
        unit = await next_unit(source)
        track = receiving.peer._receiver
        arrived, media = track._received, track.path.ssrc
        source.rest(unit.received_at + 60)
        await sender.sends(5)
        pictures: set[int] = set()
        asked = len(sender.told)

        def without_the_first(datagrams: list[bytes]) -> None:
            """Of each picture, from the second on that comes after the rest."""
            kept = []
            for datagram in datagrams:
                header = rtp_header.parse(datagram)
                assert header is not None
                known = header.timestamp in pictures
                pictures.add(header.timestamp)
                if known or header.ssrc != media or len(pictures) == 1:
                    kept.append(datagram)
            arrived(kept)

        track._door.media = without_the_first
        source.request_keyframe()
        assert (await next_unit(source)).keyframe
        told = sender.told[asked:]
        assert any(isinstance(packet, RtcpRtpfbPacket) for packet in told)
        assert len([p for p in told if isinstance(p, RtcpPsfbPacket)]) == 1


async def test_real_losses_are_still_told() -> None:
    """A packet lost while the gate is open is asked for and reported."""
    receiving, sender = Receiving(), Sender(Codec.VP8, EVERY)
    path = Path(receiving.peer)
    async with connected(receiving.peer, sender=sender):
        source = receiving.peer.source()
        await keyframes(source, 2)
        asked = len(sender.told)
        path.lose = lambda n: n % 20 == 0
        units = await keyframes(source, 4)
        assert any(isinstance(p, RtcpRtpfbPacket) for p in sender.told[asked:])
        assert all(unit.data in sender.sent for unit in units)


async def test_long_rest_is_no_silence_while_the_sender_lives() -> None:
    """Now and then it looks out; once nothing comes any more the stream is given up."""
    receiving = Receiving(packet_timeout_s=1.0)
    path = Path(receiving.peer)
    async with connected(receiving.peer) as sender:
        source = receiving.peer.source()
        unit = await next_unit(source)
        source.rest(unit.received_at + 3600)
        await sender.sends(150)  # 2.5 s
        assert receiving.value("sidecar_gate_openings_total") >= 2
        path.lose = lambda _: True
        with pytest.raises(StreamUnavailable, match=r"no packets for 1 s"):
            await next_unit(source)


async def test_nothing_is_left_over_of_a_rest() -> None:
    """Closed at rest: no timer, no task, no socket; a rest after the end is none."""
    loop = asyncio.get_running_loop()
    for _ in range(2):
        receiving = Receiving()
        async with connected(receiving.peer):
            source = receiving.peer.source()
            unit = await next_unit(source)
            source.rest(unit.received_at + 3600)
        source.rest(unit.received_at + 7200)
        source.request_keyframe()
        ours = [t for t in loop._scheduled if not t.cancelled()]  # type: ignore[attr-defined]
        assert [t for t in ours if "sidecar" in repr(t)] == []
        assert receiving.value("sidecar_gate_closed_seconds_total") > 0


async def test_reconnecting_frees_every_descriptor() -> None:
    """Five connections, each closed at rest, hold no more than one."""

    async def once() -> int:
        receiving = Receiving()
        async with connected(receiving.peer):
            unit = await next_unit(receiving.peer.source())
            receiving.peer.source().rest(unit.received_at + 60)
        return open_descriptors()

    before = await once()
    for _ in range(4):
        assert await once() <= before


async def test_strangers_datagrams_do_no_harm() -> None:
    """Whatever is sent to an open port: no error, no end, no packet counted."""
    receiving = Receiving()
    junk = [
        b"",
        b"\x80",
        b"\x80\x60\x00",
        b"\x80\x60" + bytes(60),
        b"\x80\x60" + bytes(3000),
        b"\x80\xc8" + bytes(3000),
        b"\x81\xc8" + bytes(2),
        b"\x00\x01" + bytes(18),
        b"\x17\xfe\xfd" + bytes(40),
        b"\xff" * 50,
    ]
    async with connected(receiving.peer, sender=Sender(Codec.VP8, EVERY)) as sender:
        source = receiving.peer.source()
        await next_unit(source)
        stranger = bind("127.0.0.1", None)
        target = receiving._door._protocols[0].socket.getsockname()
        for datagram in junk:
            stranger.sendto(datagram, target)
        stranger.close()
        for unit in await keyframes(source, 3):
            assert unit.data in sender.sent
        assert receiving.losses() == 0


async def test_malformed_packets_of_the_sender_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Padding that is longer than its packet, well encrypted, is no video."""
    receiving = Receiving()
    async with connected(receiving.peer):
        source = receiving.peer.source()
        await next_unit(source)
        monkeypatch.setattr(rtp_header, "payload_of", lambda _: None)
        heard = receiving.gate._sequence
        source.request_keyframe()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await next_unit(source)
        assert receiving.gate._sequence == heard
