"""What WHEP and WHIP need of a WebRTC connection, whoever implements it."""

from collections.abc import Callable
from typing import Protocol

from sidecar.clock import Clock
from sidecar.ingest.receiver import IceSettings, Peer
from sidecar.ingest.source import AccessUnitSource
from sidecar.stats import Stats


class ReceivingPeer(Protocol):
    """One connection that receives one video track; `receiver.Peer` is the real one."""

    async def offer(self) -> str:
        """The SDP offer for WHEP, with all gathered candidates."""
        ...

    async def answer_to(self, sdp_offer: str) -> str:
        """The SDP answer for WHIP; StreamUnsupported if there can be none."""
        ...

    async def accept(self, sdp_answer: str) -> None:
        """Takes the answer to `offer`; StreamUnsupported if it cannot be used."""
        ...

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Adds remote candidates; ValueError if malformed."""
        ...

    async def restart_ice(self, sdp_fragment: str) -> str:
        """A new ICE session; our side of it as a fragment; ValueError if malformed."""
        ...

    def source(self) -> AccessUnitSource:
        """What is received; usable after `accept` or `answer_to`."""
        ...

    async def wait_connected(self, timeout_s: float) -> None:
        """Returns once media can flow; StreamUnavailable if it never will."""
        ...

    async def close(self) -> None:
        """Closes everything and ends the source's iteration; may be called twice."""
        ...


PeerFactory = Callable[[str], ReceivingPeer]


def real_peers(
    ice: IceSettings, clock: Clock, stats: Stats, packet_timeout_s: float
) -> PeerFactory:
    """Makes real connections, all gathered for, counted and watched alike."""

    def peer(stream_id: str) -> ReceivingPeer:
        return Peer(stream_id, ice, clock, stats, packet_timeout_s=packet_timeout_s)

    return peer
