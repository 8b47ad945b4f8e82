"""What outlives a connection: a disk that hangs is seen, although it raises nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sidecar.clock import ManualClock
from sidecar.errors import PublishError
from sidecar.publish.desk import HANG_S, Desk
from sidecar.publish.legs import Legs
from sidecar.publish.outbox import Outbox
from sidecar.publish.settings import MqttSettings, OutboxSettings
from sidecar.publish.store import OutboxThread
from sidecar.stats import Stats

pytestmark = pytest.mark.anyio


def _desk(folder: Path, clock: ManualClock) -> Desk:
    stats = Stats()
    store = OutboxThread(OutboxSettings(folder / "outbox.db"), clock)
    return Desk(MqttSettings("h"), clock, stats, store, Legs(stats), max_rows=9)


@asynccontextmanager
async def _hanging(desk: Desk) -> AsyncIterator[None]:
    """The disk answers when the block is left."""
    begun, answer = threading.Event(), threading.Event()

    def hang(_: Outbox) -> None:
        begun.set()
        answer.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(desk.store.call(hang))
        await asyncio.to_thread(begun.wait)
        try:
            yield
        finally:
            answer.set()


async def test_a_disk_that_hangs_turns_readiness_red_until_it_answers(
    tmp_path: Path,
) -> None:
    """After ten seconds, with nothing owed; its beginning and end are logged once."""
    clock = ManualClock(100.0)
    desk = _desk(tmp_path, clock)
    desk.connected = True
    with capture_logs() as logs:
        async with _hanging(desk):
            clock.advance(HANG_S)
            assert desk.health().problems == ()
            clock.advance(2.0)
            desk.health()
            health = desk.health()
            assert health.problems == ("outbox_failing",)
            assert health.storage_error == "the disk has not answered for 12 s"
        assert desk.health().problems == ()
    events = [line["event"] for line in logs]
    assert events == ["outbox_failing", "outbox_works_again"]
    await desk.store.close()


async def test_a_disk_that_fails_after_a_hang_stays_red(tmp_path: Path) -> None:
    """What it said last holds until it has taken something."""
    clock = ManualClock(100.0)
    desk = _desk(tmp_path, clock)
    with capture_logs() as logs:
        async with _hanging(desk):
            clock.advance(HANG_S + 1.0)
            desk.health()
            desk.storage_failed(PublishError("full"))
        assert desk.health().storage_error == "full"
    assert "outbox_works_again" not in [line["event"] for line in logs]
    await desk.store.close()
