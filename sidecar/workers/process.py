"""One worker process, from its start to its end."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from sidecar.workers.block import Block, Plan, memory
from sidecar.workers.channel import Channel
from sidecar.workers.messages import Stop

TICK_S: Final = 1.0
_STOP_S: Final = 2.5
_KEPT: Final = frozenset({"PATH", "HOME", "TZ", "LANG", "TMPDIR", "LD_LIBRARY_PATH"})
_KEPT_FAMILIES: Final = ("PYTHON", "MALLOC_", "LC_")


class Process:
    """A process with a channel to it and a block in common with it.

    Attributes:
        channel: To it.
        block: Where its pictures lie.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        channel: Channel,
        block: Block,
    ) -> None:
        self.channel = channel
        self.block = block
        self._process = process
        self._quiet = 0  # ticks since it was heard
        self._timer: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int:
        """Of the operating system."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """As `subprocess` gives it, negative for a signal; None while it lives."""
        return self._process.returncode

    def heard(self) -> None:
        """It has just said something."""
        self._quiet = 0

    def guard(self, ticks: int) -> None:
        """From now on it is killed once it was not heard for so many seconds.

        Ticks are counted, not time: if this process was stopped or stalled itself,
        nobody else is to blame.
        """
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK_S, self._tick, ticks)

    def _tick(self, ticks: int) -> None:
        self._quiet += 1
        if self._quiet > ticks:
            self.kill()
        else:
            self.guard(ticks)

    def kill(self) -> None:
        """At once; whoever reads from the channel hears of it."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Has it leave, by force if it does not; returns once it is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self.channel.send(Stop())
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        finally:
            self.channel.close()


def environment(whole: Mapping[str, str]) -> dict[str, str]:
    """What a worker gets of the environment: how to run, and no secret.

    It decodes strangers' bytes; the tokens that a configuration takes from the
    environment are none of its business.
    """
    return {
        key: value
        for key, value in whole.items()
        if key in _KEPT or key.startswith(_KEPT_FAMILIES)
    }


@asynccontextmanager
async def started(command: Sequence[str], plan: Plan) -> AsyncIterator[Process]:
    """A worker that is gone at the end of the block.

    Args:
        command: Starts it; the descriptors of control and memory are appended.
        plan: Of the memory in common.

    Raises:
        OSError: There is no process, memory or descriptor to be had.
    """
    process = await _start(command, plan)
    try:
        yield process
    finally:
        await process.end()


async def _start(command: Sequence[str], plan: Plan) -> Process:
    fd = memory(plan.size)
    ours, theirs = socket.socketpair()
    try:
        block = Block(fd, plan.count)
        passed = (theirs.fileno(), fd)
        process = await asyncio.create_subprocess_exec(
            *(*command, *map(str, passed)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            pass_fds=passed,
            env=environment(os.environ),  # noqa: TID251 - handed on, less the secrets
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(fd)
    return Process(process, await Channel.open(ours), block)
