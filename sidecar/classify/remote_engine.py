"""The engine that has its batches run elsewhere, by one of several servers.

A server that fails is left alone for a while; the next one gets the batch. If none
answers, the batch fails, and its samples are UNKNOWN. It never ends the process: an
outage elsewhere is no fault of ours.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.breaker import Breaker, BreakerSettings
from sidecar.classify.endpoint import Endpoint, RemoteModel
from sidecar.classify.feed import feed
from sidecar.classify.labels import CategoryMap
from sidecar.classify.served import Server
from sidecar.clock import Clock
from sidecar.domain import ModelRef, Picture, PictureFormat
from sidecar.errors import EndpointError, EngineDead, EngineError, ManifestError
from sidecar.log import get_logger
from sidecar.stats import Stats

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """How servers are used.

    Attributes:
        max_batch_size: The most pictures in a batch.
        concurrency: Batches under way at the same time.
        timeout_s: For one answer of one server.
        probe_s: How often each is asked how it is.
        breaker: When one that fails is left alone.
    """

    max_batch_size: int = 4
    concurrency: int = 2
    timeout_s: float = 1.0
    probe_s: float = 2.0
    breaker: BreakerSettings = field(default_factory=BreakerSettings)


class RemoteEngine:
    """A model that servers run as its file is.

    Args:
        model: What they run.
        servers: Each batch goes to another one; to the next if that fails.
        settings: How they are used.
        clock: Monotonic seconds.
        stats: Counts batches and endpoints.
    """

    def __init__(
        self,
        model: RemoteModel,
        servers: Sequence[Server],
        settings: RemoteSettings,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._manifest = model.manifest
        self._settings = settings
        self._clock = clock
        self._stats = stats
        self._closed = False
        self._turn = 0
        self._endpoints = [
            Endpoint(server, model, settings.timeout_s, Breaker(settings.breaker))
            for server in servers
        ]

    @property
    def ref(self) -> ModelRef:
        """Name and hash of the model's file."""
        return self._manifest.ref

    @property
    def fmt(self) -> PictureFormat:
        """What its pictures look like."""
        return self._manifest.format

    @property
    def categories(self) -> CategoryMap:
        """What the columns of its scores mean."""
        return self._manifest.categories

    @property
    def max_batch_size(self) -> int:
        """The most pictures it takes at once."""
        return self._settings.max_batch_size

    @property
    def concurrency(self) -> int:
        """How many batches may be under way."""
        return self._settings.concurrency

    @property
    def alive(self) -> bool:
        """Until it is closed: servers come back."""
        return not self._closed

    @property
    def ready(self) -> bool:
        """Whether there is a server to be tried."""
        return any(endpoint.usable for endpoint in self._endpoints)

    async def open(self) -> None:
        """Asks every server once; one that cannot be reached is asked again later.

        Raises:
            ManifestError: A server runs something else.
        """
        found: list[str] = []
        for endpoint in self._endpoints:
            try:
                found += await endpoint.vet()
            except EndpointError as exc:
                log.warning("remote_endpoint_down", url=endpoint.url, error=str(exc))
        self._show()
        if found:
            raise ManifestError(*found)

    async def tend(self) -> None:
        """Asks the servers how they are, for ever."""
        while True:
            await asyncio.sleep(self._settings.probe_s)
            await self.probe()

    async def probe(self) -> None:
        """Asks each server once, but for those that are left alone."""
        for endpoint in self._endpoints:
            breaker = endpoint.breaker
            if breaker.closed or breaker.probe_due(self._clock.monotonic()):
                await self._probe(endpoint)
        self._show()

    async def infer(self, batch: Sequence[Picture]) -> NDArray[np.float32]:
        """See `Engine.infer`; each usable server is tried once."""
        self._check(batch)
        tensor = await asyncio.to_thread(feed, batch, self._manifest.input)
        outcome, told = "answered", "all servers are left alone"
        for endpoint in self._candidates():
            try:
                scores = await endpoint.ask(tensor)
            except EndpointError as exc:
                outcome, told = "retried", str(exc)
                self._failed(endpoint, exc)
                continue
            endpoint.breaker.succeeded()
            self._stats.remote_batches.labels(outcome).inc()
            return scores
        self._stats.remote_batches.labels("failed").inc()
        raise EngineError(f"no server answered: {told}")

    def close(self) -> None:
        """Takes no more batches; `aclose` lets go of the connections."""
        self._closed = True

    async def aclose(self) -> None:
        """Ends all connections; may be called twice."""
        self.close()
        for endpoint in self._endpoints:
            await endpoint.close()

    def _check(self, batch: Sequence[Picture]) -> None:
        if self._closed:
            raise EngineDead("the engine was closed")
        if not 1 <= len(batch) <= self.max_batch_size:
            raise EngineError(
                f"a batch has 1 to {self.max_batch_size} pictures, not {len(batch)}"
            )
        shape = (self.fmt.height, self.fmt.width, 3)
        for picture in batch:
            if picture.shape != shape or picture.dtype != np.uint8:
                raise EngineError(
                    f"a picture is {picture.dtype} {picture.shape} instead of"
                    f" uint8 {shape}"
                )

    def _candidates(self) -> list[Endpoint]:
        """The usable ones, beginning with another one each time."""
        usable = [one for one in self._endpoints if one.usable]
        if not usable:
            return []
        self._turn += 1
        first = self._turn % len(usable)
        return [*usable[first:], *usable[:first]]

    async def _probe(self, endpoint: Endpoint) -> None:
        """A usable one is asked whether it is ready; another one is vetted anew."""
        try:
            if endpoint.usable:
                await endpoint.require_ready()
                return
            found = await endpoint.vet()
        except EndpointError as exc:
            self._failed(endpoint, exc)
            return
        if found:
            log.error("remote_model_differs", faults=found)
            endpoint.failed(self._clock.monotonic())
        else:
            log.warning("remote_endpoint_up", url=endpoint.url)

    def _failed(self, endpoint: Endpoint, exc: EndpointError) -> None:
        """Counts against it; said once when it is left alone."""
        if endpoint.failed(self._clock.monotonic()):
            log.warning("remote_endpoint_down", url=endpoint.url, error=str(exc))
            self._show()

    def _show(self) -> None:
        up = sum(endpoint.usable for endpoint in self._endpoints)
        self._stats.remote_endpoints.labels("up").set(up)
        self._stats.remote_endpoints.labels("down").set(len(self._endpoints) - up)
