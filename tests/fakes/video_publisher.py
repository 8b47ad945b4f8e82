"""A real WebRTC publisher of moving grey pictures, at a pace of its own."""

import asyncio
import fractions

import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from av import VideoFrame

_FPS = 15


class _Pictures(VideoStreamTrack):
    """320x180 pictures whose grey changes with each."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    async def recv(self) -> VideoFrame:
        """The next picture, 1/15 s after the last."""
        await asyncio.sleep(1 / _FPS)
        self._count += 1
        grey = np.full((180, 320, 3), self._count * 7 % 256, dtype=np.uint8)
        frame = VideoFrame.from_ndarray(grey, format="rgb24")
        frame.pts, frame.time_base = self._count * 6000, fractions.Fraction(1, 90_000)
        return frame


class VideoPublisher:
    """Sends one video track, by offer (WHIP) or answer (WHEP); close it."""

    def __init__(self, codec: str = "video/VP8") -> None:
        self._codec = codec
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def offer(self) -> str:
        """The offer of a WHIP publisher."""
        self._connection.addTransceiver(_Pictures(), direction="sendonly")
        self._prefer()
        await self._connection.setLocalDescription()
        return self._connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        """Takes the WHIP endpoint's answer."""
        await self._connection.setRemoteDescription(
            RTCSessionDescription(answer, "answer")
        )

    async def answer_to(self, offer: str) -> str:
        """The answer of a WHEP server."""
        self._connection.addTrack(_Pictures())
        self._prefer()
        await self._connection.setRemoteDescription(
            RTCSessionDescription(offer, "offer")
        )
        await self._connection.setLocalDescription()
        return self._connection.localDescription.sdp

    async def close(self) -> None:
        """Ends the sending and closes the connection."""
        await self._connection.close()

    def _prefer(self) -> None:
        known = RTCRtpSender.getCapabilities("video").codecs
        chosen = [codec for codec in known if codec.mimeType == self._codec]
        self._connection.getTransceivers()[0].setCodecPreferences(chosen)
