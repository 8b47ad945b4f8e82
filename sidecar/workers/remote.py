"""Connections and samplers whose work is done in a worker."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from sidecar.clock import Clock
from sidecar.domain import AccessUnit, Codec, Sample, Want
from sidecar.ingest.source import AccessUnitSource
from sidecar.sample.budget import Demand
from sidecar.sample.cadence import Cadence
from sidecar.sample.risk import Risk
from sidecar.sample.sampler import SamplerSettings, Source
from sidecar.stats import Stats
from sidecar.workers.calls import (
    Accept,
    AddCandidates,
    AnswerTo,
    Offer,
    OpenFile,
    Request,
    RestartIce,
    WaitConnected,
)
from sidecar.workers.messages import (
    Burst,
    DropSampler,
    NewSampler,
    Observe,
    Pace,
)
from sidecar.workers.pool import Pool, Seat
from sidecar.workers.worker import Worker

_EVEN: Final = 0.5  # chance has no say in what is asked of the mirror


class RemoteSource:
    """What is received at a seat; a `RemoteSampler` samples it where it is.

    Its pictures stay in the worker: nothing comes of iterating here, and what is wanted
    of it says the sampler there.
    """

    def __init__(self, seat: Seat, codec: Codec) -> None:
        self.seat = seat
        self.codec = codec

    def want(self, want: Want) -> None:
        """The sampler in the worker says it."""

    def rest(self, until: float) -> None:
        """The sampler in the worker says it."""

    def request_keyframe(self) -> None:
        """The sampler in the worker says it."""

    async def __aiter__(self) -> AsyncIterator[AccessUnit]:
        """Ends at once."""
        units: tuple[AccessUnit, ...] = ()
        for unit in units:
            yield unit


class RemotePeer:
    """A WebRTC connection in a worker; see `ReceivingPeer`."""

    def __init__(self, pool: Pool, stream_id: str) -> None:
        self._pool = pool
        self._stream_id = stream_id
        self._seat: Seat | None = None
        self._codec = Codec.VP8
        self._closed = False

    async def offer(self) -> str:
        """The SDP offer for WHEP."""
        return await self._ask(Offer()) or ""

    async def answer_to(self, sdp_offer: str) -> str:
        """The SDP answer for WHIP."""
        return await self._ask(AnswerTo(sdp_offer)) or ""

    async def accept(self, sdp_answer: str) -> None:
        """Takes the answer to `offer`."""
        await self._ask(Accept(sdp_answer))

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Adds remote candidates."""
        await self._ask(AddCandidates(sdp_fragment))

    async def restart_ice(self, sdp_fragment: str) -> str:
        """A new ICE session; our side of it."""
        return await self._ask(RestartIce(sdp_fragment)) or ""

    async def wait_connected(self, timeout_s: float) -> None:
        """Returns once media can flow."""
        self._codec = Codec(await self._ask(WaitConnected(timeout_s)) or "")

    def source(self) -> AccessUnitSource:
        """What is received, for a `RemoteSampler`; usable once connected."""
        assert self._seat is not None
        return RemoteSource(self._seat, self._codec)

    async def close(self) -> None:
        """Closes the connection; may be called twice."""
        if self._seat is not None:
            await self._seat.close()

    async def _ask(self, request: Request) -> str | None:
        if self._seat is None:
            self._seat = await self._pool.seat(self._stream_id)
        return await self._seat.call(request)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A way to a video file that a worker reads; see `Connector`."""

    pool: Pool
    stream_id: str
    file: OpenFile

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        """Opens it; closes it on exit.

        Raises:
            StreamUnsupported: It is missing, no video, or of another codec.
            WorkerLost: No worker runs.
        """
        seat = await self.pool.seat(self.stream_id)
        try:
            yield RemoteSource(seat, Codec(await seat.call(self.file) or ""))
        finally:
            await seat.close()


class RemoteSampler:
    """A stream's sampler in whichever worker has it; see `StreamSampler`.

    What it is asked for is answered here, by a rhythm and a risk that are told the
    same things; in another worker it begins anew, with the pace and burst that hold.

    Args:
        pool: The workers.
        stream_id: Whose pictures.
        settings: How they are sampled.
        clock: Monotonic seconds.
        stats: The legs of each sample.
    """

    def __init__(
        self,
        pool: Pool,
        stream_id: str,
        settings: SamplerSettings,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._pool = pool
        self._stream_id = stream_id
        self._settings = settings
        self._clock = clock
        self._stats = stats
        self._cadence = Cadence(settings.cadence, lambda: _EVEN)
        self._risk = Risk(settings.cadence.burst_trigger)
        self._pace_s = 0.0
        self._worker: Worker | None = None
        self._id = 0

    @property
    def settings(self) -> SamplerSettings:
        """How the stream is sampled."""
        return self._settings

    @property
    def decodes_all(self) -> bool:
        """Whether everything was decoded at the worker's last beat."""
        worker = self._worker
        return worker is not None and self._id in worker.decoding_all

    @property
    def interval_s(self) -> float:
        """The mean interval that holds at present."""
        return self._cadence.interval_s

    def observe(self, score: float) -> None:
        """Takes the highest score of a sample; starts or prolongs a burst."""
        now = self._clock.monotonic()
        self._risk.observe(score, now)
        self._cadence.observe(score, now)
        if self._worker is not None:
            self._worker.tell(Observe(self._id, score))

    def burst(self) -> None:
        """Somebody reported the stream: samples it fast for a while."""
        self._cadence.burst(self._clock.monotonic())
        if self._worker is not None:
            self._worker.tell(Burst(self._id))

    def demand(self) -> Demand:
        """How many samples a second the stream should have, and how badly."""
        now = self._clock.monotonic()
        risk = self._risk.level(now, bursting=self._cadence.bursting(now))
        return Demand(1 / self._cadence.wanted_interval_s(now), risk)

    def pace(self, interval_s: float) -> None:
        """Samples no more often than this in the mean; 0: as the settings say."""
        if interval_s == self._pace_s:
            return
        self._pace_s = interval_s
        self._cadence.limit(interval_s)
        if self._worker is not None:
            self._worker.tell(Pace(self._id, interval_s))

    async def samples(self, source: Source) -> AsyncGenerator[Sample, None]:
        """Yields the samples of one connection as they fall due; close it after use.

        Args:
            source: A `RemoteSource`.

        Raises:
            StreamError: The connection's; WorkerLost.
        """
        assert isinstance(source, RemoteSource), source
        worker = source.seat.worker
        self._settle(worker)
        self._risk.begin(self._clock.monotonic())
        self._cadence.restart()
        look = worker.look(source.seat.id, self._id)
        try:
            while (sample := await look.next()) is not None:
                self._cadence.taken(sample.captured_at)
                leg = self._stats.leg_seconds
                leg.labels("receive").observe(sample.receive_s)
                leg.labels("decode").observe(sample.decode_s)
                yield sample
                del sample  # whoever keeps it keeps its picture's slot
                look.ready()
        finally:
            look.close()

    def close(self) -> None:
        """The stream is gone for good."""
        self._drop()
        self._pool.forget(self._stream_id)

    def _settle(self, worker: Worker) -> None:
        """Has a sampler in `worker`, and in no other."""
        if worker is self._worker:
            return
        self._drop()
        self._worker, self._id = worker, worker.new_id()
        self._pool.remember(self._stream_id, worker)
        worker.tell(NewSampler(self._id, self._stream_id, self._settings))
        if self._pace_s:
            worker.tell(Pace(self._id, self._pace_s))
        if self._cadence.bursting(self._clock.monotonic()):
            worker.tell(Burst(self._id))

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.tell(DropSampler(self._id))
            self._worker = None
