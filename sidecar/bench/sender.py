"""Sends an encoded clip again and again by WebRTC, without encoding: its own process.

Run with one argument, the `SenderSettings` as JSON. `{"offer": PHASE}` is answered with
the offer of one more stream, which begins PHASE seconds late; `{"answer": SDP}` belongs
to the last one; `{"stats": true}` asks what was sent and heard so far.
"""

import asyncio
import json
import random
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import AnyRtcpPacket, RtcpPsfbPacket, RtcpRtpfbPacket

from sidecar.bench.child import Message, serve
from sidecar.bench.clip import EncodedPicture, load
from sidecar.domain import Codec
from sidecar.ingest import aiortc_bend
from sidecar.ingest.aiortc_bend import ice_connection
from sidecar.ingest.ice import Gathering, IceSettings
from sidecar.stats import Stats

_CLOCK_RATE: Final = 90_000
_RTCP: Final = range(192, 224)  # second byte, RFC 5761 section 4


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """What a sender does.

    Attributes:
        codec: Of the clip.
        clip: Its file.
        fps: Pictures a second.
        honours_pli: Goes on with the next group when asked for a keyframe.
        loss: Share of media packets that never leave.
    """

    codec: str
    clip: str
    fps: int = 30
    honours_pli: bool = False
    loss: float = 0.0


@dataclass(frozen=True, slots=True)
class Packed:
    """One picture as RTP payloads."""

    payloads: list[bytes]
    keyframe: bool


def pack(codec: Codec, pictures: list[EncodedPicture]) -> list[Packed]:
    """The pictures cut into payloads, once for all streams."""
    packer = Vp8Encoder() if codec is Codec.VP8 else H264Encoder()
    packed = []
    for index, picture in enumerate(pictures):
        packet = av.Packet(picture.data)
        packet.pts, packet.time_base = index, Fraction(1, 30)
        packed.append(Packed(packer.pack(packet)[0], picture.keyframe))
    return packed


class Playhead:
    """Which picture comes next, for ever; pure.

    Attributes:
        count: How many have been.
    """

    def __init__(self, pictures: list[Packed]) -> None:
        self._pictures = pictures
        self._at = 0
        self.count = 0

    def next(self) -> Packed:
        """The next picture; after the last the first."""
        picture = self._pictures[self._at]
        self._at = (self._at + 1) % len(self._pictures)
        self.count += 1
        return picture

    def skip_to_keyframe(self) -> None:
        """Goes on at the next keyframe, as an encoder that is asked for one."""
        while not self._pictures[self._at].keyframe:
            self._at = (self._at + 1) % len(self._pictures)


class _Silent(MediaStreamTrack):
    """Makes aiortc ask for pictures; it is never asked itself."""

    kind = "video"

    async def recv(self) -> Any:  # noqa: ANN401 - of aiortc's interface
        raise AssertionError("pictures come encoded")


class _Stream:
    """One stream; takes the place of its aiortc sender's encoder."""

    def __init__(
        self, settings: SenderSettings, pictures: list[Packed], phase_s: float
    ) -> None:
        self._settings = settings
        self._head = Playhead(pictures)
        self._phase_s = phase_s
        self._start: float | None = None
        self.frames = self.plis = self.nacks = 0
        self.late_s = 0.0
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = self.connection.addTransceiver(_Silent(), direction="sendonly")
        known = RTCRtpSender.getCapabilities("video").codecs
        wanted = {settings.codec, "rtx"}
        transceiver.setCodecPreferences([c for c in known if c.name in wanted])
        sender = transceiver.sender
        self._heard = aiortc_bend.overhear_rtcp(sender, self._hear)
        aiortc_bend.send_encoded(sender, self._next)
        dtls = sender.transport
        Gathering(ice_connection(dtls.transport), IceSettings(), Stats())
        if settings.loss:
            aiortc_bend.redirect(dtls, self._lossy)

    async def _next(self, _codec: object) -> RTCEncodedFrame:
        now = asyncio.get_running_loop().time()
        if self._start is None:
            self._start = now + self._phase_s
        due = self._start + self._head.count / self._settings.fps
        if self.frames:
            self.late_s = max(self.late_s, now - due)
        await asyncio.sleep(max(0.0, due - now))
        timestamp = self._head.count * _CLOCK_RATE // self._settings.fps
        self.frames += 1
        return RTCEncodedFrame(self._head.next().payloads, timestamp, 0)

    async def _hear(self, packet: AnyRtcpPacket) -> None:
        self.nacks += isinstance(packet, RtcpRtpfbPacket)
        if isinstance(packet, RtcpPsfbPacket):
            self.plis += 1
            if self._settings.honours_pli:
                self._head.skip_to_keyframe()
        await self._heard(packet)

    def _lossy(self, send: aiortc_bend.Send) -> aiortc_bend.Send:
        chance = random.Random(1)  # noqa: S311 - repeatable, not secret

        async def some(data: bytes) -> None:
            if data[1] in _RTCP or chance.random() >= self._settings.loss:
                await send(data)

        return some


class _Sender:
    """All streams of the process."""

    def __init__(self, settings: SenderSettings) -> None:
        self._settings = settings
        self._pictures = pack(Codec(settings.codec), load(Path(settings.clip)))
        self.streams: list[_Stream] = []

    async def answer(self, message: Message) -> Message:
        if "offer" in message:
            return {"offer": await self._offer(message["offer"])}
        if "answer" in message:
            answer = RTCSessionDescription(message["answer"], "answer")
            await self.streams[-1].connection.setRemoteDescription(answer)
        return {
            "frames": sum(s.frames for s in self.streams),
            "plis": sum(s.plis for s in self.streams),
            "nacks": sum(s.nacks for s in self.streams),
            "late_ms": 1000 * max((s.late_s for s in self.streams), default=0.0),
        }

    async def _offer(self, phase_s: float) -> str:
        stream = _Stream(self._settings, self._pictures, phase_s)
        self.streams.append(stream)
        await stream.connection.setLocalDescription()
        sdp: str = stream.connection.localDescription.sdp
        return sdp


async def main(settings: SenderSettings) -> None:
    """Serves until standard input ends."""
    sender = _Sender(settings)
    try:
        await serve(sender.answer)
    finally:
        for stream in sender.streams:
            await stream.connection.close()


if __name__ == "__main__":
    asyncio.run(main(SenderSettings(**json.loads(sys.argv[1]))))
