"""A publisher on a real broker whose settings, numbers and file a test can reach."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sidecar.clock import SystemClock
from sidecar.domain import Action, ActionKind, SourceKind, Stream
from sidecar.publish.inbound import Told
from sidecar.publish.message import SidecarIdentity
from sidecar.publish.mqtt import MqttPublisher
from sidecar.publish.settings import MqttSettings, OutboxSettings
from sidecar.stats import Stats
from tests.unit.publish.strategies import takedown

QUICK: dict[str, Any] = {
    "backoff_cap_s": 0.2,
    "publish_timeout_s": 20.0,
    "connect_timeout_s": 20.0,
    "refused_retry_s": 0.3,
    "enforce_retry_s": 0.3,
}


def stream(name: str = "studio-7") -> Stream:
    """A pulled stream."""
    return Stream(name, SourceKind.WHEP)


def action(
    name: str = "studio-7",
    kind: ActionKind = ActionKind.TAKEDOWN,
    **more: Any,  # noqa: ANN401
) -> Action:
    """An action decided just now."""
    return takedown(name, kind, at=SystemClock().monotonic(), **more)


@dataclass
class DeskRig:
    """A running publisher with what it counted and took in."""

    publisher: MqttPublisher
    stats: Stats
    inbound: list[Told] = field(default_factory=list)

    async def takedown(self, name: str = "studio-7", **more: Any) -> str:  # noqa: ANN401
        """Publishes one action; its id."""
        return await self.publisher.publish_action(action(name, **more), stream(name))

    def count(self, name: str, **labels: str) -> float:
        """The value of one counter, 0 if it was never counted."""
        value = self.stats.registry.get_sample_value(f"sidecar_{name}", labels)
        return value or 0.0

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until counts or health show it."""
        await until(holds)


async def until(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Waits for what does not tell when it changes."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def build(
    folder: Path,
    port: int,
    *,
    max_rows: int = 10_000,
    **settings: Any,  # noqa: ANN401
) -> DeskRig:
    """A publisher that is not running yet."""
    stats = Stats()
    inbound: list[Told] = []
    settings = {"host": "127.0.0.1", "port": port, **QUICK, **settings}
    publisher = MqttPublisher(
        MqttSettings(**settings),
        OutboxSettings(folder / "outbox.db", max_rows),
        SidecarIdentity("edge-3", "0.1.0"),
        SystemClock(),
        stats,
        inbound.append,
    )
    return DeskRig(publisher, stats, inbound)


@asynccontextmanager
async def running(rig: DeskRig, drain_s: float = 3.0) -> AsyncIterator[DeskRig]:
    """Runs `rig` while the block runs, and drains it."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.publisher.run(), name="publisher")
        await asyncio.sleep(0)  # let `run` begin
        yield rig
        await rig.publisher.drain(drain_s)
        task.cancel()


@asynccontextmanager
async def crashing(rig: DeskRig) -> AsyncIterator[DeskRig]:
    """Runs `rig` while the block runs; then it is cut off without a goodbye."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.publisher.run(), name="publisher")
        await asyncio.sleep(0)
        yield rig
        task.cancel()
