"""Where datagrams come in: which are media, and who gets them.

Media and RTCP go down at once, in the call that read them, and packets that were read
together go together; aioice and aiortc would queue each one and wake a task twice. STUN
goes to aioice, DTLS to aiortc's transport.
"""

import socket
from collections.abc import Callable
from typing import Final

from aioice import Connection
from aioice.ice import StunProtocol

from sidecar.ingest import datagrams, kernel_filter
from sidecar.ingest.rtp_header import (
    RTP_END,
    RTP_FIRST,
    is_marked,
    is_rtcp,
    is_rtp,
)

_STUN_END: Final = 4  # of the first byte (RFC 7983)
_LONGEST_SRTP: Final = 1500  # pylibsrtp raises ValueError beyond
_QUEUED: Final = 1024  # datagrams that a closed door may have left in the socket


class Door:
    """One connection's way in.

    Args:
        queue: Takes what is neither, for aiortc.
        relayed: Whether packets come by a TURN server at present: over a connection to
            it that the kernel's filter does not understand.

    Attributes:
        media: Takes RTP, still encrypted; until it is set RTP is dropped.
        rtcp: Takes RTCP, still encrypted; until it is set it goes to the queue.
        closed: Media is dropped, in the kernel where that can be had.
    """

    def __init__(
        self,
        queue: Callable[[tuple[bytes, int]], None],
        relayed: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queue = queue
        self._relayed = relayed
        self._protocols: list[DatagramProtocol] = []
        self.media: Callable[[list[bytes]], None] | None = None
        self.rtcp: Callable[[bytes], None] | None = None
        self.closed = False

    def add(self, protocol: "DatagramProtocol") -> None:
        """One more local socket, to be opened and closed with the others."""
        self._protocols.append(protocol)

    def close(self) -> bool:
        """Keeps media out; whether the kernel does it for us, wherever it comes in."""
        self.closed = True
        attached = [kernel_filter.attach(p.socket) for p in self._protocols]
        return all(attached) and not self._relayed()

    def open(self) -> None:
        """Lets media in: all from now on, and nothing that came before."""
        for protocol in self._protocols:
            protocol.drain()
        self.closed = False
        for protocol in self._protocols:
            kernel_filter.detach(protocol.socket)

    def take(self, datagram: bytes, component: int = 1) -> None:
        """A datagram that is not STUN."""
        if is_rtp(datagram):
            self.take_media([datagram])
        elif self.rtcp is not None and is_rtcp(datagram):
            self.rtcp(datagram)
        elif datagram and not _too_long(datagram):
            self._queue((datagram, component))

    def take_media(self, datagrams: list[bytes]) -> None:
        """RTP that was read together, in order."""
        if datagrams and self.media is not None and not self.closed:
            self.media(datagrams)


def _too_long(datagram: bytes) -> bool:
    """Whether it claims to be SRTCP and would end aiortc's transport."""
    return len(datagram) > _LONGEST_SRTP and RTP_FIRST <= datagram[0] < RTP_END


class DatagramProtocol(StunProtocol):
    """aioice's protocol of one local socket; only STUN is for it.

    Args:
        connection: aioice's.
        door: Gets all else.
        sock: Read from directly, for what is queued behind the datagram told of.
    """

    def __init__(self, connection: Connection, door: Door, sock: socket.socket) -> None:
        super().__init__(connection)
        self.socket = sock
        self._door = door

    def read(self) -> bool:
        """Takes some of what is there; whether it ends amid a picture still coming."""
        came, amid = self._read()
        return amid and came < datagrams.AT_ONCE and not self._door.closed

    def drain(self) -> None:
        """Takes what the socket holds."""
        for _ in range(_QUEUED // datagrams.AT_ONCE):
            if self._read()[0] < datagrams.AT_ONCE:
                break

    def _read(self) -> tuple[int, bool]:
        """How many there were, and whether the last of media ends no picture."""
        came = datagrams.receive(self.socket)
        media: list[bytes] = []
        amid = False
        for data, origin in came:
            if self.transport.is_closing():
                break
            if is_rtp(data):
                media.append(data)
                amid = not is_marked(data)
            else:
                self._door.take_media(media)
                media = []
                self._other(data, origin)
        self._door.take_media(media)
        return len(came), amid

    def _other(self, data: bytes, origin: datagrams.Origin) -> None:
        """What is not media goes its way, after the media before it."""
        if data and data[0] < _STUN_END:
            super().datagram_received(data, datagrams.address(origin))
        else:
            self._door.take(data)
