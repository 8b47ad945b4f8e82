"""What a killed sidecar leaves on the broker is taken off it by the next one."""

import asyncio
import sys
from pathlib import Path

import pytest

from sidecar.clock import SystemClock
from sidecar.domain import Verdict, VerdictState
from sidecar.publish.outbox import Outbox
from sidecar.publish.settings import MqttProtocol, OutboxSettings
from sidecar.publish.store import OutboxThread
from tests.contract.brokers import mosquitto
from tests.contract.bus import Consumer, consumer
from tests.contract.desk_rig import DeskRig, build, crashing, running, stream
from tests.e2e.processes import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.broker]
CHILD = Path(__file__).with_name("publisher_child.py")
ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("protocol", list(MqttProtocol))


def show(rig: DeskRig, *names: str) -> None:
    """Sets a verdict for each stream."""
    for name in names:
        rig.publisher.set_verdict(stream(name), Verdict(VerdictState.CLEAR, 0.0))


def heard(bus: Consumer) -> dict[str, bool]:
    """By stream: whether its newest verdict says anything."""
    return {one.topic.split("/")[-2]: bool(one.payload) for one in bus.of("verdict")}


async def held(port: int) -> set[str]:
    """The streams of which the broker holds a verdict, as a newcomer learns it."""
    async with consumer(port) as bus:
        await bus.say("moderation/v1/default/acks/last", ack())
        await bus.until(lambda: len(bus.of("ack")) == 1)  # retained ones come before
        return {name for name, says in heard(bus).items() if says}


def ack() -> str:
    """Any valid message, to know that all earlier ones were heard."""
    return '{"schema": "moderation.ack/1", "state": "received", "by": "test"}'


async def on_disk(folder: Path) -> int:
    """How many topics the next process would empty."""
    store = OutboxThread(OutboxSettings(folder / "outbox.db"), SystemClock())
    shown = await store.call(Outbox.shown)
    await store.close()
    return len(shown)


@BOTH
async def test_a_verdict_nobody_stands_behind_is_emptied(
    tmp_path: Path, protocol: MqttProtocol
) -> None:
    """The first process is cut off; of its streams only `here` is watched again."""
    async with mosquitto(tmp_path) as broker:
        first = build(tmp_path, broker.port, protocol=protocol)
        async with consumer(broker.port) as bus, crashing(first):
            show(first, "here", "gone-1", "gone-2")
            await bus.until(lambda: len(heard(bus)) == 3)
        assert await held(broker.port) == {"here", "gone-1", "gone-2"}
        second = build(tmp_path, broker.port, protocol=protocol)
        show(second, "here")
        async with consumer(broker.port) as bus, running(second):
            await bus.until(
                lambda: heard(bus) == {"here": True, "gone-1": False, "gone-2": False}
            )
            said = [one.payload for one in bus.of("verdict") if "/here/" in one.topic]
            assert b"" not in said
            assert await held(broker.port) == {"here"}
            show(second, "gone-1")  # it came back after all
            await bus.until(lambda: heard(bus)["gone-1"])
        assert await held(broker.port) == {"here", "gone-1"}
    assert await on_disk(tmp_path) == 2


async def test_a_killed_process_leaves_no_verdict_for_ever(tmp_path: Path) -> None:
    """SIGKILL, no goodbye: the next process with its file empties them."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CHILD), str(tmp_path), str(broker.port), "a", "b"),
            env={"PYTHONPATH": str(ROOT)},
        )
        await bus.until(lambda: heard(bus) == {"a": True, "b": True}, 20.0)
        child.kill()
        await child.wait()
        rig = build(tmp_path, broker.port)
        show(rig, "b")
        async with running(rig):
            await bus.until(lambda: not heard(bus)["a"])
        assert await held(broker.port) == {"b"}


async def test_an_orderly_end_leaves_nothing_to_empty(tmp_path: Path) -> None:
    """Each stream that ended was emptied, and is not in the file any more."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        rig = build(tmp_path, broker.port)
        async with running(rig):
            show(rig, "a", "b")
            await bus.until(lambda: len(heard(bus)) == 2)
            for name in ("a", "b"):
                rig.publisher.set_verdict(stream(name), None)
        assert await held(broker.port) == set()
    assert await on_disk(tmp_path) == 0


async def test_what_could_not_be_emptied_at_the_end_is_emptied_later(
    tmp_path: Path,
) -> None:
    """The broker was away when the sidecar left; it kept the verdict."""
    async with mosquitto(tmp_path) as broker:
        async with (
            consumer(broker.port) as bus,
            crashing(build(tmp_path, broker.port)) as rig,
        ):
            show(rig, "a")
            await bus.until(lambda: len(heard(bus)) == 1)
        away = build(tmp_path, free_port())
        async with running(away, drain_s=0.2):
            show(away, "a")
            away.publisher.set_verdict(stream("a"), None)
        assert await held(broker.port) == {"a"}
        async with consumer(broker.port) as bus, running(build(tmp_path, broker.port)):
            await bus.until(lambda: b"" in [one.payload for one in bus.of("verdict")])
        assert await held(broker.port) == set()


async def test_a_full_disk_keeps_no_verdict_back(tmp_path: Path) -> None:
    """It is shown, readiness is red; it is in the file once the disk takes it."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        rig = build(tmp_path, broker.port)
        store = rig.publisher._desk.store
        await store.call(_read_only)
        async with running(rig):
            show(rig, "a")
            await bus.until(lambda: heard(bus) == {"a": True})
            assert "outbox_failing" in rig.publisher.health().problems
            await store.call(_writable)
            await rig.until(lambda: rig.publisher.health().problems == ())
    assert await on_disk(tmp_path) == 1


def _read_only(outbox: Outbox) -> None:
    outbox._db.execute("PRAGMA query_only = ON")


def _writable(outbox: Outbox) -> None:
    outbox._db.execute("PRAGMA query_only = OFF")
