"""ICE with sockets of our own: where they are bound, what they may queue.

Only home of aioice's internals. aioice 0.13 binds host candidates to any port and
queues datagrams without bound from before the peer is known; both are put right on
the one connection object, and what its sockets receive comes in by our `Door`.
"""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aioice.stun import TransactionError
from aioice.utils import random_string
from aiortc import RTCIceServer
from aiortc.rtcicetransport import parse_stun_turn_uri

from sidecar.ingest.door import DatagramProtocol, Door
from sidecar.ingest.udp import UdpTransport
from sidecar.stats import Stats

_RECEIVE_BUFFER: Final = 1 << 18  # bytes; as aioice: a keyframe's burst
_QUEUED_DATAGRAMS: Final = 1024  # about 1.2 MB; emptied each time the loop runs
_GATHER_S: Final = 5.0
_CHECK_EVERY_S: Final = 0.05  # RFC 8445 section 14: Ta is 50 ms unless agreed otherwise
_CHECKS_S: Final = 30.0  # by then consent has expired


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, `urls` as in RFC 7064 and RFC 7065.

    Raises:
        ValueError: A URL is malformed.
    """

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for url in self.urls:
            parse_stun_turn_uri(url)


@dataclass(frozen=True, slots=True)
class IceSettings:
    """How candidates are gathered.

    Attributes:
        servers: None are asked unless given. The first STUN and the first TURN count.
        port_range: First and last UDP port to bind, both included; None: any.
        addresses: Local addresses to bind; empty: those of all interfaces.

    Raises:
        ValueError: The port range is empty or out of bounds.
    """

    servers: tuple[IceServer, ...] = ()
    port_range: tuple[int, int] | None = None
    addresses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.port_range is not None:
            first, last = self.port_range
            if not 0 < first <= last < 1 << 16:
                raise ValueError(f"no UDP port range: {first}-{last}")

    def for_aiortc(self) -> list[RTCIceServer]:
        """The servers; never None, at which aiortc would ask a public one."""
        return [
            RTCIceServer(list(s.urls), username=s.username, credential=s.credential)
            for s in self.servers
        ]


_LOOPBACK: Final = "127.0.0.1"


class DatagramQueue(asyncio.Queue[tuple[bytes, int] | None]):
    """Datagrams not yet looked at: bounded, the newest give way and are counted."""

    def __init__(self, stats: Stats) -> None:
        super().__init__()
        self._lost = stats.lost.labels(stage="ingest", reason="datagram_overflow")

    def put_nowait(self, item: tuple[bytes, int] | None) -> None:
        """Takes a datagram, or None for the end, which always has room."""
        if item is None or self.qsize() < _QUEUED_DATAGRAMS:
            super().put_nowait(item)
        else:
            self._lost.inc()


def bind(address: str, port_range: tuple[int, int] | None) -> socket.socket:
    """A UDP socket bound to `address` and the first free port of the range.

    Raises:
        OSError: The address cannot be bound, or every port is taken.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    first, last = port_range or (0, 0)
    for port in range(first, last + 1):
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.bind((address, port))
        except OSError:
            sock.close()
            if port == last:
                raise
            continue
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        return sock
    raise AssertionError("an empty range was refused by IceSettings")


class Gathering:
    """How one connection gathers its candidates, in aioice's place.

    Args:
        connection: aioice's; its method and its queue are replaced.
        settings: Where to bind.
        stats: Counts datagrams given up.

    Attributes:
        door: Where the connection's datagrams come in.
    """

    def __init__(
        self, connection: Connection, settings: IceSettings, stats: Stats
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._checks_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._relayed = connection.get_component_candidates
        queue = DatagramQueue(stats)
        connection._queue = queue  # noqa: SLF001
        self.door = Door(queue.put_nowait, self._relays)
        connection.data_received = self.door.take  # type: ignore[method-assign, assignment]
        connection.get_component_candidates = self._candidates  # type: ignore[method-assign, assignment]

    def _relays(self) -> bool:
        pair = self._connection._nominated.get(1)  # noqa: SLF001
        return pair is not None and pair.local_candidate.type == "relay"

    def restart(self, ufrag: str, password: str) -> tuple[str, str]:
        """Begins a new ICE session on the same sockets (RFC 8445 section 9).

        Media goes on over the pair in use until the peer nominates one of the new
        session; the DTLS association stays. If it never does, consent expires.

        Args:
            ufrag: The peer's new user fragment.
            password: And password.

        Returns:
            Ours.
        """
        connection = self._connection
        for pair in connection._check_list:  # noqa: SLF001
            if pair.task is not None:
                pair.task.cancel()
        connection._local_username = random_string(4)  # noqa: SLF001
        connection._local_password = random_string(22)  # noqa: SLF001
        connection.remote_username, connection.remote_password = ufrag, password
        connection._check_list.clear()  # noqa: SLF001
        connection._check_list_done = False  # noqa: SLF001
        connection._remote_candidates.clear()  # noqa: SLF001
        connection._remote_candidates_end = False  # noqa: SLF001
        loop = asyncio.get_running_loop()
        self._checks_until = loop.time() + _CHECKS_S
        self._check()
        return connection.local_username, connection.local_password

    def _check(self) -> None:
        """One check of the new session at a time, as `connect` of aioice paces them."""
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        ended = self._connection._closing or loop.time() > self._checks_until  # noqa: SLF001
        if not ended and self._connection._check_periodic():  # noqa: SLF001
            self._timer = loop.call_later(_CHECK_EVERY_S, self._check)

    async def _candidates(
        self, component: int, addresses: list[str]
    ) -> list[Candidate]:
        """Host candidates of our binding, then what STUN and TURN servers say."""
        # aioice leaves loopback out; on a machine without a network it is all there is.
        own = self._settings.addresses or addresses or [_LOOPBACK]
        hosts = [
            protocol
            for address in own
            if (protocol := self._host(component, address)) is not None
        ]
        found = [protocol.local_candidate for protocol in hosts]
        found += await self._reflexive(hosts)
        return found + await self._relayed(component, [])

    def _host(self, component: int, address: str) -> StunProtocol | None:
        """A socket and its candidate; None if it cannot be bound."""
        try:
            sock = bind(address, self._settings.port_range)
        except OSError:
            return None
        protocol = DatagramProtocol(self._connection, self.door, sock)
        UdpTransport(sock, protocol)
        host, port = sock.getsockname()[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host"),
            host=host,
            port=port,
            type="host",
        )
        self._connection._protocols.append(protocol)  # noqa: SLF001
        self.door.add(protocol)
        return protocol

    async def _reflexive(self, hosts: Sequence[StunProtocol]) -> list[Candidate]:
        """Our addresses as the STUN server sees them (IPv4 only)."""
        server = self._connection.stun_server
        found: list[Candidate] = []
        if server is None:
            return found
        try:
            async with asyncio.timeout(_GATHER_S):
                for protocol in hosts:
                    if ":" not in protocol.local_candidate.host:
                        seen, _ = await server_reflexive_candidate(protocol, server)
                        found.append(seen)
        except (TimeoutError, TransactionError, OSError, KeyError, ValueError):
            return found
        return found
