"""The outbox's thread, and what a SIGKILL leaves behind."""

import asyncio
import sys
import threading
from pathlib import Path

import pytest

from sidecar.clock import ManualClock, SystemClock
from sidecar.errors import ConfigError, PublishError
from sidecar.publish.entry import Depth, Entry
from sidecar.publish.outbox import Outbox
from sidecar.publish.settings import OutboxSettings
from sidecar.publish.store import OutboxThread

CHILD = Path(__file__).with_name("outbox_child.py")
ROOT = Path(__file__).parents[3]


@pytest.mark.anyio
async def test_calls_run_one_after_the_other_off_the_loop(tmp_path: Path) -> None:
    """In one thread that is not the loop's, in the order they were made."""
    store = OutboxThread(OutboxSettings(tmp_path / "o.db"), SystemClock())
    threads: list[int] = []

    def use(outbox: Outbox) -> int:
        threads.append(threading.get_ident())
        name = str(len(threads))
        return outbox.put(Entry(name, "a", "flag", "t", b"", 1e12), 0.0).undelivered

    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(store.call(use)) for _ in range(5)]
    assert [c.result() for c in calls] == [1, 2, 3, 4, 5]
    assert len(set(threads)) == 1
    assert threading.get_ident() not in threads
    await store.close()
    await store.close()


@pytest.mark.anyio
async def test_after_closing_nothing_is_taken(tmp_path: Path) -> None:
    """A late action gets an error, not silence."""
    store = OutboxThread(OutboxSettings(tmp_path / "o.db"), SystemClock())
    await store.close()
    await store.open()
    with pytest.raises(PublishError, match="closed"):
        await store.call(Outbox.depth)


@pytest.mark.anyio
async def test_how_long_a_call_runs_is_known(tmp_path: Path) -> None:
    """A disk that hangs raises nothing: only the time tells, until it answers."""
    clock = ManualClock(100.0)
    store = OutboxThread(OutboxSettings(tmp_path / "o.db"), clock)
    begun, answer = threading.Event(), threading.Event()

    def hang(_: Outbox) -> None:
        begun.set()
        answer.wait()

    assert store.busy_s == 0.0
    async with asyncio.TaskGroup() as group:
        group.create_task(store.call(hang))
        await asyncio.to_thread(begun.wait)
        clock.advance(3.0)
        assert store.busy_s == 3.0
        answer.set()
    assert store.busy_s == 0.0
    with pytest.raises(PublishError):
        await store.call(_fail)
    assert store.busy_s == 0.0
    await store.close()


def _fail(_: Outbox) -> None:
    raise PublishError("full")


@pytest.mark.anyio
async def test_a_bad_file_is_told_at_opening(tmp_path: Path) -> None:
    """Before anything starts."""
    path = tmp_path / "o.db"
    path.write_bytes(b"nonsense" * 1000)
    store = OutboxThread(OutboxSettings(path), SystemClock())
    with pytest.raises(ConfigError):
        await store.open()
    await store.close()


@pytest.mark.anyio
async def test_a_killed_process_loses_nothing_it_promised(tmp_path: Path) -> None:
    """SIGKILL after the puts: all are there, under their ids, in order."""
    path = tmp_path / "o.db"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(CHILD),
        str(path),
        "20",
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    promised = [(await child.stdout.readline()).decode().strip() for _ in range(20)]
    child.kill()
    await child.wait()
    store = OutboxThread(OutboxSettings(path), SystemClock())
    entries = await store.call(lambda o: o.claim(0.0, 100))
    assert [e.id for e in entries] == promised
    assert await store.call(Outbox.depth) == Depth(20, 0, 0.0)
    await store.close()
