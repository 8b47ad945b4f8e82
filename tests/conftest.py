"""What every test runs under: nothing blocks the loop, nothing is left behind."""

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

# A busy machine is no fault. Where all has to pass, the same examples are tried each
# time, so that a change is judged by what it does; everywhere else new ones are.
settings.register_profile(
    "house",
    deadline=None,
    derandomize=os.environ.get("SIDECAR_TEST_REQUIRE") == "1",  # noqa: TID251 tests' switch
)
settings.load_profile("house")

_ALLOWED_THREADS = ("MainThread", "pytest_timeout")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Async tests run on asyncio in debug mode."""
    return ("asyncio", {"debug": True})


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """A blocking call of ours inside the event loop fails the test."""
    with blockbuster_ctx("sidecar") as blockbuster:
        yield blockbuster


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No thread, socket or child process of a test outlives it."""
    threads = {t.ident for t in threading.enumerate()}
    sockets = _open_sockets()
    yield
    left = [
        t
        for t in threading.enumerate()
        if t.ident not in threads and t.name not in _ALLOWED_THREADS
    ]
    for thread in left:
        thread.join(timeout=10.0)
    still = [t.name for t in left if t.is_alive()]
    assert not still, f"threads left over: {still}"
    if _open_sockets() - sockets:
        gc.collect()
    assert not _open_sockets() - sockets, "sockets left over"


def _open_sockets() -> set[str]:
    """The targets of this process's socket descriptors (Linux); else empty."""
    found = set()
    for entry in Path("/proc/self/fd").glob("*"):
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture(autouse=True)
def close_stray_loop() -> Iterator[None]:
    """No default event loop is inherited from test to test."""
    yield
    asyncio.set_event_loop(None)
