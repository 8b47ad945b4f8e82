"""ICE sockets of our own: bound where told, queues bounded, servers asked."""

import asyncio
import socket
from typing import cast

import pytest
from aioice import Connection, stun

from sidecar.ingest.ice import (
    DatagramQueue,
    Gathering,
    IceServer,
    IceSettings,
    bind,
)
from sidecar.stats import Stats


@pytest.mark.parametrize("ports", [(0, 5), (5, 4), (1, 70_000)])
def test_impossible_port_range_is_refused(ports: tuple[int, int]) -> None:
    """At configuration, not at the first stream."""
    with pytest.raises(ValueError, match="port range"):
        IceSettings(port_range=ports)


@pytest.mark.parametrize("url", ["http://x", "stun:", "stun:x?transport=udp"])
def test_malformed_server_is_refused(url: str) -> None:
    """RFC 7064 and RFC 7065 say how they look."""
    with pytest.raises(ValueError, match="uri"):
        IceServer((url,))


@pytest.mark.anyio
async def test_queue_is_bounded_and_its_loss_counted() -> None:
    """Strangers may send before the peer is known; the end always gets in."""
    stats = Stats()
    queue = DatagramQueue(stats)
    for _ in range(2000):
        queue.put_nowait((b"", 1))
    queue.put_nowait(None)
    assert queue.qsize() == 1025
    labels = {"stage": "ingest", "reason": "datagram_overflow"}
    lost = stats.registry.get_sample_value("sidecar_lost_total", labels)
    assert lost == 976


def test_next_free_port_of_the_range_is_bound() -> None:
    """A port in use is passed over; with none left the system's error is raised."""
    first = bind("127.0.0.1", (21_780, 21_781))
    second = bind("127.0.0.1", (21_780, 21_781))
    assert {s.getsockname()[1] for s in (first, second)} == {21_780, 21_781}
    with pytest.raises(OSError, match="in use"):
        bind("127.0.0.1", (21_780, 21_781))
    first.close()
    second.close()


def test_ipv6_is_bound_where_there_is_any() -> None:
    """An address with colons is of the other family."""
    try:
        sock = bind("::1", None)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    assert sock.family is socket.AF_INET6
    sock.close()


class StunServer(asyncio.DatagramProtocol):
    """Says where a request came from, or is mute."""

    def __init__(self, *, mute: bool = False) -> None:
        self._mute = mute

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the way back."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answers, or refuses."""
        request = stun.parse_message(data)
        kind = stun.Class.ERROR if self._mute else stun.Class.RESPONSE
        reply = stun.Message(request.message_method, kind, request.transaction_id)
        if self._mute:
            reply.attributes["ERROR-CODE"] = (400, "Bad Request")
        else:
            reply.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.99", addr[1])
        self._transport.sendto(bytes(reply), addr)


@pytest.mark.anyio
@pytest.mark.parametrize("mute", [False, True])
async def test_stun_server_is_asked_from_the_same_socket(*, mute: bool) -> None:
    """What the server says becomes a candidate; a refusal leaves it out."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: StunServer(mute=mute), local_addr=("127.0.0.1", 0)
    )
    server = transport.get_extra_info("sockname")
    connection = Connection(ice_controlling=True, stun_server=server)
    settings = IceSettings(addresses=("127.0.0.1", "::1", "203.0.113.1"))
    Gathering(connection, settings, Stats())
    await connection.gather_candidates()
    kinds = [c.type for c in connection.local_candidates if ":" not in c.host]
    assert kinds == (["host"] if mute else ["host", "srflx"])
    if not mute:
        assert connection.local_candidates[-1].host == "192.0.2.99"
    await connection.close()
    transport.close()
    await asyncio.sleep(0)


@pytest.mark.anyio
async def test_without_a_network_loopback_is_used() -> None:
    """A demo on a machine that is offline still finds its way to itself."""
    gathering = Gathering(Connection(ice_controlling=True), IceSettings(), Stats())
    (candidate,) = await gathering._candidates(1, [])
    assert candidate.host == "127.0.0.1"
    await gathering._connection.close()
    await asyncio.sleep(0)
