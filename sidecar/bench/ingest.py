"""`sidecar bench ingest`: what a stream costs, beside what else could be used.

Sender and receiver are processes of their own on loopback; the receiver's CPU time is
the operating system's account of its process alone, after a warm-up.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sidecar.bench import gstreamer_receiver
from sidecar.bench.child import Child, Message, child, module
from sidecar.bench.clip import ClipSettings, cached
from sidecar.bench.rows import Round
from sidecar.bench.sender import SenderSettings
from sidecar.domain import Codec

_PER_SENDER: Final = 10  # streams: two thirds of a core at 2 Mbit/s each
_SYSTEM_PYTHON: Final = "/usr/bin/python3"
_FIRST_S: Final = 2.0  # how long the first stream runs alone, for what it adds


@dataclass(frozen=True, slots=True)
class Kind:
    """A receiver that can be measured.

    Attributes:
        name: As in `rows`.
        per_s: Samples due a second and stream.
        dear: Decodes all: few streams fill a core.
        honours_pli: Whether the sender answers its requests for keyframes.
    """

    name: str
    per_s: float
    dear: bool = False
    honours_pli: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """Its process."""
        if self.name.startswith("gstreamer"):
            return (_SYSTEM_PYTHON, gstreamer_receiver.__file__, self.name)
        return module("receiver", self.name)


KINDS: Final = (
    Kind("sidecar-keyframes", 0.5),
    Kind("sidecar-keyframes-1s-pli", 1.0, honours_pli=True),
    Kind("sidecar-all", 1.0, dear=True),
    Kind("obvious", 30.0, dear=True),
    Kind("gstreamer-all", 1.0, dear=True),
    Kind("gstreamer-keyframes", 0.5),
)


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """What is measured.

    Attributes:
        codecs: VP8, H264 or both.
        streams: At once, for receivers that do not decode all; each number in turn.
        dear_streams: At once at most, for those that do.
        seconds: Measured in each round.
        rounds: How often each receiver has its turn.
        warm_up_s: Before each measurement: rhythms are learned in about three groups.
        loss: Share of media packets that is lost on the way.
        receivers: Their names; empty: all that are installed.
        width: Of the pictures.
        height: Of the pictures.
    """

    codecs: tuple[Codec, ...] = (Codec.VP8, Codec.H264)
    streams: tuple[int, ...] = (10,)
    dear_streams: int = 4
    seconds: float = 10.0
    rounds: int = 3
    warm_up_s: float = 6.0
    loss: float = 0.0
    receivers: tuple[str, ...] = ()
    width: int = 1280
    height: int = 720

    def counts(self, kind: Kind) -> list[int]:
        """How many streams at once, in turn."""
        most = self.dear_streams if kind.dear else max(self.streams)
        return sorted({min(streams, most) for streams in self.streams})


async def bench_ingest(
    settings: BenchSettings, tell: Callable[[Round], None]
) -> list[Round]:
    """Every round in turn, each told as soon as it is done.

    Raises:
        BenchFailed: A process of the measurement broke.
    """
    clips = {
        codec: await asyncio.to_thread(
            cached, ClipSettings(codec, settings.width, settings.height)
        )
        for codec in settings.codecs
    }
    rounds = []
    kinds = await _kinds(settings)
    for _ in range(settings.rounds):
        for codec in settings.codecs:
            for kind in kinds:
                for streams in settings.counts(kind):
                    one = await _round(kind, codec, clips[codec], streams, settings)
                    tell(one)
                    rounds.append(one)
    return rounds


async def _kinds(settings: BenchSettings) -> list[Kind]:
    """Those asked for, in their own order; GStreamer's only where it is installed."""
    wanted = [
        k for k in KINDS if not settings.receivers or k.name in settings.receivers
    ]
    if await has_gstreamer():
        return wanted
    return [kind for kind in wanted if not kind.name.startswith("gstreamer")]


async def has_gstreamer() -> bool:
    """Whether the system's Python can use webrtcbin and the decoders."""
    try:
        process = await asyncio.create_subprocess_exec(
            *(_SYSTEM_PYTHON, gstreamer_receiver.__file__, "--check"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    return await process.wait() == 0


async def _round(
    kind: Kind, codec: Codec, clip: Path, streams: int, settings: BenchSettings
) -> Round:
    """One receiver with its senders, from their start to their end."""
    sending = SenderSettings(
        codec=codec.value,
        clip=str(clip),
        honours_pli=kind.honours_pli,
        loss=settings.loss,
    )
    async with child(kind.name, *kind.command) as receiver:
        count = math.ceil(streams / _PER_SENDER)
        async with _senders(sending, count) as senders:
            rss = await _connect(receiver, senders, streams)
            await asyncio.sleep(settings.warm_up_s)
            before = await _readings(receiver, senders)
            await asyncio.sleep(settings.seconds)
            after = await _readings(receiver, senders)
    return _evaluate(kind, codec, streams, rss, (before, after))


@asynccontextmanager
async def _senders(settings: SenderSettings, count: int) -> AsyncIterator[list[Child]]:
    command = module("sender", json.dumps(asdict(settings)))
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(child("sender", *command))
            for _ in range(count)
        ]


async def _connect(receiver: Child, senders: list[Child], streams: int) -> float:
    """All streams, their groups spread evenly; the memory taken by the first alone."""
    group_s = 2.0
    rss = 0.0
    for index in range(streams):
        sender = senders[index % len(senders)]
        offer = await sender.ask({"offer": group_s * index / streams})
        answer = await receiver.ask(offer)
        await sender.ask(answer)
        if index == 0:
            await asyncio.sleep(_FIRST_S)
            rss = (await receiver.ask({"stats": True}))["rss_mb"]
    return rss


async def _readings(receiver: Child, senders: list[Child]) -> Message:
    """What the receiver has used, and what the senders have sent."""
    read = await receiver.ask({"stats": True})
    told = [await sender.ask({"stats": True}) for sender in senders]
    return {**read, **{k: sum(t[k] for t in told) for k in ("frames", "plis", "nacks")}}


def _evaluate(
    kind: Kind,
    codec: Codec,
    streams: int,
    first_rss: float,
    readings: tuple[Message, Message],
) -> Round:
    before, after = readings
    seconds = after["at"] - before["at"]
    sent = after["frames"] - before["frames"]
    cpu_s = after["cpu_s"] - before["cpu_s"]
    grown = after["rss_mb"] - first_rss
    return Round(
        receiver=kind.name,
        codec=codec.value.lower(),
        streams=streams,
        seconds=round(seconds, 2),
        cpu_percent_per_stream=100 * cpu_s / seconds / streams,
        samples_due=round(streams * seconds * kind.per_s),
        samples_taken=after["taken"] - before["taken"],
        rss_mb_per_stream=grown / (streams - 1) if streams > 1 else None,
        loop_lag_ms=after["loop_lag_ms"],
        frames_sent_percent=100 * sent / (30 * seconds * streams),
        plis=after["plis"] - before["plis"],
        nacks=after["nacks"] - before["nacks"],
    )
