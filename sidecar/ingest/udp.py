"""A UDP socket on the event loop that is read at intervals while a picture comes.

asyncio wakes for each datagram. The packets of a keyframe come within milliseconds of
each other, from a real network each on its own: after some of them were read the socket
is left alone for a moment, and what has come by then is read in one go.
"""

import asyncio
import socket
from typing import Any, Final, Protocol

# A socket's usual 208 KiB hold 185 packets: nothing is lost below 440 Mbit/s.
_PAUSE_S: Final = 0.004


class Reader(Protocol):
    """Whose socket it is; `door.DatagramProtocol` is the real one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport is there."""

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""

    def read(self) -> bool:
        """Reads from the socket; whether more of the kind is likely to come soon."""


class UdpTransport(asyncio.DatagramTransport):
    """What asyncio's transport is to aioice, on a socket that `reader` reads itself.

    Args:
        sock: Bound, and not blocking.
        reader: Whose it is.
    """

    def __init__(self, sock: socket.socket, reader: Reader) -> None:
        super().__init__({"socket": sock, "sockname": sock.getsockname()})
        self._loop = asyncio.get_running_loop()
        self._sock, self._fd = sock, sock.fileno()  # selectors look sockets up slowly
        self._reader = reader
        self._pause: asyncio.TimerHandle | None = None
        self._closing = False
        reader.connection_made(self)
        self._loop.add_reader(self._fd, self._readable)

    def sendto(self, data: Any, addr: Any = None) -> None:  # noqa: ANN401 - asyncio's
        """Sends at once, or not at all: what matters is sent again by who sent it."""
        if self._closing:
            return
        try:
            self._sock.sendto(data, addr)
        except OSError:
            return

    def is_closing(self) -> bool:
        """Whether `close` was called."""
        return self._closing

    def close(self) -> None:
        """Lets go of the socket; the reader is told in the loop's next turn."""
        if self._closing:
            return
        self._closing = True
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._fd)
        self._sock.close()
        self._loop.call_soon(self._reader.connection_lost, None)

    def abort(self) -> None:
        """As `close`: nothing is ever kept to be sent."""
        self.close()

    def _readable(self) -> None:
        """The socket has something: reads it, and lets more of it gather."""
        if self._reader.read() and not self._closing:
            self._loop.remove_reader(self._fd)
            self._pause = self._loop.call_later(_PAUSE_S, self._paused)

    def _paused(self) -> None:
        """Reads what has gathered; if nothing has, waits for it again."""
        self._pause = None
        more = self._reader.read()
        if self._closing:
            return
        if more:
            self._pause = self._loop.call_later(_PAUSE_S, self._paused)
        else:
            self._loop.add_reader(self._fd, self._readable)
