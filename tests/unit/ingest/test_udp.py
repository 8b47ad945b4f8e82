"""A socket on the loop: read when there is something, let be while more gathers."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from sidecar.ingest.ice import bind
from sidecar.ingest.udp import UdpTransport

pytestmark = pytest.mark.anyio


class Reader:
    """Reads all there is, and says whether it was media, as it is told."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.media = True
        self.reads: list[int] = []
        self.changed = asyncio.Event()
        self.closes = False
        self.lost = asyncio.Event()
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Noted."""
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Noted."""
        assert exc is None
        self.lost.set()

    def read(self) -> bool:
        """How many came is noted."""
        count = 0
        try:
            while self.sock.recv(100):
                count += 1
        except BlockingIOError:
            pass
        self.reads.append(count)
        self.changed.set()
        if self.closes and self.transport is not None:
            self.transport.close()
        return self.media and count > 0

    async def until(self, reads: int) -> None:
        """Returns once it was read so often."""
        async with asyncio.timeout(30):
            while len(self.reads) < reads:
                self.changed.clear()
                await self.changed.wait()


class Line:
    """A socket under test, and one that sends to it."""

    def __init__(self) -> None:
        self.sock = bind("127.0.0.1", None)
        self.reader = Reader(self.sock)
        self.transport = UdpTransport(self.sock, self.reader)
        self.far = bind("127.0.0.1", None)
        self.far.connect(self.sock.getsockname())


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """Open, and closed afterwards."""
    found = Line()
    yield found
    found.transport.close()
    await found.reader.lost.wait()
    found.far.close()


async def test_media_is_read_in_one_go_once_some_has_come(line: Line) -> None:
    """The first at once, what comes meanwhile together, then waiting as before."""
    line.far.send(b"1")
    await line.reader.until(1)
    for word in (b"2", b"3", b"4"):
        line.far.send(word)
    await line.reader.until(3)
    line.far.send(b"5")
    await line.reader.until(4)
    assert line.reader.reads == [1, 3, 0, 1]


async def test_what_is_not_media_is_read_as_it_comes(line: Line) -> None:
    """STUN and DTLS wait for nothing; no read is in vain."""
    line.reader.media = False
    for count in range(1, 4):
        line.far.send(b"x")
        await line.reader.until(count)
    assert line.reader.reads == [1, 1, 1]


@pytest.mark.parametrize("paused", [False, True])
async def test_a_reader_may_close_it(line: Line, *, paused: bool) -> None:
    """In the middle of a read, at once or after a pause; twice is no fault."""
    line.reader.closes = not paused
    line.far.send(b"1")
    await line.reader.until(1)
    line.reader.closes = True
    if paused:
        await line.reader.until(2)
    await line.reader.lost.wait()
    line.transport.abort()
    assert line.transport.is_closing()


async def test_it_is_closed_while_it_pauses(line: Line) -> None:
    """No read comes after it."""
    line.far.send(b"1")
    await line.reader.until(1)
    line.transport.close()
    await line.reader.lost.wait()
    assert line.reader.reads == [1]


async def test_it_sends_and_tells_where_it_is(line: Line) -> None:
    """As aioice asks; what cannot be sent, or comes too late, is dropped."""
    assert line.transport.get_extra_info("sockname") == line.sock.getsockname()
    line.transport.sendto(b"hello", line.far.getsockname())
    assert line.far.recv(100) == b"hello"
    line.transport.sendto(b"x" * 70_000, line.far.getsockname())
    line.transport.close()
    line.transport.sendto(b"late", line.far.getsockname())
    with pytest.raises(BlockingIOError):
        line.far.recv(100)
