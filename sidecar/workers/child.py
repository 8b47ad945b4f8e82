"""The worker process: receives, samples, and does as it is told."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import singledispatchmethod
from typing import Any, Final

from sidecar import __version__, log
from sidecar.clock import SystemClock
from sidecar.errors import StreamError
from sidecar.stats import Stats
from sidecar.workers.block import Block
from sidecar.workers.calls import Answer, Call, Close, Fault, Refusal
from sidecar.workers.channel import Channel
from sidecar.workers.codec import VERSION, WireError
from sidecar.workers.faults import to_fault
from sidecar.workers.lending import Lending
from sidecar.workers.looking import Looking
from sidecar.workers.messages import (
    Beat,
    Burst,
    DropSampler,
    Hello,
    Look,
    LookAway,
    Message,
    NewSampler,
    Next,
    Observe,
    Pace,
    Release,
    Setup,
    Show,
    Stop,
)
from sidecar.workers.receiving import Receiving
from sidecar.workers.tally import Tally

BEAT_S: Final = 1.0
_CLOSED: Final = Fault("unavailable", "the connection was closed")
_CLOSE_S: Final = 1.5  # a connection's own close takes up to one
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def run_worker(control: int, memory: int) -> None:
    """Serves until it is told to stop, or the sidecar is gone.

    Args:
        control: Descriptor of this side's end of the socket pair.
        memory: Descriptor of the shared block.
    """
    # A terminal and a service manager tell the whole group; the sidecar tells us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _die_with(os.getppid())
    asyncio.run(_serve(socket.socket(fileno=control), memory))


def _die_with(parent: int) -> None:
    """Has the kernel kill us with the sidecar, should we hang just then."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it went in between
        sys.exit(1)


async def _serve(control: socket.socket, memory: int) -> None:
    channel = await Channel.open(control)
    channel.send(Hello(VERSION, __version__))
    setup = await channel.receive()
    if setup is None:
        return
    if not isinstance(setup, Setup):
        raise WireError(f"the first word was {setup.kind}")
    log.setup(setup.log_format, setup.log_level)
    log.bind(worker=setup.worker)
    block = Block(memory, setup.slots)
    os.close(memory)
    with ThreadPoolExecutor(setup.decoders, thread_name_prefix="decode") as decoders:
        try:
            await Child(channel, setup, block, decoders).run()
        finally:
            channel.close()


class Child:
    """The worker's own root: takes messages, keeps seats, owns the tasks."""

    def __init__(
        self,
        channel: Channel,
        setup: Setup,
        block: Block,
        decoders: ThreadPoolExecutor,
    ) -> None:
        self._channel = channel
        self._setup = setup
        self._clock = SystemClock()
        self._stats = Stats()
        self._tally = Tally(self._stats)
        self._looking = Looking(
            channel, Lending(block, setup.near), decoders, self._clock, self._stats
        )
        self._seats: dict[int, Receiving] = {}
        self._looks: dict[int, asyncio.Task[None]] = {}
        self._group = asyncio.TaskGroup()

    async def run(self) -> None:
        """Until `Stop`, or until the sidecar is gone. Bugs come out."""
        async with self._group as group:
            beats = group.create_task(self._beat(), name="beat")
            while (message := await self._channel.receive()) is not None:
                if isinstance(message, Stop):
                    break
                self._take(message)
            beats.cancel()
            await self._leave()
            self._tell()

    async def _leave(self) -> None:
        """Says goodbye to every peer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S), asyncio.TaskGroup() as group:
                for id_, seat in self._seats.items():
                    group.create_task(seat.close(), name=f"close:{id_}")

    async def _beat(self) -> None:
        while True:
            if not self._channel.behind:
                self._tell()
            await asyncio.sleep(BEAT_S)

    def _tell(self) -> None:
        changes = self._tally.changes()
        self._channel.send(Beat(changes, self._looking.decoding_all))

    @singledispatchmethod
    def _take(self, message: Message) -> None:
        raise WireError(f"{message.kind} is not for a worker")

    @_take.register
    def _(self, message: Call) -> None:
        seat = self._seats.get(message.seat)
        if seat is None:
            seat = self._seats[message.seat] = Receiving(
                message.stream_id, self._setup, self._clock, self._stats
            )
        if isinstance(message.request, Close):
            del self._seats[message.seat]
            self._start(None, self._close(message.id, seat), "close")
        else:
            self._start(seat, self._perform(message, seat), message.request.kind)

    @_take.register
    def _(self, message: Look) -> None:
        seat = self._seats[message.seat]
        work = self._looking.look(message, seat.source)
        task = self._looks[message.look] = self._start(seat, work, "look")
        task.add_done_callback(lambda _: self._looks.pop(message.look, None))

    @_take.register
    def _(self, message: LookAway) -> None:
        task = self._looks.get(message.look)
        if task is not None:
            task.cancel()

    @_take.register
    def _(self, message: Next) -> None:
        self._looking.next(message.look)

    @_take.register
    def _(self, message: Release) -> None:
        self._looking.lending.give_back(message.places)

    @_take.register
    def _(self, message: Show) -> None:
        self._looking.lending.want(message.regions)

    @_take.register
    def _(self, message: NewSampler) -> None:
        self._looking.add(message)

    @_take.register
    def _(self, message: DropSampler) -> None:
        del self._looking.samplers[message.sampler]

    @_take.register
    def _(self, message: Observe) -> None:
        self._looking.samplers[message.sampler].observe(message.score)

    @_take.register
    def _(self, message: Burst) -> None:
        self._looking.samplers[message.sampler].burst()

    @_take.register
    def _(self, message: Pace) -> None:
        self._looking.samplers[message.sampler].pace(message.interval_s)

    def _start(
        self, seat: Receiving | None, work: Coroutine[Any, Any, None], name: str
    ) -> asyncio.Task[None]:
        """A task of the worker's; one at a seat ends with the seat."""
        task = self._group.create_task(work, name=name)
        if seat is not None:
            seat.tasks.add(task)
            task.add_done_callback(seat.tasks.discard)
        return task

    async def _perform(self, call: Call, seat: Receiving) -> None:
        try:
            text = await seat.perform(call.request)
        except (StreamError, ValueError) as exc:
            self._channel.send(Refusal(call.id, to_fault(exc)))
        except asyncio.CancelledError:
            self._channel.send(Refusal(call.id, _CLOSED))
            raise
        else:
            self._channel.send(Answer(call.id, text))

    async def _close(self, call: int, seat: Receiving) -> None:
        await seat.close()
        self._channel.send(Answer(call, None))
