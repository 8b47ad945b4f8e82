"""What every publisher promises: in memory, and on real brokers alike."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import pytest

from sidecar.clock import SystemClock
from sidecar.domain import (
    Action,
    ActionKind,
    SourceKind,
    Stream,
    UnknownReason,
    Verdict,
    VerdictState,
)
from sidecar.publish.message import SidecarIdentity
from sidecar.publish.mqtt import MqttPublisher
from sidecar.publish.publisher import Publisher
from sidecar.publish.settings import MqttProtocol, MqttSettings, OutboxSettings
from sidecar.stats import Stats
from tests.contract.brokers import amqtt_broker, mosquitto
from tests.contract.bus import Consumer, Heard, channel_of, consumer, validate
from tests.fakes.publisher import MemoryPublisher
from tests.unit.publish.strategies import takedown

STUDIO = Stream("studio-7", SourceKind.WHEP, publisher="u-812")


@dataclass
class Rig:
    """A running publisher and what came of it."""

    publisher: Publisher
    listener: Consumer | MemoryPublisher

    def heard(self, channel: str) -> list[Heard]:
        """Everything said on one channel so far, validated."""
        if isinstance(self.listener, Consumer):
            return self.listener.of(channel)
        return [
            Heard(
                m.topic,
                m.payload,
                m.qos,
                m.retain,
                None,
                validate(m.topic, m.payload),
            )
            for m in self.listener.sent
            if channel_of(m.topic) == channel
        ]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits for messages until `holds()`."""
        if isinstance(self.listener, Consumer):
            await self.listener.until(holds)
        assert holds()


@asynccontextmanager
async def _real(
    folder: Path, port: int, protocol: MqttProtocol, heard_by: aiomqtt.ProtocolVersion
) -> AsyncIterator[Rig]:
    publisher = MqttPublisher(
        MqttSettings("127.0.0.1", port, protocol=protocol, scores=True),
        OutboxSettings(folder / "outbox.db"),
        SidecarIdentity("edge-3", "0.1.0"),
        SystemClock(),
        Stats(),
        lambda _: None,
    )
    async with consumer(port, protocol=heard_by) as listener:
        yield Rig(publisher, listener)


@asynccontextmanager
async def _rig(name: str, folder: Path) -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        if name == "memory":
            memory = MemoryPublisher(scores=True)
            yield Rig(memory, memory)
            return
        v5 = name == "mosquitto-5"
        if name == "amqtt":
            port = await stack.enter_async_context(amqtt_broker())
        else:
            port = (await stack.enter_async_context(mosquitto(folder))).port
        yield await stack.enter_async_context(
            _real(
                folder,
                port,
                MqttProtocol.V5 if v5 else MqttProtocol.V311,
                aiomqtt.ProtocolVersion.V5 if v5 else aiomqtt.ProtocolVersion.V311,
            )
        )


@pytest.fixture(
    params=[
        "memory",
        pytest.param("mosquitto-5", marks=pytest.mark.broker),
        pytest.param("mosquitto-3.1.1", marks=pytest.mark.broker),
        pytest.param("amqtt", marks=pytest.mark.broker),
    ]
)
async def rig(
    request: pytest.FixtureRequest, tmp_path: Path, anyio_backend: object
) -> AsyncIterator[Rig]:
    """A running publisher on each kind of broker, drained at the end."""
    assert anyio_backend
    async with _rig(request.param, tmp_path) as one, asyncio.TaskGroup() as group:
        group.create_task(one.publisher.run(), name="publisher")
        await asyncio.sleep(0)  # let `run` begin
        yield one
        await one.publisher.drain(4.0)


def verdict(state: VerdictState, **more: object) -> Verdict:
    """A verdict that holds since now."""
    now = SystemClock().monotonic()
    return Verdict(state, now, **more)  # type: ignore[arg-type]  # keywords of Verdict


def now_takedown(kind: ActionKind = ActionKind.TAKEDOWN) -> Action:
    """An action decided just now."""
    return takedown(kind=kind, at=SystemClock().monotonic())


@pytest.mark.anyio
async def test_an_action_arrives_under_its_id(rig: Rig) -> None:
    """Once, valid, QoS 1, not retained, on its topic."""
    action_id = await rig.publisher.publish_action(now_takedown(), STUDIO)
    await rig.until(lambda: len(rig.heard("action")) >= 1)
    (heard,) = rig.heard("action")
    assert heard.value["id"] == action_id
    assert heard.topic.endswith("/streams/studio-7/actions/takedown")
    assert (heard.qos, heard.retain) == (1, False)


@pytest.mark.anyio
async def test_order_holds_within_a_stream(rig: Rig) -> None:
    """A reversal comes after the takedown that it reverses."""
    kinds = [
        ActionKind.FLAG,
        ActionKind.TAKEDOWN,
        ActionKind.REVERSE_TAKEDOWN,
        ActionKind.TAKEDOWN,
    ]
    for kind in kinds:
        await rig.publisher.publish_action(now_takedown(kind), STUDIO)
    await rig.until(lambda: len(rig.heard("action")) >= len(kinds))
    assert [h.value["action"] for h in rig.heard("action")] == kinds


@pytest.mark.anyio
async def test_the_newest_verdict_is_what_stays(rig: Rig) -> None:
    """Changes arrive in order, the last one last; UNKNOWN says why."""
    unknown = verdict(VerdictState.UNKNOWN, reason=UnknownReason.STALE)
    for one in (verdict(VerdictState.CLEAR), unknown):
        rig.publisher.set_verdict(STUDIO, one)
    await rig.until(
        lambda: [h.value["state"] for h in rig.heard("verdict")][-1:] == ["unknown"]
    )
    assert rig.heard("verdict")[-1].value["reason"] == "stale"


@pytest.mark.anyio
async def test_an_ended_stream_has_no_verdict(rig: Rig) -> None:
    """Its retained message is emptied."""
    rig.publisher.set_verdict(STUDIO, verdict(VerdictState.CLEAR))
    await rig.until(lambda: len(rig.heard("verdict")) == 1)
    rig.publisher.set_verdict(STUDIO, None)
    await rig.until(lambda: len(rig.heard("verdict")) == 2)
    assert rig.heard("verdict")[-1].payload == b""


@pytest.mark.anyio
async def test_status_tells_the_whole_life(rig: Rig) -> None:
    """Online, degraded with its reason, draining, offline; then `run` ends."""

    def states() -> list[str]:
        return [h.value["state"] for h in rig.heard("status")]

    await rig.until(lambda: "online" in states())
    rig.publisher.set_status("degraded", ("outbox_full",))
    await rig.until(lambda: "degraded" in states())
    assert await rig.publisher.drain(4.0) == 0
    await rig.until(lambda: "offline" in states())
    assert states() == ["online", "degraded", "draining", "offline"]
    assert rig.heard("status")[1].value["reasons"] == ["outbox_full"]


@pytest.mark.anyio
async def test_scores_are_telemetry(rig: Rig) -> None:
    """Not retained, valid; amqtt delivers it with QoS 1, whatever it came with."""
    await rig.until(lambda: len(rig.heard("status")) >= 1)
    scores = now_takedown().scores
    assert scores is not None
    rig.publisher.publish_scores(scores)
    await rig.until(lambda: len(rig.heard("scores")) == 1)
    (heard,) = rig.heard("scores")
    assert not heard.retain


@pytest.mark.anyio
async def test_health_is_well_while_it_runs(rig: Rig) -> None:
    """Connected, nothing due, nothing refused."""
    await rig.publisher.publish_action(now_takedown(), STUDIO)
    await rig.until(lambda: len(rig.heard("action")) == 1)
    assert rig.publisher.health().problems == ()
    assert await rig.publisher.drain(4.0) == 0
    assert rig.publisher.health().undelivered == 0
