"""Inside a worker: its samplers, and the samples they hand over."""

import asyncio
import random
from concurrent.futures import Executor
from contextlib import aclosing

from sidecar.clock import Clock
from sidecar.domain import Sample
from sidecar.errors import StreamError
from sidecar.ingest.source import AccessUnitSource
from sidecar.sample.listeners import Listeners
from sidecar.sample.sampler import Sampler
from sidecar.stats import Stats
from sidecar.workers.channel import Channel
from sidecar.workers.faults import to_fault
from sidecar.workers.lending import Lending
from sidecar.workers.messages import Look, NewSampler, Over, Taken


class Looking:
    """Samples streams into the block.

    Args:
        channel: To the sidecar.
        lending: What pictures are put into, and which the sidecar has.
        executor: Threads to decode in.
        clock: Monotonic seconds.
        stats: Counters.

    Attributes:
        samplers: By the sidecar's number.
    """

    def __init__(
        self,
        channel: Channel,
        lending: Lending,
        executor: Executor,
        clock: Clock,
        stats: Stats,
    ) -> None:
        self.lending = lending
        self.samplers: dict[int, Sampler] = {}
        self._channel = channel
        self._executor = executor
        self._clock = clock
        self._stats = stats
        self._ready: dict[int, asyncio.Event] = {}
        self._listeners = Listeners()

    @property
    def decoding_all(self) -> tuple[int, ...]:
        """The samplers of whose streams everything is decoded."""
        return tuple(id_ for id_, one in self.samplers.items() if one.decodes_all)

    def add(self, new: NewSampler) -> None:
        """A stream's sampler."""
        fmt = self.lending.formats()[0]
        self.samplers[new.sampler] = Sampler(
            new.stream_id,
            new.settings,
            fmt,
            self._executor,
            self._clock,
            self._stats,
            random.random,
            self.lending.arena(fmt),
            self.lending.formats,
            self._listeners,
        )

    def next(self, look: int) -> None:
        """The sample in flight of a look is decided."""
        if look in self._ready:
            self._ready[look].set()

    async def look(self, look: Look, source: AccessUnitSource) -> None:
        """Samples a connection until it ends; says how."""
        ready = self._ready[look.look] = asyncio.Event()
        fault = None
        try:
            sampler = self.samplers[look.sampler]
            async with aclosing(sampler.samples(source)) as samples:
                async for sample in samples:
                    lent = self._hand_over(look.look, sample)
                    del sample  # its slot is for others when it comes back
                    if lent:
                        await ready.wait()
                        ready.clear()
        except StreamError as exc:
            fault = to_fault(exc)
        finally:  # also if its seat is closed: whoever looks has to hear of it
            del self._ready[look.look]
            self._channel.send(Over(look.look, fault))

    def _hand_over(self, look: int, sample: Sample) -> bool:
        """Whether there was room for it."""
        places = self.lending.lend(sample)
        if places is None:
            self._stats.lost.labels("sample", "slots").inc()
            return False
        self._channel.send(
            Taken(
                look,
                places,
                sample.captured_at,
                sample.decoded_at,
                sample.receive_s,
                sample.decode_s,
            )
        )
        return True
