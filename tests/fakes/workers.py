"""A worker in this loop: all of it but the process."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sidecar.domain import PictureFormat
from sidecar.stats import Stats
from sidecar.workers.block import Block, Plan, memory
from sidecar.workers.borrowing import Borrowing
from sidecar.workers.channel import Channel
from sidecar.workers.child import Child
from sidecar.workers.messages import Setup, Stop
from sidecar.workers.pool import Pool
from sidecar.workers.worker import Worker
from tests.fakes.webrtc_sender import LOOPBACK

FORMAT = PictureFormat(32, 24)
SLOTS = 8


def setup(name: str = "w1", slots: int = SLOTS) -> Setup:
    """A worker's first message."""
    return Setup(name, "json", "info", slots, slots, 2, LOOPBACK, 5.0)


@dataclass
class Loopback:
    """Both sides of one worker.

    Attributes:
        pool: With the worker in it.
        worker: As the sidecar sees it.
        shown: What the models want to see; may be changed.
        child: The worker's own side.
        task: Hears the worker; ends once it has left.
    """

    pool: Pool
    worker: Worker
    shown: list[PictureFormat]
    child: Child
    task: asyncio.Task[None]


@asynccontextmanager
async def loopback(stats: Stats, slots: int = SLOTS) -> AsyncIterator[Loopback]:
    """A pool of one worker that leaves at the end."""
    words, plan = setup(slots=slots), Plan([FORMAT], slots)
    ours, theirs = map(Channel.open, socket.socketpair())
    channel, other = await ours, await theirs
    fd = memory(plan.size)
    here, there = Block(fd, slots), Block(fd, slots)
    os.close(fd)
    shown = [FORMAT]
    pool = Pool(("w1",), stats)
    pictures = Borrowing(here, plan, lambda: tuple(shown))
    worker = Worker("w1", channel, pictures, stats)
    worker.show()
    pool.joins(worker)

    async def hear() -> None:
        while (message := await channel.receive()) is not None:
            worker.hear(message)
            worker.show()
        pool.loses("w1", "worker w1 is gone")

    with ThreadPoolExecutor(2) as decoders:
        async with asyncio.TaskGroup() as group:
            child = Child(other, words, there, decoders)
            running = group.create_task(child.run())
            running.add_done_callback(lambda _: other.close())
            hearing = group.create_task(hear())
            try:
                yield Loopback(pool, worker, shown, child, hearing)
            finally:
                channel.send(Stop())
                await hearing
                channel.close()


@asynccontextmanager
async def silent_worker(name: str, stats: Stats) -> AsyncIterator[Worker]:
    """A worker that answers nothing."""
    ours, theirs = socket.socketpair()
    plan = Plan([FORMAT], SLOTS)
    fd = memory(plan.size)
    pictures = Borrowing(Block(fd, SLOTS), plan, lambda: (FORMAT,))
    os.close(fd)
    channel = await Channel.open(ours)
    try:
        yield Worker(name, channel, pictures, stats)
    finally:
        channel.close()
        theirs.close()


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and not waited for (Linux)."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return sorted(found)
