"""A receiver under test, alone in its process; run with its name as the argument.

`{"offer": SDP}` is answered with `{"answer": SDP}`, `{"stats": true}` with what the
process has used and how many samples it has taken.
"""

import asyncio
import random
import sys
from asyncio import TaskGroup
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import asdict
from typing import Final, Protocol

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from sidecar.bench.child import Message, serve
from sidecar.bench.usage import LoopLag, usage
from sidecar.clock import SystemClock
from sidecar.domain import PictureFormat
from sidecar.ingest.receiver import IceSettings, Peer
from sidecar.sample.audit import AuditSettings
from sidecar.sample.cadence import CadenceSettings
from sidecar.sample.keyframes import DecodeMode
from sidecar.sample.sampler import Sampler, SamplerSettings
from sidecar.stats import Stats

FORMAT: Final = PictureFormat(224, 224, "area")  # resized as for the reference model
DECODERS: Final = 2
_CONNECT_S: Final = 15.0
_NO_AUDITS: Final = AuditSettings(every_s=None)  # their cost is the operator's choice

MODES: Final = {
    "sidecar-keyframes": SamplerSettings(
        CadenceSettings(interval_s=2.0), DecodeMode.KEYFRAMES, None, audit=_NO_AUDITS
    ),
    "sidecar-keyframes-1s-pli": SamplerSettings(
        CadenceSettings(interval_s=1.0), DecodeMode.KEYFRAMES, 1.0, audit=_NO_AUDITS
    ),
    "sidecar-all": SamplerSettings(
        CadenceSettings(interval_s=1.0), DecodeMode.ALL, None, audit=_NO_AUDITS
    ),
}
OBVIOUS: Final = "obvious"


class Receiver(Protocol):
    """What is measured.

    Attributes:
        taken: Samples so far, of all streams.
    """

    taken: int

    async def answer_to(self, offer: str) -> str:
        """Receives one more stream; the answer to its offer."""

    async def close(self) -> None:
        """Leaves every stream."""


class SidecarReceiver:
    """The product's own way from the socket to the model's picture."""

    def __init__(self, settings: SamplerSettings, group: TaskGroup) -> None:
        self.taken = 0
        self._settings = settings
        self._group = group
        self._clock, self._stats = SystemClock(), Stats()
        self._decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="decode")
        self._peers: list[Peer] = []

    async def answer_to(self, offer: str) -> str:
        """Receives one more stream; the answer to its offer."""
        name = f"bench-{len(self._peers)}"
        peer = Peer(name, IceSettings(), self._clock, self._stats)
        self._peers.append(peer)
        answer = await peer.answer_to(offer)
        self._group.create_task(self._watch(name, peer), name=name)
        return answer

    async def _watch(self, name: str, peer: Peer) -> None:
        await peer.wait_connected(_CONNECT_S)
        sampler = Sampler(
            name,
            self._settings,
            FORMAT,
            self._decoders,
            self._clock,
            self._stats,
            random.random,
        )
        async with aclosing(sampler.samples(peer.source())) as samples:
            async for _ in samples:
                self.taken += 1

    async def close(self) -> None:
        """Leaves every stream."""
        for peer in self._peers:
            await peer.close()
        await asyncio.to_thread(self._decoders.shutdown)


class ObviousReceiver:
    """The script that everybody writes first: each frame, as an RGB array."""

    def __init__(self, group: TaskGroup) -> None:
        self.taken = 0
        self._group = group
        self._connections: list[RTCPeerConnection] = []

    async def answer_to(self, offer: str) -> str:
        """Receives one more stream; the answer to its offer."""
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connections.append(connection)
        connection.on("track", self._begin)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        sdp: str = connection.localDescription.sdp
        return sdp

    def _begin(self, track: MediaStreamTrack) -> None:
        self._group.create_task(self._consume(track), name=f"consume-{track.id}")

    async def _consume(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            frame.to_ndarray(format="rgb24")  # type: ignore[union-attr]
            self.taken += 1

    async def close(self) -> None:
        """Leaves every stream."""
        for connection in self._connections:
            await connection.close()


def make(name: str, group: TaskGroup) -> Receiver:
    """The receiver of that name; KeyError if there is none."""
    if name == OBVIOUS:
        return ObviousReceiver(group)
    return SidecarReceiver(MODES[name], group)


async def main(name: str) -> None:
    """Serves until standard input ends."""
    lag = LoopLag()
    async with TaskGroup() as group:
        watching = group.create_task(lag.run(), name="loop-lag")
        receiver = make(name, group)

        async def answer(message: Message) -> Message:
            if "offer" in message:
                return {"answer": await receiver.answer_to(message["offer"])}
            read = asdict(usage())
            return {**read, "taken": receiver.taken, "loop_lag_ms": lag.worst_ms()}

        try:
            await serve(answer)
        finally:
            await receiver.close()
            watching.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
