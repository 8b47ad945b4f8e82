"""Brokers that die or stay silent, disks that fail: no takedown is lost."""

import asyncio
import gc
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.enums import CallbackAPIVersion

from sidecar.clock import SystemClock
from sidecar.domain import Action, ActionKind, Evidence, Verdict, VerdictState
from sidecar.errors import ConfigError, OutboxFull, PublishError
from sidecar.publish.broker import Broker
from sidecar.publish.entry import Entry
from sidecar.publish.outbox import Outbox
from sidecar.publish.settings import MqttProtocol, OutboxSettings
from sidecar.publish.sockets import WatchedClient
from sidecar.publish.store import OutboxThread
from tests.contract.brokers import amqtt_broker, mosquitto
from tests.contract.bus import consumer
from tests.contract.desk_rig import (
    DeskRig,
    action,
    build,
    crashing,
    running,
    stream,
    until,
)
from tests.contract.gate import gate
from tests.e2e.processes import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.broker]
_ID = re.compile(rb'"id":"([0-9a-f-]{36})","action"')
BOTH = pytest.mark.parametrize("protocol", list(MqttProtocol))


@BOTH
async def test_a_killed_broker_loses_nothing(
    tmp_path: Path, protocol: MqttProtocol
) -> None:
    """SIGKILL while takedowns are due; after its restart all arrive, each id once."""
    async with (
        mosquitto(tmp_path) as broker,
        gate(broker.port) as door,
        running(build(tmp_path, door.port, protocol=protocol)) as rig,
    ):
        await rig.until(lambda: rig.publisher.connected)
        rig.publisher.set_verdict(stream(), Verdict(VerdictState.CLEAR, 0.0))
        ids = [await rig.takedown(f"s{n}") for n in range(10)]
        await broker.kill()
        ids += [await rig.takedown(f"s{n}") for n in range(10, 30)]
        await door.shut()
        await rig.until(lambda: not rig.publisher.connected)
        assert "broker_unavailable" in rig.publisher.health().problems
        due = rig.publisher.health().undelivered
        assert due >= 20
        await broker.start()
        async with consumer(broker.port) as bus:
            await door.open()
            await bus.until(lambda: len(bus.ids) >= due)
            await rig.until(lambda: rig.publisher.health().undelivered == 0)
            assert set(bus.ids) <= set(ids)
            assert set(bus.ids) >= set(ids[10:])
            assert max(bus.ids.values()) == 1
            await bus.until(lambda: len(bus.of("verdict")) == 1)
        assert rig.count("published_total", kind="action", outcome="delivered") == 30


async def test_repeated_kills_under_load(tmp_path: Path) -> None:
    """Three kills while actions keep coming: every id reaches the broker."""
    ids: list[str] = []
    seen: set[str] = set()
    async with (
        mosquitto(tmp_path) as broker,
        running(build(tmp_path, broker.port)) as rig,
    ):
        for life in range(3):
            async with consumer(broker.port) as bus:
                await rig.until(lambda: rig.publisher.connected)
                ids += [await rig.takedown(f"s{life}-{n}") for n in range(20)]
                await bus.until(lambda: len(bus.ids) >= 5)
                seen |= set(bus.ids)
                await broker.kill()
                ids += [await rig.takedown(f"d{life}-{n}") for n in range(5)]
            await broker.start()
        async with consumer(broker.port) as bus:
            await rig.until(lambda: rig.publisher.health().undelivered == 0)
        count = delivered(rig)
    assert count == len(ids) == len(set(ids))
    assert seen <= set(ids)


async def test_a_crashed_sidecar_sends_under_the_same_ids(tmp_path: Path) -> None:
    """Put without a broker, process gone; the next one delivers the same ids."""
    port = free_port()
    first = build(tmp_path, port)
    async with crashing(first):
        ids = [await first.takedown(f"s{n}") for n in range(5)]
        ids.append(await first.takedown("s0", kind=ActionKind.REVERSE_TAKEDOWN))
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        async with running(build(tmp_path, broker.port)):
            await bus.until(lambda: len(bus.ids) == 6)
        assert sorted(bus.ids) == sorted(ids)
        of_s0 = [h.value["action"] for h in bus.of("action") if "/s0/" in h.topic]
        assert of_s0 == ["takedown", "reverse_takedown"]


async def test_a_crash_is_told_by_the_last_will(tmp_path: Path) -> None:
    """Cut off without a goodbye, the broker says `offline`, retained."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        async with crashing(build(tmp_path, broker.port)):
            await bus.until(lambda: len(bus.of("status")) == 1)
        await bus.until(lambda: len(bus.of("status")) == 2)
        assert bus.of("status")[-1].value["state"] == "offline"
        assert bus.of("status")[-1].value["at"] is None


async def test_mqtt_5_properties(tmp_path: Path) -> None:
    """Content type, correlation data = id, expiry, ack topic."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        async with running(build(tmp_path, broker.port)) as rig:
            action_id = await rig.takedown(expires_s=100.0)
            await bus.until(lambda: len(bus.ids) == 1)
        properties = bus.of("action")[0].properties
        assert properties is not None
        value = properties.json()  # type: ignore[no-untyped-call]
        assert value["ContentType"] == "application/json"
        assert bytes.fromhex(value["CorrelationData"]) == action_id.encode()
        assert 90 <= value["MessageExpiryInterval"] <= 100
        assert value["ResponseTopic"] == f"moderation/v1/default/acks/{action_id}"


async def test_a_burst_goes_through_a_small_window(tmp_path: Path) -> None:
    """Two hundred at once, four under way at a time: all arrive once."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        async with running(build(tmp_path, broker.port, window=4)) as rig:
            for number in range(200):
                await rig.takedown(f"s{number}")
            await bus.until(lambda: len(bus.ids) == 200, 15.0)
        assert max(bus.ids.values()) == 1


async def test_qos_2_by_choice(tmp_path: Path) -> None:
    """Delivered, and known to be."""
    async with (
        mosquitto(tmp_path) as broker,
        consumer(broker.port) as bus,
        running(build(tmp_path, broker.port, action_qos=2)) as rig,
    ):
        await rig.takedown()
        await bus.until(lambda: len(bus.ids) == 1)
        await rig.until(lambda: rig.publisher.health().undelivered == 0)


async def test_nobody_there_to_connect_to(tmp_path: Path) -> None:
    """Not connected, said so, action kept; a drain ends in time and counts it."""
    rig = build(tmp_path, free_port())
    async with running(rig, drain_s=0.5):
        await rig.takedown()
        await rig.until(lambda: rig.publisher.health().last_error is not None)
        assert not rig.publisher.connected
        assert rig.publisher.health().problems == ("broker_unavailable",)
        assert await rig.publisher.drain(0.5) == 1


async def test_drain_before_run(tmp_path: Path) -> None:
    """A start that failed elsewhere can still be wound up."""
    rig = build(tmp_path, free_port())
    await rig.publisher.open()
    await rig.takedown()
    assert await rig.publisher.drain(1.0) == 1
    with pytest.raises(PublishError, match="closed"):
        await rig.takedown()


async def test_a_broker_of_the_other_version(tmp_path: Path) -> None:
    """MQTT 5 at a 3.1.1 broker: never connected, and the error is visible."""
    async with amqtt_broker() as port:
        rig = build(tmp_path, port, connect_timeout_s=0.5)
        async with running(rig, drain_s=0.5):
            await rig.until(lambda: rig.publisher.health().last_error is not None)
            assert not rig.publisher.connected


async def test_closed_before_an_answer(tmp_path: Path) -> None:
    """A peer that hangs up on the connection request is told at once, not timed out."""
    async with gate(free_port()) as door:
        rig = build(tmp_path, door.port, connect_timeout_s=30.0)
        async with running(rig, drain_s=0.2):
            await rig.until(lambda: rig.publisher.health().last_error is not None)
            assert "before an answer" in str(rig.publisher.health().last_error)


async def test_a_silent_broker_breaks_the_connection(tmp_path: Path) -> None:
    """No PUBACK within the time-out: connected anew, sent again under the same id."""
    async with _silent() as (port, published):
        rig = build(tmp_path, port, publish_timeout_s=0.2)
        async with running(rig, drain_s=0.2):
            action_id = await rig.takedown()
            await until(lambda: published.count(action_id) >= 2)
            assert rig.count("published_total", kind="action", outcome="retried") >= 1
            health = rig.publisher.health()
            assert health.undelivered == 1


async def test_what_expires_raises_an_alarm(tmp_path: Path) -> None:
    """Without a broker: counted, and gone from the outbox."""
    rig = build(tmp_path, free_port())
    async with running(rig, drain_s=0.2):
        await rig.takedown(expires_s=0.05)
        await rig.until(
            lambda: rig.count("published_total", kind="action", outcome="expired") == 1
        )
        assert rig.publisher.health().undelivered == 0


async def test_a_full_outbox_turns_readiness_red(tmp_path: Path) -> None:
    """It raises, says so, keeps what it has, and recovers with the broker."""
    async with mosquitto(tmp_path) as broker:
        await broker.kill()
        async with running(build(tmp_path, broker.port, max_rows=2)) as rig:
            for number in range(2):
                await rig.takedown(f"s{number}")
            with pytest.raises(OutboxFull):
                await rig.takedown("s3")
            assert "outbox_full" in rig.publisher.health().problems
            await broker.start()
            await rig.until(lambda: rig.publisher.health().problems == ())


async def test_a_full_disk_turns_readiness_red(tmp_path: Path) -> None:
    """PublishError, red until the disk works again; what is stored still goes out."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        rig = build(tmp_path, broker.port)
        store = rig.publisher._desk.store
        await rig.takedown("s0")
        await store.call(_fill)
        with pytest.raises(PublishError, match="full"):
            await rig.publisher.publish_action(_big(), stream("s1"))
        async with running(rig):
            await bus.until(lambda: len(bus.ids) == 1)
            assert "outbox_failing" in rig.publisher.health().problems
            await store.call(_empty)
            await rig.until(lambda: rig.publisher.health().problems == ())


async def test_a_damaged_outbox_stops_the_start(tmp_path: Path) -> None:
    """As an error of the operator's, naming the file."""
    (tmp_path / "outbox.db").write_bytes(b"nonsense" * 1000)
    rig = build(tmp_path, free_port())
    with pytest.raises(ConfigError, match=r"outbox\.db"):
        await rig.publisher.run()


async def test_cancelling_while_connecting_leaves_nothing(tmp_path: Path) -> None:
    """A broker that takes the connection and says nothing; the socket is closed."""
    async with _silent(answers=False) as (port, _), crashing(build(tmp_path, port)):
        await asyncio.sleep(0.1)  # inside the connection request


async def test_scores_without_a_broker_are_lost_and_counted(tmp_path: Path) -> None:
    """Never queued, never silent; switched off, they are not even counted."""
    scores = action().scores
    assert scores is not None
    rig = build(tmp_path, free_port(), scores=True)
    rig.publisher.publish_scores(scores)
    assert rig.count("lost_total", stage="publish", reason="scores") == 1
    off = build(tmp_path, free_port())
    off.publisher.publish_scores(scores)
    assert off.count("lost_total", stage="publish", reason="scores") == 0
    await rig.publisher.drain(0.1)
    await off.publisher.drain(0.1)


async def test_no_message_waits_for_the_one_before(tmp_path: Path) -> None:
    """Nagle's algorithm is off: with it a second small packet waits up to 40 ms."""
    async with (
        mosquitto(tmp_path) as broker,
        running(build(tmp_path, broker.port)) as rig,
    ):
        await rig.until(lambda: rig.publisher.connected)
        connection = rig.publisher._broker
        assert connection is not None
        sock = connection._client.socket()
        assert isinstance(sock, socket.socket)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_batch_of_scores_is_no_congestion(tmp_path: Path) -> None:
    """Many told in one turn of the loop all arrive; more than may wait are counted."""
    scores = action().scores
    assert scores is not None
    async with (
        mosquitto(tmp_path) as broker,
        consumer(broker.port) as bus,
        running(build(tmp_path, broker.port, scores=True)) as rig,
    ):
        await rig.until(lambda: rig.publisher.connected)
        for _ in range(100):
            rig.publisher.publish_scores(scores)
        await bus.until(lambda: len(bus.of("scores")) == 100)
        assert rig.count("lost_total", stage="publish", reason="scores") == 0
        for _ in range(1000):
            rig.publisher.publish_scores(scores)
        lost = rig.count("lost_total", stage="publish", reason="scores")
        assert 0 < lost < 1000
        await bus.until(lambda: len(bus.of("scores")) == 1100 - lost)


def test_the_private_names_we_rely_on_are_there() -> None:
    """A new aiomqtt or paho that renames them fails here, not in production."""
    overridden = {
        *("_on_connect", "_on_publish", "_on_message"),
        *("_on_socket_open", "_on_socket_register_write"),
    }
    for name in overridden:
        assert callable(getattr(aiomqtt.Client, name))
    assert overridden <= {*vars(Broker), *vars(WatchedClient)}
    assert callable(aiomqtt.Client._client_connect)
    for name in ("_sock_close", "_handle_pubrec", "_handle_pubackcomp"):
        assert callable(getattr(PahoClient, name))
    assert not PahoClient(CallbackAPIVersion.VERSION2)._out_packet


async def test_what_is_left_is_in_the_file(tmp_path: Path) -> None:
    """After a drain without a broker the next process finds it."""
    rig = build(tmp_path, free_port())
    async with running(rig, drain_s=0.2):
        await rig.takedown()
    store = OutboxThread(OutboxSettings(tmp_path / "outbox.db"), SystemClock())
    assert (await store.call(Outbox.depth)).undelivered == 1
    await store.call(lambda outbox: outbox.put(_of_another_version(), 0.0))
    await store.close()
    later = build(tmp_path, free_port())
    await later.publisher.open()
    (held,) = await later.publisher.held(10)
    assert (held.action.kind, held.delivered) == (ActionKind.TAKEDOWN, False)
    assert held.stream.id == held.action.stream_id == "studio-7"
    assert 0 < SystemClock().monotonic() - held.action.decided_at < 30
    await later.publisher.drain(0.1)


def delivered(rig: DeskRig) -> float:
    """How many actions the broker acknowledged."""
    return rig.count("published_total", kind="action", outcome="delivered")


def _of_another_version() -> Entry:
    """An action whose message cannot be read here; it is delivered all the same."""
    return Entry("x", "s", "takedown", "t", b'{"schema": "moderation.action/9"}', 1e12)


def _big() -> Action:
    """An action too long for the pages that are left."""
    evidence = tuple(Evidence(0.0, 0.5) for _ in range(5000))
    return replace(action("s1"), evidence=evidence)


def _fill(outbox: Outbox) -> None:
    (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
    outbox._db.execute(f"PRAGMA max_page_count = {pages}")


def _empty(outbox: Outbox) -> None:
    outbox._db.execute("PRAGMA max_page_count = 1000000")


@asynccontextmanager
async def _silent(*, answers: bool = True) -> AsyncIterator[tuple[int, list[str]]]:
    """A broker that says yes to a connection (or nothing) and never acknowledges.

    Yields its port and the ids of the actions that were sent to it.
    """
    published: list[str] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if answers:
            await reader.read(1)
            writer.write(bytes([0x20, 3, 0, 0, 0]))  # CONNACK, MQTT 5
        while data := await reader.read(65536):
            published.extend(m.decode() for m in _ID.findall(data))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], published
    finally:
        server.close()
        for writer in writers:
            writer.close()
        for writer in writers:
            with suppress(ConnectionError):
                await writer.wait_closed()
        await server.wait_closed()


async def test_the_reason_of_a_lost_connection_is_never_left_unread(
    tmp_path: Path,
) -> None:
    """Killed under a client that is closed without looking: no complaint."""
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
    async with mosquitto(tmp_path) as broker:
        client = WatchedClient("127.0.0.1", broker.port)
        async with client:
            await broker.kill()
            await asyncio.wait([client._disconnected])
        del client
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
