"""What docs/mqtt-contract.md tells platforms to run, run: enforcer, ACL, messages."""

import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import anyio
import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sidecar.publish.schema import json_schemas
from sidecar.publish.signing import Ed25519Signer
from tests.e2e.processes import Child, free_port, listening, program, until

ROOT = Path(__file__).parents[2]
CONTRACT = (ROOT / "docs" / "mqtt-contract.md").read_text(encoding="utf-8")
MOSQUITTO = ROOT / "deploy" / "compose" / "mosquitto"
USERS = ("sidecar", "enforcer", "observer", "desk")
PREFIX = "moderation/v1/default"
ACTION_TOPIC = f"{PREFIX}/streams/studio-7/actions/takedown"


def _blocks(language: str) -> list[str]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", CONTRACT, re.DOTALL | re.MULTILINE)
    return [text for told, text in fences if told == language]


def _action(**over: object) -> dict[str, Any]:
    (found,) = (json.loads(b) for b in _blocks("json") if "moderation.action" in b)
    return {**found, "expires_at": "2999-01-01T00:00:00.000Z", **over}


def test_the_messages_shown_are_valid() -> None:
    """Every JSON example is what the schemas say."""
    schemas = json_schemas()
    kinds = []
    for block in _blocks("json"):
        message = json.loads(block)
        kind = re.fullmatch(r"moderation\.(\w+)/1", message["schema"])
        assert kind
        kinds.append(kind[1])
        validator = jsonschema.Draft202012Validator(schemas[kind[1]])
        assert list(validator.iter_errors(message)) == []
    assert sorted(kinds) == ["ack", "action", "outcome", "report", "set"]


def test_the_acl_shown_is_the_one_deployed() -> None:
    """The listing and the file differ in comments only."""
    (shown,) = (b for b in _blocks("") if b.startswith("user sidecar"))
    deployed = (MOSQUITTO / "acl").read_text(encoding="utf-8")
    lines = [line for line in deployed.splitlines() if line and line[0] != "#"]
    assert [line for line in shown.splitlines() if line] == lines


def test_the_verifier_shown_tells_genuine_from_forged() -> None:
    """A signature of ours is accepted; another payload, key or none is not."""
    (source,) = (b for b in _blocks("python") if "is_genuine" in b)
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102 the documentation's own code
    key = Ed25519PrivateKey.generate()
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    told = list(Ed25519Signer(key, "edge").sign(b"payload"))
    genuine = names["is_genuine"]
    assert genuine(b"payload", told, {"edge": pem})
    assert not genuine(b"other", told, {"edge": pem})
    assert not genuine(b"payload", told, {"another": pem})
    assert not genuine(b"payload", [], {"edge": pem})
    assert not genuine(b"payload", [("kid", "edge"), ("sig", "!")], {"edge": pem})


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The deployed broker: script, configuration and ACL; only its paths are moved."""
    program("mosquitto")
    program("mosquitto_passwd")
    number = free_port()
    conf = (MOSQUITTO / "mosquitto.conf").read_text(encoding="utf-8")
    conf = conf.replace("listener 1883", f"listener {number} 127.0.0.1")
    conf = conf.replace("/mosquitto/data/", f"{tmp_path}/")
    (tmp_path / "acl").write_text((MOSQUITTO / "acl").read_text(encoding="utf-8"))
    conf = conf.replace("/mosquitto/config/acl", f"{tmp_path}/acl")
    if os.geteuid() == 0:
        conf += "\nuser root\n"
    (tmp_path / "mosquitto.conf").write_text(conf)
    path = os.environ["PATH"]  # noqa: TID251 handed on
    broker = Child(
        "mosquitto",
        ["sh", str(MOSQUITTO / "start.sh")],
        tmp_path / "broker.log",
        env={
            "PATH": f"{path}:/usr/sbin:/usr/local/sbin",
            "PASSWORD_FILE": str(tmp_path / "passwords"),
            "CONFIG_FILE": str(tmp_path / "mosquitto.conf"),
            **{f"{user.upper()}_PASSWORD": f"{user}-pw" for user in USERS},
        },
    )
    try:
        until(lambda: listening(number) or not broker.alive, 45, "broker listens")
        assert broker.alive, broker.tail()
        yield number
    finally:
        broker.end()


@asynccontextmanager
async def _as(user: str, port: int) -> AsyncIterator[aiomqtt.Client]:
    async with aiomqtt.Client(
        "127.0.0.1",
        port,
        username=user,
        password=f"{user}-pw",
        protocol=aiomqtt.ProtocolVersion.V5,
    ) as client:
        yield client


@pytest.mark.anyio
@pytest.mark.broker
async def test_the_acl_keeps_roles_apart(port: int) -> None:
    """Only the sidecar can say `takedown`, only an enforcer can acknowledge."""
    heard: list[str] = []
    ack = f"{PREFIX}/acks/x"
    async with _as("observer", port) as observer:
        await observer.subscribe(f"{PREFIX}/#", qos=1)
        for topic in (ACTION_TOPIC, ack, f"{PREFIX}/streams/studio-7/report"):
            for user in USERS:
                async with _as(user, port) as client:
                    await client.publish(topic, user, qos=1)
        async with _as("sidecar", port) as client:
            await client.publish(f"{PREFIX}/streams/studio-7/verdict", "end", qos=1)
        async for message in observer.messages:
            heard.append(f"{str(message.topic).rsplit('/', 1)[1]} {message.payload!r}")
            if message.payload == b"end":
                break
    assert heard == ["takedown b'sidecar'", "x b'enforcer'", "verdict b'end'"]


@pytest.mark.anyio
@pytest.mark.broker
async def test_nobody_gets_in_without_a_password(port: int) -> None:
    """Anonymous clients and wrong passwords are refused."""
    for user, password in ((None, None), ("sidecar", "wrong")):
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(
                "127.0.0.1", port, username=user, password=password
            ):
                pass


@pytest.mark.anyio
@pytest.mark.broker
async def test_the_enforcer_acts_once_and_always_acknowledges(
    port: int, tmp_path: Path
) -> None:
    """Repeats are acknowledged, not acted on; dry runs and expired ones do nothing."""
    (source,) = (b for b in _blocks("python") if "def main" in b)
    script = tmp_path / "enforcer.py"
    script.write_text(source)
    child = Child(
        "enforcer",
        [sys.executable, str(script)],
        tmp_path / "enforcer.log",
        env={
            "PORT": str(port),
            "USERNAME": "enforcer",
            "PASSWORD": "enforcer-pw",
            "MEMORY": str(tmp_path / "enforced.sqlite"),
        },
    )
    try:
        states = await _acknowledged(port, child)
    finally:
        child.end()
    assert states == ["first enforced", "first enforced", "late failed"]
    assert child.tail().count("ending studio-7") == 1


async def _acknowledged(port: int, child: Child) -> list[str]:
    late = {"expires_at": "2020-01-01T00:00:00.000Z"}
    first = _action(id="first")
    states: list[str] = []
    async with _as("sidecar", port) as sidecar:
        await sidecar.subscribe(f"{PREFIX}/acks/+", qos=1)
        with anyio.fail_after(60):
            while True:  # until the enforcer listens
                assert child.alive, child.tail()
                await _send(sidecar, _action(id="probe", **late))
                with anyio.move_on_after(0.5):
                    await anext(aiter(sidecar.messages))
                    break
            for action in (_action(id="dry", dry_run=True), first, first):
                await _send(sidecar, action)
            await _send(sidecar, _action(id="late", **late))
            while "late failed" not in states:
                message = await anext(aiter(sidecar.messages))
                state = json.loads(str(message.payload, "ascii"))["state"]
                states.append(f"{str(message.topic).rsplit('/', 1)[1]} {state}")
    return [state for state in states if not state.startswith("probe")]


async def _send(client: aiomqtt.Client, action: dict[str, Any]) -> None:
    await client.publish(ACTION_TOPIC, json.dumps(action), qos=1)
