"""A worker that runs, from the sidecar's side: what it is told and what it says."""

import asyncio
import itertools
from functools import singledispatchmethod

from sidecar.domain import NO_OTHERS, Sample
from sidecar.errors import WorkerLost
from sidecar.stats import Stats
from sidecar.workers.borrowing import Borrowing
from sidecar.workers.calls import Answer, Call, Refusal, Request
from sidecar.workers.channel import Channel
from sidecar.workers.codec import WireError
from sidecar.workers.faults import to_error
from sidecar.workers.messages import (
    Beat,
    Look,
    LookAway,
    Message,
    Next,
    Over,
    Release,
    Show,
    Taken,
    ToWorker,
)
from sidecar.workers.tally import Share


class RemoteLook:
    """A stream being sampled in a worker: what arrives of it."""

    def __init__(self, worker: "Worker", look: int, stream_id: str) -> None:
        self.stream_id = stream_id
        self._worker = worker
        self._look = look
        self._arrived: asyncio.Queue[Sample | Exception | None] = asyncio.Queue()

    def arrived(self, what: Sample | Exception | None) -> None:
        """A sample, an error, or None: the end."""
        self._arrived.put_nowait(what)

    async def next(self) -> Sample | None:
        """The next sample; None at the end. Raises StreamError."""
        what = await self._arrived.get()
        if isinstance(what, Exception):
            raise what
        return what

    def ready(self) -> None:
        """The sample in flight is decided."""
        self._worker.return_slots()
        self._worker.tell(Next(self._look))

    def close(self) -> None:
        """Nobody looks any more; what has arrived unseen is let go of."""
        self._worker.look_away(self._look)
        while not self._arrived.empty():
            self._arrived.get_nowait()


class Worker:
    """One process that receives and samples.

    Args:
        name: For messages and metrics.
        channel: To it.
        pictures: Where they lie.
        stats: Its numbers are added to these.

    Attributes:
        streams: The stream of each seat.
        decoding_all: Samplers of whose streams everything is decoded at present.
    """

    def __init__(
        self,
        name: str,
        channel: Channel,
        pictures: Borrowing,
        stats: Stats,
    ) -> None:
        self.name = name
        self.streams: dict[int, str] = {}
        self.decoding_all: frozenset[int] = frozenset()
        self._channel = channel
        self._pictures = pictures
        self._stats = stats
        self._share = Share(stats)
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._calls: dict[int, tuple[str, asyncio.Future[str | None]]] = {}
        self._looks: dict[int, RemoteLook] = {}
        self._lost: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it can be told anything."""
        return self._lost is None

    def new_id(self) -> int:
        """One that nothing else in this worker has or had."""
        return next(self._ids)

    def tell(self, message: ToWorker) -> None:
        """Says something that is not answered; nothing if the worker is lost."""
        if self.alive:
            self._channel.send(message)

    async def call(self, seat: int, request: Request) -> str | None:
        """What the request comes to.

        Raises:
            StreamError: As the connection in the worker says; WorkerLost.
            ValueError: What was given is malformed.
        """
        stream_id = self.streams[seat]
        if self._lost is not None:
            raise WorkerLost(stream_id, self._lost)
        call, future = self.new_id(), self._loop.create_future()
        self._calls[call] = (stream_id, future)
        self._channel.send(Call(call, seat, stream_id, request))
        try:
            text: str | None = await future
            return text
        finally:
            del self._calls[call]

    def look(self, seat: int, sampler: int) -> RemoteLook:
        """Samples a seat's connection from now on. Raises WorkerLost."""
        stream_id = self.streams[seat]
        if self._lost is not None:
            raise WorkerLost(stream_id, self._lost)
        look = self.new_id()
        found = self._looks[look] = RemoteLook(self, look, stream_id)
        self._channel.send(Look(look, seat, sampler))
        return found

    def look_away(self, look: int) -> None:
        """Ends a look."""
        if self._looks.pop(look, None) is not None:
            self.tell(LookAway(look))

    def show(self) -> None:
        """Tells it what the models want to see, if that is new. Raises BlockFull."""
        regions = self._pictures.news()
        if regions is not None:
            self.tell(Show(regions))

    def return_slots(self) -> None:
        """Gives back what nobody refers to any more."""
        places = self._pictures.returned()
        if places:
            self.tell(Release(places))

    def hear(self, message: Message) -> None:
        """Takes what the worker says. Raises WireError: it must not say that."""
        self._hear(message)
        self.return_slots()

    @singledispatchmethod
    def _hear(self, message: Message) -> None:
        raise WireError(f"{message.kind} does not come from a worker")

    @_hear.register
    def _(self, message: Answer) -> None:
        _, future = self._calls.get(message.id, ("", None))
        if future is not None and not future.done():
            future.set_result(message.text)

    @_hear.register
    def _(self, message: Refusal) -> None:
        stream_id, future = self._calls.get(message.id, ("", None))
        if future is not None and not future.done():
            future.set_exception(to_error(message.fault, stream_id))

    @_hear.register
    def _(self, message: Taken) -> None:
        others = self._pictures.borrow(message.places)
        look = self._looks.get(message.look)
        if look is None:
            return  # nobody looks any more, and the slots go back
        fmt = next(iter(others))
        picture = others.pop(fmt)
        look.arrived(
            Sample(
                stream_id=look.stream_id,
                picture=picture,
                captured_at=message.captured_at,
                decoded_at=message.decoded_at,
                receive_s=message.receive_s,
                decode_s=message.decode_s,
                fmt=fmt,
                others=others or NO_OTHERS,
            )
        )

    @_hear.register
    def _(self, message: Over) -> None:
        look = self._looks.get(message.look)
        if look is not None:
            fault = message.fault
            look.arrived(None if fault is None else to_error(fault, look.stream_id))

    @_hear.register
    def _(self, message: Beat) -> None:
        self.decoding_all = frozenset(message.decoding_all)
        try:
            self._share.add(message.changes)
        except (KeyError, ValueError) as exc:
            raise WireError(f"a number that there is none of: {exc}") from exc

    def lose(self, why: str) -> None:
        """It is gone: whoever waits for it hears so."""
        self._lost = why
        self._share.withdraw()
        for stream_id, future in self._calls.values():
            if not future.done():
                future.set_exception(WorkerLost(stream_id, why))
        for look in self._looks.values():
            look.arrived(WorkerLost(look.stream_id, why))
