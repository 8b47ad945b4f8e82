"""Reference streams: really encoded, packetized by aiortc's senders, not by us."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from av.video.codeccontext import VideoCodecContext

from sidecar.domain import Codec
from sidecar.ingest.depacketizer import Depacketizer
from sidecar.ingest.h264 import H264Depacketizer
from sidecar.ingest.rtp import Packet, Run
from sidecar.ingest.vp8 import Vp8Depacketizer

_TICKS = 3000  # of 90 kHz: 30 pictures a second


@dataclass(frozen=True)
class SentPicture:
    """One picture as its sender packetized it, and as it was encoded."""

    payloads: tuple[bytes, ...]
    data: bytes
    keyframe: bool


def noise(index: int, width: int = 96, height: int = 64) -> av.VideoFrame:
    """A picture that encodes to several packets: blocks of noise, and a moving bar."""
    blocks = np.random.default_rng(index // 4).integers(
        0, 255, (height // 2, width // 2, 3), dtype=np.uint8
    )
    picture = np.ascontiguousarray(blocks.repeat(2, 0).repeat(2, 1))
    picture[:, (4 * index) % width :][:, :4] = index % 256
    frame = av.VideoFrame.from_ndarray(picture, "rgb24")
    frame.pts, frame.time_base = index, Fraction(1, 30)
    return frame


def encoder(codec: Codec, width: int = 96, height: int = 64) -> VideoCodecContext:
    """An encoder without look-ahead, keyframe every 8 pictures."""
    name = "libvpx" if codec is Codec.VP8 else "libx264"
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = width, height
    context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 30)
    context.framerate, context.gop_size = Fraction(30), 8
    context.bit_rate, context.thread_count = 800_000, 1
    context.options = (
        {"deadline": "realtime", "lag-in-frames": "0", "cpu-used": "8"}
        if codec is Codec.VP8
        else {"tune": "zerolatency", "preset": "ultrafast"}
    )
    return context


@functools.cache
def encoded(codec: Codec, count: int = 24) -> "tuple[av.Packet[av.VideoStream], ...]":
    """`count` encoded pictures."""
    context = encoder(codec)
    packets = [
        p
        for i in range(count)
        for p in context.encode(noise(i).reformat(format="yuv420p"))
    ]
    return tuple(packets + context.encode(None))


@functools.cache
def sent(codec: Codec, count: int = 24) -> tuple[SentPicture, ...]:
    """The same, packetized."""
    sender = Vp8Encoder() if codec is Codec.VP8 else H264Encoder()
    depayload = vp8_depayload if codec is Codec.VP8 else h264_depayload
    pictures = []
    for packet in encoded(codec, count):
        payloads, _ = sender.pack(packet)
        data = b"".join(depayload(payload) for payload in payloads)
        pictures.append(SentPicture(tuple(payloads), data, packet.is_keyframe))
    return tuple(pictures)


@functools.cache
def stream(codec: Codec, sequence: int = 100, timestamp: int = 0) -> tuple[Packet, ...]:
    """The packets of `sent`, 1 ms apart, numbered from `sequence`."""
    packets: list[Packet] = []
    for index, picture in enumerate(sent(codec)):
        for payload in picture.payloads:
            packets.append(
                Packet(
                    sequence=(sequence + len(packets)) % (1 << 16),
                    timestamp=(timestamp + index * _TICKS) % (1 << 32),
                    marker=payload is picture.payloads[-1],
                    payload=payload,
                    arrived_at=len(packets) / 1000,
                )
            )
    return tuple(packets)


def arriving(packets: list[Packet]) -> list[Packet]:
    """`packets` in this order of arrival, 1 ms apart."""
    return [replace(p, arrived_at=i / 1000) for i, p in enumerate(packets)]


def depacketizer(codec: Codec) -> Depacketizer:
    """Ours."""
    return Vp8Depacketizer() if codec is Codec.VP8 else H264Depacketizer()


def together(packets: Iterable[Packet]) -> list[Run]:
    """The packets as runs: those of one picture and instant, numbered in sequence."""
    runs: list[Run] = []
    for packet in packets:
        last = runs[-1] if runs else None
        if last is not None and not last.marker and _follows(last, packet):
            payloads = [*last.payloads, packet.payload]
            runs[-1] = replace(last, payloads=payloads, marker=packet.marker)
        else:
            first = packet.sequence, packet.timestamp, packet.marker
            runs.append(Run(*first, [packet.payload], packet.arrived_at))
    return runs


def _follows(run: Run, packet: Packet) -> bool:
    number = (run.sequence + len(run.payloads)) % (1 << 16)
    of_run = number, run.timestamp, run.arrived_at
    return of_run == (packet.sequence, packet.timestamp, packet.arrived_at)
