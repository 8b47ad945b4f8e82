"""One stream's pictures for the model: which, decoded when due, newest first."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from sidecar.clock import Clock
from sidecar.domain import AccessUnit, Codec, PictureFormat, Sample, Want
from sidecar.log import get_logger
from sidecar.sample.cadence import Cadence, CadenceSettings
from sidecar.sample.decoder import Decoded, DecodeError, Decoder
from sidecar.sample.keyframes import DecodeMode, KeyframePlanner
from sidecar.stats import Stats

log = get_logger(__name__)

_TICK_S: Final = 0.5  # how late a request or a fallback may be while nothing comes


class Source(Protocol):
    """What a sampler needs of the ingest stage."""

    @property
    def codec(self) -> Codec:
        """How the pictures are encoded."""

    def want(self, want: Want) -> None:
        """Sets what is delivered from now on; `ALL` starts at the next keyframe."""

    def request_keyframe(self) -> None:
        """Asks the sender for a keyframe, where the source has a way to."""

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        """Yields in decoding order; raises StreamError."""


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """How a stream is sampled.

    Attributes:
        cadence: How often.
        decode: Keyframes, everything, or what is needed.
        pli_interval_s: Least time between requests for a keyframe; None: never ask.
        max_age_s: Older access units are not sampled.
    """

    cadence: CadenceSettings = field(default_factory=CadenceSettings)
    decode: DecodeMode = DecodeMode.AUTO
    pli_interval_s: float | None = 2.0
    max_age_s: float = 2.0


class Sampler:
    """Samples one stream, over all of its connections.

    Args:
        stream_id: Whose pictures.
        settings: How they are sampled.
        fmt: What the model wants to see.
        executor: Threads to decode in; it bounds how many decode at once.
        clock: Monotonic seconds.
        stats: Counters.
        uniform: Draws from [0, 1), for the jitter.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - one caller, the composition root
        self,
        stream_id: str,
        settings: SamplerSettings,
        fmt: PictureFormat,
        executor: Executor,
        clock: Clock,
        stats: Stats,
        uniform: Callable[[], float],
    ) -> None:
        self.stream_id = stream_id
        self.settings = settings
        self.fmt = fmt
        self.executor = executor
        self.clock = clock
        self.stats = stats
        self.cadence = Cadence(settings.cadence, uniform)

    def observe(self, score: float) -> None:
        """Takes the highest score of a sample; starts or prolongs a burst."""
        self.cadence.observe(score, self.clock.monotonic())

    def burst(self) -> None:
        """Somebody reported the stream: samples it fast for a while."""
        self.cadence.burst(self.clock.monotonic())

    async def samples(self, source: Source) -> AsyncGenerator[Sample, None]:
        """Yields the samples of one connection as they fall due; close it after use.

        While the caller holds a sample nothing is taken from `source`.

        Raises:
            StreamError: The source's.
        """
        self.cadence.restart()
        look = _Look(self, source)
        try:
            look.begin()
            async for au in source:
                look.waiting = False
                sample = await look.at(au)
                if sample is not None:
                    yield sample
                    look.back(sample)
                look.waiting = True
        finally:
            look.end()


class _Look:
    """One connection under the sampler's eyes."""

    def __init__(self, sampler: Sampler, source: Source) -> None:
        settings = sampler.settings
        self.waiting = True  # for the source; else what is missing proves nothing
        self._sampler = sampler
        self._source = source
        self._planner = KeyframePlanner(settings.decode, settings.pli_interval_s)
        self._decoder = Decoder(source.codec, sampler.fmt)
        self._all: bool | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Says what is wanted, and goes on doing so while nothing comes."""
        now = self._sampler.clock.monotonic()
        self._plan(now)
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def end(self) -> None:
        """Lets go of the timer and the decoder; the source is the caller's."""
        if self._timer is not None:
            self._timer.cancel()
        self._decoder.close()
        self._count(-1)

    def back(self, sample: Sample) -> None:
        """The caller is done with `sample`; if it took long, keyframes were missed."""
        now = self._sampler.clock.monotonic()
        if now - sample.decoded_at > self._sampler.cadence.interval_s / 2:
            self._planner.pause(now)

    async def at(self, au: AccessUnit) -> Sample | None:
        """The sample that `au` gives, if it is due and whole."""
        sampler = self._sampler
        if au.keyframe:
            self._planner.observe_keyframe(au.received_at)
        self._plan(sampler.clock.monotonic())
        usable = au.keyframe or (self._all and self._decoder.primed)
        if not usable:
            return None
        due = self._is_due(au)
        if not (due or self._all):
            return None
        decoded = await self._decoded(au, due=due)
        if decoded is None:
            return None
        sampler.cadence.taken(au.received_at)
        return self._sample(decoded)

    def _is_due(self, au: AccessUnit) -> bool:
        lead_s = 0.0 if self._all else (self._planner.period_s or 0.0) / 2
        if not self._sampler.cadence.due(au.received_at, lead_s):
            return False
        age_s = self._sampler.clock.monotonic() - au.completed_at
        if age_s > self._sampler.settings.max_age_s:
            self._sampler.stats.lost.labels("sample", "stale").inc()
            return False
        return True

    async def _decoded(self, au: AccessUnit, *, due: bool) -> Decoded | None:
        decoder = self._decoder
        work = (
            partial(decoder.follow, au, convert=due)
            if self._all
            else partial(decoder.glance, au)
        )
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._sampler.executor, work)
        except DecodeError:
            self._sampler.stats.lost.labels("decode", "torn").inc()
            self._planner.broken()
            self._plan(self._sampler.clock.monotonic())
            return None

    def _sample(self, decoded: Decoded) -> Sample:
        now = self._sampler.clock.monotonic()
        sample = Sample(
            stream_id=self._sampler.stream_id,
            picture=decoded.picture,
            captured_at=decoded.received_at,
            decoded_at=now,
            receive_s=decoded.completed_at - decoded.received_at,
            decode_s=max(0.0, now - decoded.completed_at),
        )
        leg = self._sampler.stats.leg_seconds
        leg.labels("receive").observe(sample.receive_s)
        leg.labels("decode").observe(sample.decode_s)
        return sample

    def _tick(self) -> None:
        if self.waiting:
            self._plan(self._sampler.clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)

    def _plan(self, now: float) -> None:
        plan = self._planner.decide(now, self._sampler.cadence.interval_s)
        if plan.all is not self._all:
            self._switch(plan.all)
        if plan.request_keyframe:
            self._source.request_keyframe()

    def _switch(self, all_: bool) -> None:  # noqa: FBT001 - the planner's word
        if self._all is not None:
            log.info("decode_switched", stream=self._sampler.stream_id, all=all_)
        self._count(-1)
        self._all = all_
        self._count(1)
        self._source.want(Want.ALL if all_ else Want.KEYFRAMES)

    def _count(self, change: int) -> None:
        if self._all is not None:
            decode = "all" if self._all else "keyframes"
            self._sampler.stats.decoding_streams.labels(decode).inc(change)
