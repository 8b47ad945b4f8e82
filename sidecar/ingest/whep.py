"""Pulling a stream from a media server by WHEP: one attempt, from offer to leaving."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from sidecar.clock import Clock
from sidecar.errors import StreamUnsupported
from sidecar.ingest import sdp
from sidecar.ingest.peer import PeerFactory, ReceivingPeer, real_peers
from sidecar.ingest.receiver import IceSettings
from sidecar.ingest.source import AccessUnitSource
from sidecar.ingest.whep_client import WhepClient, WhepSettings
from sidecar.stats import Stats

__all__ = ["WhepConnector", "WhepSettings"]


@dataclass(slots=True)
class WhepConnector:
    """A way to one stream on a WHEP server; see `Connector`.

    Attributes:
        stream_id: Whose.
        settings: Where and how.
        ice: How candidates are gathered.
        http: Makes the requests, and stays open. Give it `trust_env=False` unless the
            environment's proxies are meant.
        clock: For HTTP-dates.
        stats: Counters of the receiver.
        peer_factory: Makes the connection; None: the real one.
    """

    stream_id: str
    settings: WhepSettings
    ice: IceSettings
    http: httpx.AsyncClient
    clock: Clock
    stats: Stats
    peer_factory: PeerFactory | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        """One attempt; on exit the server is told by DELETE and the peer closed.

        Raises:
            StreamUnavailable: No answer, or one that may change; no ICE, no DTLS.
            StreamUnsupported: An answer that this client cannot use.
        """
        client = WhepClient(self.stream_id, self.settings, self.http, self.clock)
        peer = self._new_peer()
        try:
            theirs = await self._offered(client, peer)
            if theirs is not None:
                await peer.close()  # aiortc cannot take its own offer back
                peer = self._new_peer()
                await client.answer(await peer.answer_to(theirs))
            await peer.wait_connected(self.settings.connect_timeout_s)
            yield peer.source()
        finally:
            try:
                await client.leave()
            finally:
                await peer.close()

    def _new_peer(self) -> ReceivingPeer:
        wait = self.settings.packet_timeout_s
        real = real_peers(self.ice, self.clock, self.stats, wait)
        return (self.peer_factory or real)(self.stream_id)

    async def _offered(self, client: WhepClient, peer: ReceivingPeer) -> str | None:
        """Offers; None once the answer was taken, or an offer to be answered."""
        offer, fragment = await peer.offer(), None
        if self.settings.trickle:
            offer, fragment = sdp.trickled(offer)
        joined = await client.join(offer)
        if joined.is_offer:
            return joined.text
        await peer.accept(joined.text)
        if fragment is not None:
            await self._trickle(client, peer, fragment)
        return None

    async def _trickle(
        self, client: WhepClient, peer: ReceivingPeer, fragment: str
    ) -> None:
        """Sends our candidates afterwards, and takes the server's."""
        theirs = await client.trickle(fragment)
        if theirs is None:
            return
        try:
            await peer.add_candidates(theirs)
        except ValueError as exc:
            message = "the WHEP server sent candidates that cannot be read"
            raise StreamUnsupported(self.stream_id, message) from exc
