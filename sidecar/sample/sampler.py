"""One stream's pictures for the model: which, decoded when due, newest first."""

from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import Final

from sidecar.arena import PictureArena
from sidecar.clock import Clock
from sidecar.domain import Formats, PictureFormat, Sample
from sidecar.sample.audit import Audit
from sidecar.sample.budget import Demand
from sidecar.sample.cadence import Cadence
from sidecar.sample.listeners import Listeners
from sidecar.sample.look import Look
from sidecar.sample.risk import Risk
from sidecar.sample.subject import SamplerSettings, Source, Subject
from sidecar.stats import Stats

_MUCH: Final = 0.8

__all__ = ["Sampler", "SamplerSettings", "Source"]


class Sampler:
    """Samples one stream, over all of its connections.

    Args:
        stream_id: Whose pictures.
        settings: How they are sampled.
        fmt: What the model wants to see.
        executor: Threads to decode in; it bounds how many decode at once.
        clock: Monotonic seconds.
        stats: Counters.
        uniform: Draws from [0, 1), for the jitter and the audits.
        arena: Where pictures are put; each in memory of its own if None.
        formats: What all models want to see at present; None: `fmt` alone, for ever.
        listeners: Who may listen; to be shared by all streams of the process.
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
        arena: PictureArena | None = None,
        formats: Formats | None = None,
        listeners: Listeners | None = None,
    ) -> None:
        self._settings = settings
        self.clock = clock
        self._subject = Subject(
            stream_id,
            settings,
            fmt,
            executor,
            clock,
            stats,
            Cadence(settings.cadence, uniform),
            Audit(settings.audit, uniform),
            arena,
            formats,
            listeners or Listeners(),
        )
        self._risk = Risk(settings.cadence.burst_trigger)
        self._look: Look | None = None

    @property
    def settings(self) -> SamplerSettings:
        """How the stream is sampled."""
        return self._settings

    @property
    def decodes_all(self) -> bool:
        """Whether everything, not keyframes alone, is decoded at present."""
        return self._look is not None and bool(self._look.all)

    @property
    def interval_s(self) -> float:
        """The mean interval that holds at present."""
        return self._subject.cadence.interval_s

    def observe(self, score: float) -> None:
        """Takes the highest score of a sample; starts or prolongs a burst."""
        now = self.clock.monotonic()
        self._risk.observe(score, now)
        self._subject.cadence.observe(score, now)

    def burst(self) -> None:
        """Somebody reported the stream: samples it fast for a while."""
        self._subject.cadence.burst(self.clock.monotonic())
        self._replan()

    def demand(self) -> Demand:
        """How many samples a second the stream should have, and how badly."""
        now = self.clock.monotonic()
        cadence = self._subject.cadence
        risk = self._risk.level(now, bursting=cadence.bursting(now))
        return Demand(1 / cadence.wanted_interval_s(now), risk)

    def pace(self, interval_s: float) -> None:
        """Samples no more often than this in the mean; 0: as the settings say.

        A rest is cut short if it has become much too long; else it takes effect from
        the next sample on.
        """
        cadence = self._subject.cadence
        before_s = cadence.interval_s
        cadence.limit(interval_s)
        if cadence.interval_s < _MUCH * before_s:
            self._replan()

    async def samples(self, source: Source) -> AsyncGenerator[Sample, None]:
        """Yields the samples of one connection as they fall due; close it after use.

        While the caller holds a sample nothing is taken from `source`; as long as it
        holds the picture, that has its place in the arena.

        Raises:
            StreamError: The source's.
        """
        now = self.clock.monotonic()
        self._risk.begin(now)
        self._subject.cadence.restart()
        self._subject.audit.connect(now)
        look = self._look = Look(self._subject, source)
        try:
            look.begin()
            async for au in source:
                look.waiting = False
                sample = await look.at(au)
                if sample is not None:
                    yield sample
                    look.back(sample)
                    del sample  # its picture is somebody else's room from now on
                look.waiting = True
        finally:
            look.end()
            self._look = None

    def close(self) -> None:
        """Nothing outlives `samples`."""

    def _replan(self) -> None:
        if self._look is not None:
            self._look.replan()
