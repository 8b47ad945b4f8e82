"""Where no direct way is open, media comes through a real TURN server (coturn)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiortc.rtp import RtcpRrPacket

from sidecar.clock import SystemClock
from sidecar.domain import Codec
from sidecar.errors import StreamUnavailable
from sidecar.ingest.receiver import IceServer, IceSettings, Peer
from sidecar.stats import Stats
from tests.e2e.coturn import PASSWORD, USER, Coturn
from tests.fakes.webrtc_sender import Sender, connected

pytestmark = pytest.mark.anyio

NOWHERE = ("203.0.113.1",)  # RFC 5737: cannot be bound, so there are no host candidates


@asynccontextmanager
async def turn_server(folder: Path) -> AsyncIterator[int]:
    """A coturn on loopback; yields its port."""
    turn = await asyncio.to_thread(Coturn, folder)
    try:
        yield turn.port
    finally:
        await asyncio.to_thread(turn.child.kill)


def _peer(port: int, password: str, stats: Stats | None = None) -> Peer:
    server = IceServer((f"turn:127.0.0.1:{port}",), USER, password)
    settings = IceSettings(servers=(server,), addresses=NOWHERE)
    return Peer("s", settings, SystemClock(), stats or Stats())


async def test_pictures_come_through_the_relay_alone(tmp_path: Path) -> None:
    """Without any direct candidate the stream is relayed and whole keyframes come."""
    async with turn_server(tmp_path) as port:
        peer = _peer(port, PASSWORD)
        async with connected(peer):
            unit = await anext(aiter(peer.source()))
            pair = peer._transport._connection._nominated[1]
            assert pair.local_candidate.type == "relay"
        assert unit.keyframe


async def test_the_gate_works_without_the_kernel(tmp_path: Path) -> None:
    """A relayed stream rests too: what comes meanwhile is read, dropped, and counted.

    Each keyframe that it opens for is taken; the sender hears of no loss.
    """
    every = 15
    async with turn_server(tmp_path) as port:
        stats = Stats()
        peer = _peer(port, PASSWORD, stats)
        sender = Sender(Codec.VP8, every)
        async with connected(peer, sender=sender):
            source = peer.source()
            units = [await anext(aiter(source))]
            for _ in range(5):
                source.rest(units[-1].received_at + every / 60 - 0.08)
                units.append(await anext(aiter(source)))
    numbers = [sender.sent.index(unit.data) for unit in units]
    assert numbers == list(range(numbers[0], numbers[-1] + 1, every))
    value = stats.registry.get_sample_value
    openings = value("sidecar_gate_openings_total") or 0.0
    assert 3 <= openings <= 6  # five, if the machine never stands still
    assert 0 <= (value("sidecar_gate_unaided_total") or 0.0) - openings <= 1
    reports = [p for p in sender.told if isinstance(p, RtcpRrPacket) and p.reports]
    assert all(report.packets_lost == 0 for p in reports for report in p.reports)


async def test_a_refused_password_is_a_stream_that_is_not_there(tmp_path: Path) -> None:
    """The stream waits and is tried again; nothing else is raised."""
    async with turn_server(tmp_path) as port:
        peer = _peer(port, "wrong")
        with pytest.raises(StreamUnavailable):
            await peer.offer()
        await peer.close()
