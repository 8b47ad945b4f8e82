"""The network path changes under a connection: ICE restart, and another pair."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aioice.ice import CandidatePair
from aioice.utils import random_string
from aiortc.rtcicetransport import candidate_to_aioice
from aiortc.rtp import RtcpPsfbPacket
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

from sidecar.clock import SystemClock
from sidecar.domain import AccessUnit, Codec
from sidecar.ingest import sdp
from sidecar.ingest.ice import IceSettings
from sidecar.ingest.receiver import Peer
from sidecar.stats import Stats
from tests.fakes.webrtc_sender import Sender, connected

pytestmark = pytest.mark.anyio

EVERY = 15  # pictures of 1/60 s
PERIOD_S = EVERY / 60
AHEAD_S = 0.08
TWO = IceSettings(addresses=("127.0.0.1", "127.0.0.2"))


@dataclass
class Way:
    """A peer and its sender, each with two addresses."""

    peer: Peer
    sender: Sender

    @property
    def ours(self) -> Any:  # noqa: ANN401 aioice's
        """The peer's ICE."""
        return self.peer._transport._connection

    @property
    def theirs(self) -> Any:  # noqa: ANN401 aioice's
        """The sender's ICE, which is controlling."""
        transceiver = self.sender.connection.getTransceivers()[0]
        return transceiver.sender.transport.transport._connection

    async def keyframes(self, count: int) -> list[AccessUnit]:
        """As many, with a rest before each."""
        source, found = self.peer.source(), []
        for _ in range(count):
            async with asyncio.timeout(30):
                unit = await anext(aiter(source))
            source.rest(unit.received_at + PERIOD_S - AHEAD_S)
            found.append(unit)
        return found

    def assert_nothing_missed(self, units: list[AccessUnit]) -> None:
        """Each keyframe that was sent is there."""
        numbers = [self.sender.sent.index(unit.data) for unit in units]
        assert numbers == list(range(numbers[0], numbers[-1] + 1, EVERY))

    async def select(self, local: Any, host: str) -> None:  # noqa: ANN401 aioice's
        """The sender nominates the pair from its socket to our address."""
        remote = next(c for c in self.theirs.remote_candidates if c.host == host)
        pair = CandidatePair(local, remote)
        self.theirs._nominated.clear()
        await self.theirs.check_start(pair)
        assert _pair(self.theirs) is pair
        await self.until(
            lambda: (
                _pair(self.ours).remote_addr == pair.local_addr
                and _pair(self.ours).local_addr == pair.remote_addr
            )
        )

    async def until(self, check: Callable[[], bool]) -> None:
        """Looks once a picture: neither library tells of a changed pair."""
        async with asyncio.timeout(30):
            while not check():
                await self.sender.sends(1)


def _way() -> Way:
    peer = Peer("s", TWO, SystemClock(), Stats())
    return Way(peer, Sender(Codec.VP8, EVERY, TWO))


def _pair(connection: Any) -> CandidatePair:  # noqa: ANN401 aioice's
    pair: CandidatePair = connection._nominated[1]
    return pair


def _cut(protocol: Any) -> None:  # noqa: ANN401 aioice's
    """Nothing leaves by this socket any more, and nothing comes."""

    async def lost(*_: object) -> None:
        """Not sent."""

    protocol.send_data = lost
    protocol.send_stun = protocol.datagram_received = lambda *_: None


async def test_pictures_go_on_over_an_ice_restart() -> None:
    """New credentials on both sides, another pair nominated, and no keyframe missed."""
    way = _way()
    async with connected(way.peer, sender=way.sender):
        units = await way.keyframes(3)
        before, old = _pair(way.ours), way.ours.local_username
        ufrag, password = random_string(4), random_string(22)
        gatherer = way.sender.connection.getTransceivers()[0].sender.transport.transport
        candidates = [
            candidate_to_sdp(c) for c in gatherer.iceGatherer.getLocalCandidates()
        ]
        answer = await way.peer.restart_ice(
            sdp.restarted(ufrag, password, "0", candidates)
        )
        ours = sdp.fragment(answer.encode())
        assert ours.ufrag is not None
        assert ours.pwd is not None
        assert ours.ufrag != old
        assert ours.candidates == 2
        way.sender.gathering.restart(ours.ufrag, ours.pwd)
        way.theirs._local_username, way.theirs._local_password = ufrag, password
        for line in ours.text.splitlines():
            if line.startswith("a=candidate:"):
                told = candidate_from_sdp(line.removeprefix("a=candidate:"))
                await way.theirs.add_remote_candidate(candidate_to_aioice(told))
        await way.theirs.add_remote_candidate(None)
        await way.until(lambda: _pair(way.ours) is not before)
        units += await way.keyframes(6)
        way.assert_nothing_missed(units)
        assert way.ours.remote_username == ufrag
        assert way.peer._connection.connectionState == "connected"


async def test_malformed_restarts_change_nothing() -> None:
    """ValueError, and the session goes on with the credentials it had."""
    way = _way()
    async with connected(way.peer, sender=way.sender):
        await way.keyframes(1)
        old = way.ours.local_username
        good = sdp.restarted("abcd", "x" * 22, "0", ["1 1 udp 1 127.0.0.1 9 typ host"])
        for bad in ("", good.replace("a=ice-pwd", "a=x"), good.replace("udp 1", "")):
            with pytest.raises(ValueError, match=r"\w"):
                await way.peer.restart_ice(bad)
        assert way.ours.local_username == old
        await way.keyframes(2)


async def test_samples_go_on_when_another_pair_is_selected() -> None:
    """The sender's interface goes, it nominates another: so do we, and rest there, too.

    What we say follows as well: a request for a keyframe reaches the sender.
    """
    way = _way()
    async with connected(way.peer, sender=way.sender):
        first, second = way.theirs._protocols
        await way.select(first, "127.0.0.1")
        await way.keyframes(3)
        _cut(first)
        await way.sender.sends(EVERY)
        await way.select(second, "127.0.0.2")
        units = await way.keyframes(8)
        way.assert_nothing_missed(units)
        told = len(way.sender.told)
        way.peer.source().request_keyframe()
        await way.until(
            lambda: any(isinstance(p, RtcpPsfbPacket) for p in way.sender.told[told:])
        )
