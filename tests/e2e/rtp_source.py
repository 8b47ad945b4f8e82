"""Plain RTP from pre-encoded pictures, as ffmpeg sends it: what feeds a media server.

    python -m tests.e2e.rtp_source SETTINGS

with `Source` as JSON. Honours PLI by going on at the clip's next keyframe, if so told.
At SIGUSR1 moving noise gives way to plain blue, and at the next to noise again.
Says one JSON line, `{"event": "sending"}`, once the first picture left, and
`{"event": "card_shown"}` with the first picture of a card.
"""

import asyncio
import json
import random
import signal
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, repeat
from typing import Any, Final, cast

import av
import numpy as np

from sidecar.bench.clip import ClipSettings, EncodedPicture, cached, load
from sidecar.bench.sender import Packed, pack
from sidecar.domain import Category, Codec, Picture
from sidecar.testcard.clip import Scene, scene

PAYLOAD_TYPE: Final = 96
_CLOCK_RATE: Final = 90_000
_RTCP_EVERY_S: Final = 1.0
_PSFB: Final = 206
_PLI: Final = 1
_NTP_EPOCH: Final = 2_208_988_800
_ENCODERS: Final = {Codec.VP8: "libvpx", Codec.H264: "libx264"}
_OPTIONS: Final = {
    Codec.VP8: {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    Codec.H264: {"preset": "veryfast", "tune": "zerolatency", "profile": "baseline"},
}


@dataclass(frozen=True, slots=True)
class Feed:
    """One stream.

    Attributes:
        codec: VP8 or H264.
        port: Where RTP goes, on loopback.
        rtcp_port: Where sender reports go, and PLI comes from.
    """

    codec: str
    port: int
    rtcp_port: int


@dataclass(frozen=True, slots=True)
class Source:
    """What is sent.

    Attributes:
        feeds: Each is sent the same pictures, in its codec; their keyframes are spread
            over the time between two of them.
        card_at_s: A street, 640x360, before which the card appears then, for good;
            with `repeats` for two groups of pictures, and then all over again. None:
            moving noise, 1280x720, 2 Mbit/s, without end.
        fps: Pictures a second.
        keyframe_every: Pictures.
        honours_pli: Goes on at the clip's next keyframe when asked for one.
        turns_blue: Takes SIGUSR1.
        repeats: See `card_at_s`.
    """

    feeds: tuple[Feed, ...]
    card_at_s: float | None = None
    fps: int = 30
    keyframe_every: int = 60
    honours_pli: bool = False
    turns_blue: bool = False
    repeats: bool = False


def pictures(source: Source, codec: Codec) -> list[EncodedPicture]:
    """What is sent before it is repeated."""
    if source.card_at_s is None:
        return load(cached(ClipSettings(codec, keyframe_every=source.keyframe_every)))
    shown = Scene(Category.SEXUAL_EXPLICIT, fps=source.fps, card_at_s=source.card_at_s)
    length = round(source.card_at_s * source.fps) + 2 * source.keyframe_every
    return _encoded(islice(scene(shown), length), source, codec)


def blue(source: Source, codec: Codec) -> list[EncodedPicture]:
    """Two groups of blue pictures, 1280x720."""
    picture = np.zeros((720, 1280, 3), np.uint8)
    picture[:, :, 2] = 255
    return _encoded(repeat(picture, 2 * source.keyframe_every), source, codec)


def _encoded(
    shown: Iterable[Picture], source: Source, codec: Codec
) -> list[EncodedPicture]:
    context = cast("Any", av.CodecContext.create(_ENCODERS[codec], "w"))
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, source.fps)
    context.gop_size = source.keyframe_every
    context.bit_rate = 1_000_000
    context.thread_count = 1
    context.options = dict(_OPTIONS[codec])
    packets = []
    for picture in shown:
        if not context.is_open:
            context.height, context.width = picture.shape[:2]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
        packets += context.encode(frame.reformat(format="yuv420p"))
    packets += context.encode(None)
    return [EncodedPicture(bytes(packet), packet.is_keyframe) for packet in packets]


class Playhead:
    """Which picture comes next; at the end it goes back to a keyframe; pure.

    Args:
        packed: The pictures.
        again_at: Index of the keyframe after the last picture.
        other: What is played instead once `exchange` was called, and vice versa.
    """

    def __init__(
        self, packed: Sequence[Packed], again_at: int, other: Sequence[Packed] = ()
    ) -> None:
        self._packed = packed
        self._again_at = again_at
        self._other = other
        self._exchange = False
        self._at = 0

    def exchange(self) -> None:
        """At the next keyframe the other pictures begin."""
        self._exchange = bool(self._other)

    def next(self) -> Packed:
        """The next picture."""
        if self._exchange and self._packed[self._at].keyframe:
            self._packed, self._other = self._other, self._packed
            self._at, self._exchange = 0, False
        picture = self._packed[self._at]
        self._at += 1
        if self._at == len(self._packed):
            self._at = self._again_at
        return picture

    def skip_to_keyframe(self) -> None:
        """Goes on at the next keyframe."""
        while not self._packed[self._at].keyframe:
            self.next()


class _Rtcp(asyncio.DatagramProtocol):
    """Hears PLI on a stream's RTCP socket."""

    def __init__(self, stream: "_Stream") -> None:
        self._stream = stream

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """A compound packet."""
        while len(data) >= struct.calcsize("!BBH"):
            first, kind, words = struct.unpack_from("!BBH", data)
            self._stream.asked += kind == _PSFB and first & 31 == _PLI
            data = data[4 * (words + 1) :]


class _Stream:
    """One feed, sent."""

    def __init__(
        self, feed: Feed, head: Playhead, source: Source, phase_s: float
    ) -> None:
        self._phase_s = phase_s
        self._feed = feed
        self._head = head
        self._source = source
        self._ssrc = random.getrandbits(32)
        self._sequence = self._packets = self._octets = self._count = 0
        self.asked = 0
        self._answered = 0

    async def run(self) -> None:
        """Sends for ever."""
        loop = asyncio.get_running_loop()
        to_port, to_rtcp = self._feed.port, self._feed.rtcp_port
        rtp, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("127.0.0.1", to_port)
        )
        rtcp, _ = await loop.create_datagram_endpoint(
            lambda: _Rtcp(self), remote_addr=("127.0.0.1", to_rtcp)
        )
        start, reported = loop.time() + self._phase_s, 0.0
        while True:
            due = start + self._count / self._source.fps
            await asyncio.sleep(max(0.0, due - loop.time()))
            if loop.time() - reported >= _RTCP_EVERY_S:
                reported = loop.time()
                rtcp.sendto(self._report())
            self._send(rtp)

    def _send(self, transport: asyncio.DatagramTransport) -> None:
        if self._source.honours_pli and self.asked > self._answered:
            self._answered = self.asked
            self._head.skip_to_keyframe()
        payloads = self._head.next().payloads
        for left, payload in enumerate(reversed(range(len(payloads)))):
            data = payloads[left]
            second = PAYLOAD_TYPE | (0x80 if payload == 0 else 0)
            head = struct.pack(
                "!BBHII", 0x80, second, self._sequence, self._timestamp(), self._ssrc
            )
            transport.sendto(head + data)
            self._sequence = (self._sequence + 1) & 0xFFFF
            self._packets += 1
            self._octets += len(data)
        self._count += 1

    def _timestamp(self) -> int:
        return self._count * _CLOCK_RATE // self._source.fps & 0xFFFF_FFFF

    def _report(self) -> bytes:
        """A sender report without report blocks (RFC 3550 section 6.4.1)."""
        seconds = self._count / self._source.fps
        whole = int(seconds)
        return struct.pack(
            "!BBHIIIIII",
            *(0x80, 200, 6, self._ssrc),
            *(_NTP_EPOCH + whole, int((seconds - whole) * (1 << 32))),
            *(self._timestamp(), self._packets & 0xFFFF_FFFF),
            self._octets & 0xFFFF_FFFF,
        )


def _say(event: str) -> None:
    sys.stdout.write(json.dumps({"event": event}) + "\n")
    sys.stdout.flush()


async def main(source: Source) -> None:
    """Sends until it is killed."""
    codecs = {Codec(feed.codec) for feed in source.feeds}
    packed = {codec: pack(codec, pictures(source, codec)) for codec in codecs}
    others = {c: pack(c, blue(source, c)) for c in codecs if source.turns_blue}
    heads = []
    async with asyncio.TaskGroup() as group:
        for number, feed in enumerate(source.feeds):
            codec = Codec(feed.codec)
            phase = number / len(source.feeds) * source.keyframe_every / source.fps
            from_start = source.card_at_s is None or source.repeats
            again = 0 if from_start else _last_keyframe(packed[codec])
            heads.append(Playhead(packed[codec], again, others.get(codec, ())))
            stream = _Stream(feed, heads[-1], source, phase)
            group.create_task(stream.run(), name=f"feed-{feed.port}")
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, _exchange, heads)
        _say("sending")
        if source.card_at_s is not None:
            await asyncio.sleep(source.card_at_s)
            _say("card_shown")


def _exchange(heads: Sequence[Playhead]) -> None:
    for head in heads:
        head.exchange()


def _last_keyframe(packed: Sequence[Packed]) -> int:
    return max(index for index, picture in enumerate(packed) if picture.keyframe)


def parse(text: str) -> Source:
    """`Source` from JSON."""
    fields = json.loads(text)
    feeds = tuple(Feed(**feed) for feed in fields.pop("feeds"))
    return Source(feeds=feeds, **fields)


if __name__ == "__main__":
    asyncio.run(main(parse(sys.argv[1])))
