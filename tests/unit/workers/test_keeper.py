"""A worker process is started again whenever it ends, and never left behind."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar import __version__
from sidecar.clock import SystemClock
from sidecar.stats import Stats
from sidecar.workers import process
from sidecar.workers.codec import VERSION, encode
from sidecar.workers.keeper import Keeper, KeeperSettings
from sidecar.workers.messages import Beat, Hello, Message
from sidecar.workers.pool import Pool
from sidecar.workers.process import environment
from tests.fakes.workers import FORMAT, children_of, setup

pytestmark = pytest.mark.anyio

SAYS = """
import socket, sys, time
sock = socket.socket(fileno=int(sys.argv[1]))
sock.sendall(bytes.fromhex("{words}"))
if {hangs}:
    time.sleep(60)
"""


def says(*messages: Message, hangs: bool = False) -> tuple[str, ...]:
    """A process that says these messages, and leaves or hangs."""
    bodies = [encode(message) for message in messages]
    words = b"".join(len(body).to_bytes(4) + body for body in bodies)
    return (sys.executable, "-c", SAYS.format(words=words.hex(), hangs=hangs))


GOOD = Hello(VERSION, __version__)


class House:
    """A pool of one, and what keeps it running."""

    def __init__(self, settings: KeeperSettings) -> None:
        self.stats = Stats()
        self.pool = Pool(("w1",), self.stats)
        self.keeper = Keeper(
            self.pool, setup(), lambda: (FORMAT,), SystemClock(), self.stats, settings
        )

    @property
    def losses(self) -> float:
        """Ends that nobody had asked for."""
        name, labels = "sidecar_worker_losses_total", {"worker": "w1"}
        return self.stats.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def house(settings: KeeperSettings) -> AsyncIterator[House]:
    """The keeper at work; stopped, and its worker gone, at the end."""
    made = House(settings)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.keeper.run())
        try:
            yield made
        finally:
            task.cancel()


def quick(command: tuple[str, ...], **over: object) -> KeeperSettings:
    """Without waits worth speaking of."""
    return KeeperSettings(command=command, first_wait_s=0.01, **over)  # type: ignore[arg-type]


async def _failed(h: House) -> None:
    async with asyncio.timeout(40):
        while h.losses < 3:
            await h.pool.change()


async def test_a_worker_that_is_killed_is_started_again() -> None:
    """The real one, twice; each is there for streams, and gone at the end."""
    pids = []
    async with house(KeeperSettings()) as h:
        for losses in (1, 2):
            async with asyncio.timeout(50):
                while not [*h.pool]:
                    await h.pool.change()
            seat = await h.pool.seat("s")
            (pid,) = children_of(os.getpid())
            pids.append(pid)
            os.kill(pid, signal.SIGKILL)
            async with asyncio.timeout(30):
                while h.losses < losses:
                    await h.pool.change()
            assert not seat.worker.alive
            await seat.close()
    assert len(set(pids)) == 2
    assert children_of(os.getpid()) == []


async def test_a_worker_that_runs_leaves_when_it_is_told_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real one; without being counted as a loss, or having to be killed."""
    monkeypatch.setattr(process, "_STOP_S", 100.0)
    async with house(KeeperSettings()) as h:
        async with asyncio.timeout(50):
            while not [*h.pool]:
                await h.pool.change()
        began = SystemClock().monotonic()
    assert SystemClock().monotonic() - began < 50
    assert h.losses == 0
    assert children_of(os.getpid()) == []


@pytest.mark.parametrize(
    "command",
    [
        says(),
        says(GOOD),
        says(Beat((), ()), hangs=True),
        says(Hello(0, "another"), hangs=True),
        says(GOOD, GOOD, hangs=True),
        ("/nowhere/python",),
    ],
    ids=["silent", "short", "rude", "foreign", "confused", "absent"],
)
async def test_one_that_is_no_good_is_a_fault(command: tuple[str, ...]) -> None:
    """Tried ever more seldom, reported after three, and each is killed."""
    async with house(quick(command)) as h:
        await _failed(h)
        assert h.losses >= 3
        assert not [*h.pool]
    assert children_of(os.getpid()) == []


async def test_one_that_hangs_is_killed() -> None:
    """It was there, and then says nothing any more."""
    async with house(quick(says(GOOD, hangs=True), silent_s=0)) as h:
        await _failed(h)
        assert h.losses >= 3


async def test_without_memory_there_is_no_worker() -> None:
    """The limit of open files is reached: it is tried again, and reported."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with house(quick(says())) as h:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            await _failed(h)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_worker_is_told_no_secret() -> None:
    """It decodes strangers' bytes: of the environment it gets how to run."""
    whole = {
        "PATH": "/bin",
        "PYTHONPATH": "/src",
        "MALLOC_ARENA_MAX": "1",
        "LC_ALL": "C",
        "CONTROL_TOKEN": "secret",
        "MQTT_PASSWORD": "secret",
    }
    kept = {"PATH", "PYTHONPATH", "MALLOC_ARENA_MAX", "LC_ALL"}
    assert environment(whole).keys() == kept


def test_waits_grow_with_each_short_life() -> None:
    """None after a long one; then doubled, up to a bound."""
    settings = KeeperSettings(first_wait_s=0.5, longest_wait_s=3.0)
    waits = [settings.wait_s(lives) for lives in (0, 1, 2, 3, 4, 10_000)]
    assert waits == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]
