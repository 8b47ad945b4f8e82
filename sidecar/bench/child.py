"""Processes of their own that answer each JSON line with one: both ends of the pipe."""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import IO, Any, Final

from sidecar.errors import SidecarError

_LINE: Final = 1 << 20  # bytes: a session description is some kilobytes
_ANSWER_S: Final = 30.0
_END_S: Final = 10.0
_TAIL: Final = 2000
# By themselves the thresholds move with what was freed before, and with them the cost
# of the packet path by a third: the same for all that are compared. 32 MiB: no picture
# is mapped and unmapped on its own.
MALLOC: Final = (
    "MALLOC_MMAP_THRESHOLD_=33554432",
    "MALLOC_TRIM_THRESHOLD_=134217728",
)

Message = dict[str, Any]


class BenchFailed(SidecarError):
    """A process of the measurement broke; the text has its last words."""


class Child:
    """One such process, from its parent's side."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, errors: IO[bytes]
    ) -> None:
        self._name = name
        self._process = process
        self._errors = errors

    async def ask(self, question: Mapping[str, object]) -> Message:
        """Its answer.

        Raises:
            BenchFailed: There is none.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(question).encode() + b"\n")
        try:
            async with asyncio.timeout(_ANSWER_S):
                await stdin.drain()
                line = await stdout.readline()
        except (TimeoutError, ConnectionError):
            line = b""
        if not line:
            words = await asyncio.to_thread(self._last_words)
            raise BenchFailed(f"{self._name} gave no answer: {words}")
        answer: Message = json.loads(line)
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-_TAIL:].decode(errors="replace").strip()


@asynccontextmanager
async def child(name: str, *command: str) -> AsyncIterator[Child]:
    """A process that ends with the block, by itself or by force."""
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *("env", *MALLOC, *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=_LINE,
        )
        try:
            yield Child(name, process, errors)
        finally:
            await _end(process)


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of this package by this interpreter."""
    return (sys.executable, "-m", f"sidecar.bench.{name}", *arguments)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End of input is the order to leave; who does not is killed."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(_END_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def serve(answer: Callable[[Message], Awaitable[Message]]) -> None:
    """The other side: answers what comes on standard input until it ends."""
    reader = asyncio.StreamReader(limit=_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            said = await answer(json.loads(line))
            sys.stdout.write(json.dumps(said) + "\n")
            sys.stdout.flush()
    finally:
        transport.close()
