"""A real WebRTC sender (aiortc) that remembers what it sent, and a lossy path."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import AnyRtcpPacket

from sidecar.domain import Codec
from sidecar.ingest.ice import Gathering, IceSettings
from sidecar.ingest.receiver import Peer
from sidecar.stats import Stats
from tests.fakes.rtp_streams import noise

LOOPBACK = IceSettings(addresses=("127.0.0.1",))


class NoiseTrack(MediaStreamTrack):
    """Pictures of blocks of noise; `size` may change while it runs."""

    kind = "video"

    def __init__(self, rate: int = 60) -> None:
        super().__init__()
        self.size = (160, 96)
        self._rate = rate
        self._count = 0

    async def recv(self) -> av.VideoFrame:
        """The next picture, at its time."""
        await asyncio.sleep(1 / self._rate)
        self._count += 1
        frame = noise(self._count, *self.size)
        frame.pts, frame.time_base = self._count, Fraction(1, self._rate)
        return frame


class Sender:
    """One publisher with one video track.

    Attributes:
        sent: Data of every encoded picture, in order, as aiortc packetized it.
        told: What the receiver said by RTCP.
        keyframe_every: Pictures from one keyframe to the next; None: when asked only.
        track: Its pictures.
        gathering: Of its candidates.
    """

    def __init__(
        self,
        codec: Codec,
        keyframe_every: int | None = None,
        ice: IceSettings = LOOPBACK,
    ) -> None:
        self.told: list[AnyRtcpPacket] = []
        self.keyframe_every = keyframe_every
        self._ice = ice
        self.sent: list[bytes] = []
        self.track = NoiseTrack()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._codec = codec
        self._progress = asyncio.Event()
        self._add_track()

    def _add_track(self) -> None:
        transceiver = self.connection.addTransceiver(self.track, direction="sendonly")
        transceiver.setCodecPreferences(
            [
                codec
                for codec in RTCRtpSender.getCapabilities("video").codecs
                if codec.name in {self._codec.value, "rtx"}
            ]
        )
        self.gathering = Gathering(
            transceiver.sender.transport.transport._connection, self._ice, Stats()
        )
        original = transceiver.sender._next_encoded_frame
        depayload = vp8_depayload if self._codec is Codec.VP8 else h264_depayload

        async def next_encoded_frame(codec: object) -> RTCEncodedFrame | None:
            if self.keyframe_every and len(self.sent) % self.keyframe_every == 0:
                transceiver.sender._send_keyframe()
            frame: RTCEncodedFrame | None = await original(codec)  # type: ignore[arg-type]
            if frame is not None:
                self.sent.append(b"".join(depayload(p) for p in frame.payloads))
                self._progress.set()
            return frame

        transceiver.sender._next_encoded_frame = next_encoded_frame  # type: ignore[method-assign]
        heed = transceiver.sender._handle_rtcp_packet

        async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
            self.told.append(packet)
            await heed(packet)

        transceiver.sender._handle_rtcp_packet = handle_rtcp_packet  # type: ignore[method-assign]

    async def sends(self, count: int) -> None:
        """Returns when `count` more pictures were sent."""
        goal = len(self.sent) + count
        while len(self.sent) < goal:
            self._progress.clear()
            await self._progress.wait()

    async def offer(self) -> str:
        """As a publisher by WHIP."""
        await self.connection.setLocalDescription()
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        """The answer to `offer`."""
        description = RTCSessionDescription(answer, "answer")
        await self.connection.setRemoteDescription(description)

    async def answer_to(self, offer: str) -> str:
        """As a server by WHEP."""
        description = RTCSessionDescription(offer, "offer")
        await self.connection.setRemoteDescription(description)
        await self.connection.setLocalDescription()
        return self.connection.localDescription.sdp

    async def close(self) -> None:
        """Leaves."""
        self.track.stop()
        await self.connection.close()


@asynccontextmanager
async def connected(
    peer: Peer, codec: Codec = Codec.VP8, sender: Sender | None = None
) -> AsyncIterator[Sender]:
    """A sender connected to `peer` as its publisher; both are closed at the end."""
    sender = sender or Sender(codec)
    try:
        answer = await peer.answer_to(await sender.offer())
        await sender.accept(answer)
        await peer.wait_connected(30.0)
        yield sender
    finally:
        await sender.close()
        await peer.close()


class Path:
    """The way to `peer`: loses and delays RTP by pattern, before it is decrypted.

    Args:
        peer: Whose incoming packets.
        lose: Whether packet number n is lost.
        delay: How many packets later number n comes; 0: in order.
    """

    def __init__(
        self,
        peer: Peer,
        lose: Callable[[int], bool] = lambda _: False,
        delay: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self.lose = lose
        self._delay = delay
        self._number = 0
        self._waiting: list[tuple[int, int, bytes]] = []
        self._arrived = peer._receiver._received
        peer._receiver._received = self._pass  # type: ignore[method-assign]

    def _pass(self, datagrams: list[bytes]) -> None:
        arrived = []
        for data in datagrams:
            self._number += 1
            if not self.lose(self._number):
                due = self._number + self._delay(self._number)
                heapq.heappush(self._waiting, (due, self._number, data))
            while self._waiting and self._waiting[0][0] <= self._number:
                arrived.append(heapq.heappop(self._waiting)[2])
        self._arrived(arrived)
