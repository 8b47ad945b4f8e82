"""Streams without media: real supervisors, pipeline, policies, outbox and page.

Only what they show is made up: a score as a function of the stream's number and time.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType

import numpy as np

from sidecar.app.build import App
from sidecar.app.spec import Origin, StreamSpec
from sidecar.clock import Clock
from sidecar.domain import (
    AccessUnit,
    Category,
    Codec,
    LabelScore,
    ModelRef,
    Sample,
    Scores,
    SourceKind,
    Stream,
    Want,
)
from sidecar.ingest.source import AccessUnitSource
from sidecar.sample.budget import Demand
from sidecar.sample.subject import SamplerSettings, Source

PICTURE = np.zeros((96, 96, 3), np.uint8)
PICTURE[:, :48:2, 0] = 255  # thin red lines on black, then a blue half
PICTURE[:, 48:, 2] = 255
MODEL = ModelRef("synthetic", "sha256:0")
CARD_EVERY_S, CARD_FOR_S = 15.0, 6.0


def shown(number: int, at: float) -> float:
    """The score: of 0 a card now and then, of each tenth a plateau, else little."""
    if number == 0:
        return 0.96 if at % CARD_EVERY_S < CARD_FOR_S else 0.05
    wave = 0.06 + 0.04 * math.sin(at / 7 + number)
    if number % 10 == 3:
        return 0.62 + wave if (at + number) % 24 < 12 else wave
    return wave


class NoPictures:
    """A source that is connected for ever and gives nothing."""

    codec = Codec.VP8

    def want(self, want: Want) -> None:
        """Nothing is delivered either way."""

    def rest(self, until: float) -> None:
        """There is nothing to leave out."""

    def request_keyframe(self) -> None:
        """There are none."""

    async def __aiter__(self) -> AsyncGenerator[AccessUnit, None]:
        """Ends at once."""
        units: tuple[AccessUnit, ...] = ()
        for unit in units:
            yield unit


class AlwaysThere:
    """Connects at once."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        """A source without pictures."""
        yield NoPictures()


class Ticking:
    """A sampler that has the same sample every second, out of step with others."""

    def __init__(self, number: int, stream_id: str, clock: Clock) -> None:
        self._phase = (number * 0.6180339) % 1.0
        self._stream_id = stream_id
        self._clock = clock
        self.settings = SamplerSettings()
        self.decodes_all = False
        self.interval_s = 1.0
        self.bursts = 0

    def observe(self, score: float) -> None:
        """Nothing follows."""

    def burst(self) -> None:
        """Counted."""
        self.bursts += 1

    def demand(self) -> Demand:
        """None that a test needs."""
        raise NotImplementedError

    def pace(self, interval_s: float) -> None:
        """Nothing follows."""

    async def samples(self, source: Source) -> AsyncGenerator[Sample, None]:
        """One a second."""
        assert source is not None
        while True:
            now = self._clock.monotonic()
            await asyncio.sleep(1.0 - (now + self._phase) % 1.0)
            now = self._clock.monotonic()
            yield Sample(self._stream_id, PICTURE, now, now, 0.004, 0.003)

    def close(self) -> None:
        """Nothing is held."""


class MadeUp:
    """A classifier that knows what is shown."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self._numbers = numbers

    async def classify(self, sample: Sample) -> Scores:
        """The score of now."""
        score = shown(self._numbers[sample.stream_id], sample.captured_at)
        by = {
            Category.SEXUAL_EXPLICIT: LabelScore(round(score, 6), "card"),
            Category.VIOLENCE_GRAPHIC: LabelScore(0.02, "other"),
            Category.SAFE: LabelScore(round(1 - score, 6), "safe"),
        }
        return Scores(
            sample.stream_id,
            MappingProxyType(by),
            MODEL,
            sample.captured_at,
            sample.receive_s,
            sample.decode_s,
            queue_s=0.002,
            inference_s=0.011,
        )


def name_of(number: int) -> str:
    """`room-000` and so on."""
    return f"room-{number:03d}"


def add_synthetic(app: App, count: int) -> None:
    """Puts `count` of them under watch; the model is asked about none."""
    numbers = {name_of(number): number for number in range(count)}
    app.pipeline._classifier = MadeUp(numbers)
    for stream_id, number in numbers.items():
        labels = {"tier": "new" if number % 7 == 0 else "known"}
        stream = Stream(
            stream_id, SourceKind.WHEP, f"u-{number}", labels=MappingProxyType(labels)
        )
        sampler = Ticking(number, stream_id, app.factory.clock)
        app.streams.add(StreamSpec(stream, AlwaysThere(), sampler, Origin.API))
