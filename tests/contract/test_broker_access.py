"""TLS, passwords, ACLs, signatures, and what comes in: on a real Mosquitto."""

import base64
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.domain import (
    Action,
    ActionKind,
    Delivery,
    Outcome,
    Stream,
    Verdict,
    VerdictState,
)
from sidecar.publish.inbound import Report, Reviewed, SetStream
from sidecar.publish.settings import InboundSettings, MqttProtocol, TlsSettings
from sidecar.publish.signing import Ed25519Signer
from tests.contract.brokers import (
    Certificates,
    Mosquitto,
    certificates,
    mosquitto,
    require_tool,
)
from tests.contract.bus import Consumer, consumer
from tests.contract.desk_rig import DeskRig, build, running, stream

pytestmark = [pytest.mark.anyio, pytest.mark.broker]
BOTH = pytest.mark.parametrize("protocol", list(MqttProtocol))
ROOT = "moderation/v1/default"
ACTION_ID = "0198c1f2-0000-7000-8000-000000000000"
ALL = InboundSettings(
    acks=True, set=True, report=True, outcomes=True, whep_hosts=("media.example",)
)
ACL = f"""
user sidecar
topic write {ROOT}/streams/+/actions/takedown
topic write {ROOT}/sidecars/edge-3/status
topic read {ROOT}/acks/+
user observer
topic read {ROOT}/#
"""
HOSTILE = (b"\xff" * 100, b"[" * 10_000, b"x" * 50_000, b"{}", b"null")
LOGIN: dict[str, Any] = {"username": "sidecar", "password": "s3cret"}


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[tuple[Mosquitto, Certificates]]:
    """Mosquitto with TLS, client certificates, passwords and the ACL above."""
    certs = certificates(folder)
    tool = require_tool("mosquitto_passwd")
    users = folder / "users"
    users.touch()
    for name in ("sidecar", "observer"):
        subprocess.run(  # noqa: ASYNC221, S603  # before the broker is up
            [tool, "-b", str(users), name, "s3cret"], check=True, capture_output=True
        )
    (folder / "acl").write_text(ACL)
    lines = (
        f"cafile {certs.ca}",
        f"certfile {certs.server}",
        f"keyfile {certs.server_key}",
        "require_certificate true",
        f"password_file {users}",
        f"acl_file {folder / 'acl'}",
    )
    async with mosquitto(folder, lines, anonymous=False) as broker:
        yield broker, certs


def trust(certs: Certificates) -> TlsSettings:
    """The test authority, and our client certificate."""
    return TlsSettings(
        enabled=True,
        ca_file=certs.ca,
        cert_file=certs.client,
        key_file=certs.client_key,
    )


@asynccontextmanager
async def observer(broker: Mosquitto, certs: Certificates) -> AsyncIterator[Consumer]:
    """A consumer with its own login."""
    tls = aiomqtt.TLSParameters(
        ca_certs=str(certs.ca),
        certfile=str(certs.client),
        keyfile=str(certs.client_key),
    )
    async with consumer(
        broker.port, tls_params=tls, **{**LOGIN, "username": "observer"}
    ) as bus:
        yield bus


@BOTH
async def test_tls_with_password_and_client_certificate(
    tmp_path: Path, protocol: MqttProtocol
) -> None:
    """All of it together, on both versions: the takedown arrives."""
    async with guarded(tmp_path) as (broker, certs), observer(broker, certs) as bus:
        rig = build(tmp_path, broker.port, protocol=protocol, tls=trust(certs), **LOGIN)
        async with running(rig):
            action_id = await rig.takedown()
            await bus.until(lambda: action_id in bus.ids)


async def test_a_refused_topic_is_seen_and_kept(tmp_path: Path) -> None:
    """MQTT 5: counted, shown, kept in the outbox; the takedown is not held up."""
    async with guarded(tmp_path) as (broker, certs), observer(broker, certs) as bus:
        rig = build(tmp_path, broker.port, tls=trust(certs), **LOGIN)
        async with running(rig, drain_s=0.2):
            await rig.takedown(kind=ActionKind.FLAG)
            takedown = await rig.takedown()
            rig.publisher.set_verdict(stream(), Verdict(VerdictState.CLEAR, 0.0))
            await bus.until(lambda: takedown in bus.ids)
            for kind in ("action", "verdict"):
                await rig.until(partial(refused_twice, rig, kind))
            health = rig.publisher.health()
            assert health.undelivered == 1
            assert "verdict" in health.refused
            assert "broker_refuses" in health.problems
            assert "Not authorized" in str(health.last_error)
            assert list(bus.ids) == [takedown]


async def test_qos_2_refusals_are_seen_too(tmp_path: Path) -> None:
    """A refused QoS 2 publish is not taken for delivered."""
    async with guarded(tmp_path) as (broker, certs):
        rig = build(tmp_path, broker.port, tls=trust(certs), action_qos=2, **LOGIN)
        async with running(rig, drain_s=0.2):
            await rig.takedown(kind=ActionKind.FLAG)
            await rig.until(partial(refused_twice, rig, "action"))
            assert rig.publisher.health().undelivered == 1


@BOTH
async def test_a_wrong_password_is_never_connected(
    tmp_path: Path, protocol: MqttProtocol, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reported as refused by the broker; the password is in no log line."""
    async with guarded(tmp_path) as (broker, certs):
        login = {**LOGIN, "password": "wr0ng-pass"}
        rig = build(tmp_path, broker.port, protocol=protocol, tls=trust(certs), **login)
        async with running(rig, drain_s=0.2):
            await rig.until(lambda: rig.publisher.health().last_error is not None)
            assert "uthori" in str(rig.publisher.health().last_error)
            assert not rig.publisher.connected
    out = capsys.readouterr()
    assert "broker_connected" not in out.out + out.err
    assert "wr0ng-pass" not in out.out + out.err


async def test_an_unknown_authority_is_not_trusted(tmp_path: Path) -> None:
    """Verification is on without being asked for."""
    async with guarded(tmp_path) as (broker, _):
        rig = build(tmp_path, broker.port, tls=TlsSettings(enabled=True), **LOGIN)
        async with running(rig, drain_s=0.2):
            await rig.until(lambda: rig.publisher.health().last_error is not None)
            assert "CERTIFICATE_VERIFY_FAILED" in str(rig.publisher.health().last_error)


async def test_a_refused_subscription_is_shown(tmp_path: Path) -> None:
    """The ACL lets us read acks only: `set` and `report` are told as refused.

    Mosquitto 2.0 accepts subscriptions that it will then filter; only brokers that
    say no are seen. Either way the sidecar is connected and publishes.
    """
    async with guarded(tmp_path) as (broker, certs):
        rig = build(tmp_path, broker.port, tls=trust(certs), inbound=ALL, **LOGIN)
        async with running(rig):
            await rig.until(lambda: rig.publisher.connected)
            await rig.takedown()
            await rig.until(lambda: rig.publisher.health().undelivered == 0)


async def test_a_signature_goes_along(tmp_path: Path) -> None:
    """`sig` verifies over the payload as received; `kid` names the key."""
    key = Ed25519PrivateKey.generate()
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        rig = build(tmp_path, broker.port, signer=Ed25519Signer(key, "k1"))
        async with running(rig):
            await rig.takedown()
            await bus.until(lambda: len(bus.ids) == 1)
        heard = bus.of("action")[0]
        assert heard.properties is not None
        user = dict(heard.properties.json()["UserProperty"])  # type: ignore[no-untyped-call]
        assert user["kid"] == "k1"
        key.public_key().verify(base64.b64decode(user["sig"]), heard.payload)


def ignored(rig: DeskRig, kind: str) -> float:
    """How many inbound messages of a kind were refused."""
    return rig.count("inbound_total", kind=kind, outcome="refused")


def all_ignored(rig: DeskRig, kind: str) -> bool:
    """Whether every hostile payload of a kind was counted."""
    return ignored(rig, kind) == len(HOSTILE)


def refused_twice(rig: DeskRig, kind: str) -> bool:
    """Whether the broker refused such a message, and its retry."""
    return rig.count("published_total", kind=kind, outcome="refused") >= 2


class Steps:
    """Notes how far actions got."""

    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []

    def stored(
        self, action_id: str, action: Action, stream: Stream, now: float
    ) -> None:
        """On disk."""
        assert (action.stream_id, now > 0) == (stream.id, True)
        self.steps.append((action_id, "stored"))

    def moved(self, action_id: str, delivery: Delivery, now: float) -> None:
        """Further."""
        assert now > 0
        self.steps.append((action_id, delivery.value))


def reached(steps: Steps, action_id: str, state: str) -> bool:
    """Whether an action got so far."""
    return (action_id, state) in steps.steps


def ack(state: str) -> str:
    """An enforcer's acknowledgement."""
    return json.dumps({"schema": "moderation.ack/1", "state": state, "by": "gate-1"})


@BOTH
async def test_enforcement_is_waited_for(
    tmp_path: Path, protocol: MqttProtocol
) -> None:
    """Sent again under its id until an enforcer says `enforced`."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        rig = build(tmp_path, broker.port, protocol=protocol, inbound=ALL)
        progress = Steps()
        rig.publisher.report_to(progress)
        async with running(rig):
            action_id = await rig.takedown(require_enforced=True)
            await bus.until(lambda: bus.ids[action_id] >= 2)
            assert rig.publisher.health().awaiting == 1
            for state in ("received", "failed", "enforced"):
                await bus.say(f"{ROOT}/acks/{action_id}", ack(state))
                await rig.until(partial(reached, progress, action_id, state))
            await rig.until(lambda: rig.count("acks_total", state="enforced") == 1)
            await rig.until(lambda: rig.publisher.health().awaiting == 0)
            assert rig.count("acks_total", state="failed") == 1
            assert rig.count("leg_seconds_count", leg="enforce") == 1
            assert rig.count("leg_seconds_count", leg="packet_to_broker") == 1
    steps = [step for one, step in progress.steps if one == action_id]
    assert steps[:2] == ["stored", "delivered"]


async def test_an_outcome_comes_in_once(tmp_path: Path) -> None:
    """A reviewer's word is handed on; retained it would come again, and is refused."""
    said = {"schema": "moderation.outcome/1", "outcome": "clear", "by": "reviewer-12"}
    topic = f"{ROOT}/outcomes/{ACTION_ID}"
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        rig = build(tmp_path, broker.port, inbound=ALL)
        await bus.say(topic, json.dumps(said), retain=True)
        async with running(rig):
            await rig.until(lambda: ignored(rig, "outcome") == 1)
            await bus.say(topic, json.dumps(said))
            await rig.until(lambda: len(rig.inbound) == 1)
    assert rig.inbound == [Reviewed(ACTION_ID, Outcome.CLEAR, "reviewer-12")]
    assert rig.count("inbound_total", kind="outcome", outcome="accepted") == 1


async def test_sets_and_reports_come_in(tmp_path: Path) -> None:
    """In order, as values; what is not as agreed is counted and ignored."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        rig = build(tmp_path, broker.port, inbound=ALL)
        async with running(rig):
            await rig.until(lambda: rig.publisher.connected)
            await bus.until(lambda: len(bus.of("status")) == 1)
            set_topic = f"{ROOT}/sidecars/edge-3/streams/a/set"
            good = {"schema": "moderation.set/1", "url": "https://media.example/a"}
            report = {"schema": "moderation.report/1", "kind": "viewer"}
            await bus.say(set_topic, json.dumps(good))
            await bus.say(f"{ROOT}/streams/a/report", json.dumps(report))
            await bus.say(
                set_topic, json.dumps({**good, "url": "https://evil.example/"})
            )
            await bus.say(set_topic, b"")
            await rig.until(lambda: len(rig.inbound) == 3)
            assert rig.inbound == [
                SetStream("a", "https://media.example/a"),
                Report("a", "viewer"),
                SetStream("a"),
            ]
            assert rig.count("inbound_total", kind="set", outcome="refused") == 1
            assert rig.count("inbound_total", kind="report", outcome="accepted") == 1


async def test_a_retained_report_is_ignored(tmp_path: Path) -> None:
    """It is an event: retained, it would come anew at every reconnection."""
    report = json.dumps({"schema": "moderation.report/1", "kind": "moderator"})
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        await bus.say(f"{ROOT}/streams/a/report", report, retain=True)
        rig = build(tmp_path, broker.port, inbound=ALL)
        async with running(rig):
            await rig.until(
                lambda: (
                    rig.count("inbound_total", kind="report", outcome="refused") == 1
                )
            )
            assert rig.inbound == []


async def test_nothing_is_listened_to_unless_enabled(tmp_path: Path) -> None:
    """Without the settings, a set and an ack pass by unseen."""
    async with mosquitto(tmp_path) as broker, consumer(broker.port) as bus:
        rig = build(tmp_path, broker.port)
        async with running(rig):
            await rig.until(lambda: rig.publisher.connected)
            await bus.say(f"{ROOT}/sidecars/edge-3/streams/a/set", b"")
            await bus.until(lambda: len(bus.of("set")) == 1)
            action_id = await rig.takedown()
            await bus.until(lambda: action_id in bus.ids)
            assert rig.inbound == []


async def test_hostile_bytes_on_every_inbound_topic(tmp_path: Path) -> None:
    """A flood of nonsense: counted, ignored, and takedowns still go out."""
    async with (
        mosquitto(tmp_path) as broker,
        aiomqtt.Client("127.0.0.1", broker.port) as attacker,
    ):
        rig = build(tmp_path, broker.port, inbound=ALL)
        async with running(rig):
            await rig.until(lambda: rig.publisher.connected)
            for payload in (
                b"\xff" * 100,
                b"[" * 10_000,
                b"x" * 50_000,
                b"{}",
                b"null",
            ):
                for topic in ("acks/x", "sidecars/edge-3/streams/a/set"):
                    await attacker.publish(f"{ROOT}/{topic}", payload, qos=1)
                await attacker.publish(f"{ROOT}/streams/a b/report", payload, qos=1)
            await rig.takedown()
            for kind in ("ack", "set", "report"):
                await rig.until(partial(all_ignored, rig, kind))
            await rig.until(lambda: rig.publisher.health().undelivered == 0)
            assert rig.inbound == []
