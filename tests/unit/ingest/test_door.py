"""Door: who gets which datagram, and what a closed one keeps out."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aioice import Connection
from aioice.ice import StunProtocol

from sidecar.ingest import kernel_filter
from sidecar.ingest.door import DatagramProtocol, Door
from sidecar.ingest.ice import bind
from sidecar.ingest.udp import UdpTransport

pytestmark = pytest.mark.anyio

STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
DTLS, RTCP = b"\x16\xfe\xfd" + bytes(10), b"\x80\xc8" + bytes(26)


def rtp(number: int) -> bytes:
    """A packet that can be told from others."""
    return b"\x80\x60" + number.to_bytes(2, "big") + bytes(8)


class Guests:
    """A door with one real socket behind it, and somebody who sends to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queued: list[bytes] = []
        self.media: list[bytes] = []
        self.together: list[int] = []
        self.stun: list[bytes] = []
        self.door = Door(lambda item: self.queued.append(item[0]))
        self.door.media = self._arrived
        self.heard = asyncio.Event()
        monkeypatch.setattr(
            StunProtocol,
            "datagram_received",
            lambda _self, data, _addr: self.stun.append(data),
        )

    def _arrived(self, datagrams: list[bytes]) -> None:
        self.media += datagrams
        self.together.append(len(datagrams))
        self.heard.set()

    async def listen(self) -> None:
        """Binds."""
        sock = bind("127.0.0.1", None)
        connection = Connection(ice_controlling=True)
        self.protocol = DatagramProtocol(connection, self.door, sock)
        self.transport = UdpTransport(sock, self.protocol)
        self.door.add(self.protocol)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect(sock.getsockname())

    def send(self, *datagrams: bytes) -> None:
        """To the socket; read when the loop next turns."""
        for datagram in datagrams:
            self.sender.send(datagram)

    async def next(self) -> bytes:
        """The newest media packet, once there is another one."""
        self.heard.clear()
        async with asyncio.timeout(30):
            await self.heard.wait()
        return self.media[-1]

    async def leave(self) -> None:
        """Closes both."""
        self.sender.close()
        await self.protocol.close()


@pytest.fixture
async def guests(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guests]:
    """Listening."""
    found = Guests(monkeypatch)
    await found.listen()
    yield found
    await found.leave()


async def test_each_gets_its_own(guests: Guests) -> None:
    """STUN to aioice, DTLS and RTCP to aiortc, RTP to us; nothing empty or too long."""
    too_long = b"\x80\xc8" + bytes(1600)
    long_dtls = b"\x16\xfe" + bytes(4000)
    guests.send(STUN, DTLS, b"", RTCP, too_long, long_dtls, rtp(1))
    await guests.next()
    assert guests.stun == [STUN]
    assert guests.queued == [DTLS, RTCP, long_dtls]
    assert guests.media == [rtp(1)]


async def test_a_burst_is_read_at_one_go(guests: Guests) -> None:
    """As much as 32 datagrams in one turn of the loop, and then the next ones."""
    guests.send(*(rtp(n) for n in range(40)))
    await guests.next()
    assert guests.media == [rtp(n) for n in range(32)]
    assert guests.together == [32]
    while len(guests.media) < 40:
        await guests.next()


async def test_it_is_read_at_intervals_only_amid_a_picture(guests: Guests) -> None:
    """After a picture's last packet there is nothing to wait for, nor when closed."""
    end = bytearray(rtp(2))
    end[1] |= 0x80  # the marker
    for sent, amid in (
        ([rtp(1)], True),
        ([rtp(1), RTCP], True),
        ([rtp(1), bytes(end)], False),
        ([bytes(end), rtp(3)], True),
        ([STUN], False),
        ([rtp(n) for n in range(40)], False),  # the rest is there: at once
        ([], True),
        ([], False),
    ):
        guests.send(*sent)
        assert guests.protocol.read() is amid, sent
    guests.door.media = lambda _: setattr(guests.door, "closed", True)
    guests.send(rtp(4))
    assert not guests.protocol.read()


async def test_rtcp_is_taken_in_its_turn(guests: Guests) -> None:
    """By whoever is there for it: after the media before it, before what follows."""
    order: list[object] = []
    guests.door.media = lambda media: order.append(list(media))

    def report(datagram: bytes) -> None:
        order.append(datagram)
        guests.heard.set()

    guests.door.rtcp = report
    guests.send(rtp(1), rtp(2), RTCP, rtp(3))
    async with asyncio.timeout(30):
        await guests.heard.wait()
    assert order == [[rtp(1), rtp(2)], RTCP, [rtp(3)]]
    assert guests.queued == []


async def test_without_anybody_for_it_rtp_is_dropped(guests: Guests) -> None:
    """Before the keys are agreed on nobody can do anything with it."""
    guests.door.media = None
    guests.door.take(rtp(1))
    assert guests.queued == []


@pytest.mark.parametrize("kernel", [True, False])
async def test_closed_it_keeps_out_media_only(
    guests: Guests, monkeypatch: pytest.MonkeyPatch, *, kernel: bool
) -> None:
    """With and without the kernel: what was sent meanwhile never comes."""
    if not kernel:
        monkeypatch.setattr(kernel_filter, "attach", lambda _: False)
    guests.send(rtp(1))
    guests.door.close()
    guests.send(rtp(2), RTCP, STUN)
    guests.door.open()
    guests.send(rtp(3))
    assert await guests.next() == rtp(3)
    assert guests.media == [rtp(3)]
    assert guests.queued == [RTCP]
    assert guests.stun == [STUN]


async def test_the_kernel_spares_us_the_reading(guests: Guests) -> None:
    """Closed, RTP does not even arrive, where there is a filter."""
    if not guests.door.close():
        pytest.skip("no filter on this system")
    guests.send(rtp(1), rtp(2), RTCP)
    assert guests.protocol.socket.recv(100) == RTCP


async def test_relayed_packets_are_kept_out_too(guests: Guests) -> None:
    """They reach the door unwrapped from TURN; no kernel filter sees into that."""
    guests.door.close()
    guests.door.take(rtp(1), 1)
    guests.door.take(RTCP, 1)
    assert guests.media == []
    assert guests.queued == [RTCP]
    guests.door.open()
    guests.door.take(rtp(2), 1)
    assert guests.media == [rtp(2)]


async def test_closed_transports_are_left_alone(guests: Guests) -> None:
    """Opening after the end of the connection is no fault."""
    guests.door.close()
    guests.transport.close()
    guests.door.open()
    assert guests.media == []
