"""A publisher and a sampler on a simulated clock; everything else is real."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from sidecar.arena import PictureArena
from sidecar.clock import ManualClock
from sidecar.domain import AccessUnit, Codec, PictureFormat, Sample, Want
from sidecar.errors import StreamUnavailable
from sidecar.sample.cadence import CadenceSettings
from sidecar.sample.listeners import Listeners
from sidecar.sample.sampler import Sampler, SamplerSettings, Source
from sidecar.stats import Stats
from tests.fakes.encoded import BLUE, RED, Encoder
from tests.fakes.encoded import field as colour_field

FPS = 10
CADENCE = CadenceSettings(
    interval_s=1.0, jitter=0.0, burst_interval_s=0.2, burst_trigger=0.5, burst_s=3.0
)
CADENCE_4S = replace(CADENCE, interval_s=4.0)


@dataclass
class Live:
    """A publisher on the clock: red first, from `blue_at` on blue.

    Attributes:
        clock: Advances as pictures come.
        seconds: How long it lasts.
        natural_s: Period of keyframes that come by themselves; None: the first only.
        heeds: Whether a request is answered, with the next picture.
        torn: Numbers of pictures whose data is destroyed.
        late_s: Added to the clock before a picture is handed over.
        rests: When it was told to rest, and until when.
        open_s: How long it was not resting.
    """

    clock: ManualClock
    seconds: float = 10.0
    natural_s: float | None = 1.0
    heeds: bool = True
    torn: tuple[int, ...] = ()
    late_s: float = 0.0
    blue_at: float = 5.0
    codec: Codec = Codec.VP8
    error: StreamUnavailable | None = None
    wants: list[Want] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    closed: bool = False
    resting_until: float = -1.0
    rests: list[tuple[float, float]] = field(default_factory=list)
    open_s: float = 0.0

    def want(self, want: Want) -> None:
        """See `Source`."""
        self.wants.append(want)
        if want is Want.ALL:
            self.resting_until = -1.0

    def rest(self, until: float) -> None:
        """See `Source`; nothing comes before `until`."""
        self.resting_until = until
        self.rests.append((self.clock.monotonic(), until))

    def request_keyframe(self) -> None:
        """See `Source`."""
        self.asked.append(self.clock.monotonic())

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        return self._units()

    async def _units(self) -> AsyncIterator[AccessUnit]:
        encoder = Encoder(self.codec, fps=FPS)
        start, answered, chained = self.clock.monotonic(), 0, False
        for i in range(int(self.seconds * FPS)):
            self._advance_to(start + i / FPS)
            await turns(3)
            natural = self.natural_s and i % round(self.natural_s * FPS) == 0
            asked = self.heeds and len(self.asked) > answered
            answered = len(self.asked)
            colour = RED if i / FPS < self.blue_at else BLUE
            (unit,) = encoder.encode(
                colour_field(colour), keyframe=bool(i == 0 or natural or asked)
            )
            all_ = self.wants[-1] is Want.ALL
            resting = self.clock.monotonic() - 0.02 < self.resting_until
            self.open_s += 0.0 if resting else 1 / FPS
            chained = all_ and (chained or unit.keyframe)
            if (unit.keyframe and not resting) or chained:
                yield self._stamped(unit, i)
        if self.error:
            raise self.error

    def _advance_to(self, instant: float) -> None:
        self.clock.advance(max(0.0, instant - self.clock.monotonic()))

    def _stamped(self, unit: AccessUnit, i: int) -> AccessUnit:
        at = self.clock.monotonic()
        self.clock.advance(self.late_s)
        data = b"\xff" * 50 if i in self.torn else unit.data
        return replace(unit, data=data, received_at=at - 0.02, completed_at=at)


@dataclass
class Rig:
    """A sampler with its surroundings."""

    executor: Executor
    clock: ManualClock = field(default_factory=ManualClock)
    stats: Stats = field(default_factory=Stats)
    arena: PictureArena | None = None
    listeners: Listeners = field(default_factory=Listeners)

    def sampler(self, settings: SamplerSettings | None = None) -> Sampler:
        """A sampler without jitter."""
        return Sampler(
            "studio-7",
            settings or SamplerSettings(CADENCE),
            PictureFormat(32, 24),
            self.executor,
            self.clock,
            self.stats,
            lambda: 0.5,
            self.arena,
            listeners=self.listeners,
        )

    def value(self, name: str, **labels: str) -> float:
        """A counter's or gauge's value."""
        return self.stats.registry.get_sample_value(name, labels) or 0.0

    def decoding(self) -> tuple[float, float]:
        """Streams of which keyframes, and of which everything, is decoded."""
        name = "sidecar_decoding_streams"
        return self.value(name, decode="keyframes"), self.value(name, decode="all")


async def turns(count: int = 20) -> None:
    """Lets the loop go round, with what is scheduled."""
    for _ in range(count):
        await asyncio.sleep(0)


async def take(
    sampler: Sampler,
    source: Source,
    each: Callable[[Sample], None] = lambda _: None,
    limit: int = 1000,
) -> list[Sample]:
    """The samples of a connection, closed after use."""
    taken: list[Sample] = []
    async with aclosing(sampler.samples(source)) as samples:
        async for sample in samples:
            taken.append(sample)
            each(sample)
            if len(taken) == limit:
                break
    return taken


def gaps(samples: list[Sample]) -> list[float]:
    """Times between captures."""
    return [b.captured_at - a.captured_at for a, b in itertools.pairwise(samples)]


@dataclass
class Silent:
    """A source that never delivers; it ends when it was told enough."""

    clock: ManualClock
    told: list[str] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    codec: Codec = Codec.H264

    def want(self, want: Want) -> None:
        """See `Source`."""
        self.told.append(want)
        self.clock.advance(10.0)
        if want is Want.ALL:
            self.enough.set()

    def rest(self, until: float) -> None:
        """See `Source`; there is no keyframe to rest after."""
        raise AssertionError(until)

    def request_keyframe(self) -> None:
        """See `Source`."""
        self.told.append("request")
        self.clock.advance(10.0)

    async def __aiter__(self) -> AsyncIterator[AccessUnit]:
        await self.enough.wait()
        nothing: tuple[AccessUnit, ...] = ()
        for unit in nothing:
            yield unit
