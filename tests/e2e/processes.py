"""Programs under test: found or skipped, started, watched, ended."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

REQUIRED = os.environ.get("SIDECAR_TEST_REQUIRE") == "1"  # noqa: TID251 tests' switch
_ELSEWHERE = f"/usr/sbin:/usr/local/sbin:{Path.home() / 'go/bin'}"
_TAIL = 4000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])  # noqa: TID251 pytest's
_numbers = count(secrets.randbelow(5_000))


def missing(what: str) -> None:
    """Skips the test for want of `what`; fails it where everything must be there."""
    if REQUIRED:
        pytest.fail(f"SIDECAR_TEST_REQUIRE=1, but {what}")
    pytest.skip(what)


def program(*names: str) -> str:
    """The path of the first of `names` that is installed."""
    for name in names:
        found = shutil.which(name) or shutil.which(
            name, path="/usr/sbin:/usr/local/sbin"
        )
        if found:
            return found
    missing(f"no {' nor '.join(names)} is installed")
    raise AssertionError("unreachable")


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A TCP (or UDP) port of loopback that nobody is bound to at present.

    Nor will anybody by chance: it is below those that Linux gives to whoever asks for
    any (32768 to 60999), every outgoing connection among them; none is given twice
    soon, and tests that run beside these have ports of their own.
    """
    while True:
        port = 15_000 + 5_000 * (_WORKER % 3) + next(_numbers) % 5_000
        with socket.socket(type=kind) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(
    check: Callable[[], T | None], within_s: float, what: str, every_s: float = 0.05
) -> T:
    """The first true value of `check()`; fails the test after `within_s`."""
    end = time.monotonic() + within_s
    never = threading.Event()
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"not within {within_s:g} s: {what}")
        never.wait(every_s)


def listening(port: int) -> bool:
    """Whether somebody accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Child:
    """A process in a group of its own, with its output in a file.

    Args:
        name: For messages.
        command: Program and arguments.
        log: Where stderr goes; stdout too, unless `stdout` is given.
        stdout: Where stdout goes.
        env: Added to the environment.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        stdout: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.stdout = stdout or log
        environment = {**os.environ, **(env or {})}  # noqa: TID251 handed on
        with log.open("ab") as err, self.stdout.open("ab") as out:
            self.process = subprocess.Popen(  # noqa: S603 our own commands
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def tail(self) -> str:
        """The end of its output."""
        text = self.log.read_text(errors="replace")
        return f"--- {self.name} (exit {self.process.poll()})\n{text[-_TAIL:]}"

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the process itself."""
        self.process.send_signal(number)

    def wait(self, within_s: float) -> int:
        """Its exit code; fails the test if it does not end."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.name} still runs after {within_s:g} s\n{self.tail()}")

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when the process is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait(10)

    def end(self, within_s: float = 10.0) -> None:
        """SIGTERM, and SIGKILL if that does not help; for cleaning up."""
        if self.alive:
            self.send(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(within_s)
        self.kill()
