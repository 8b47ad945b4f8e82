"""The platform's side of the bus: hears everything, and checks it by the schemas."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from sidecar.publish.schema import json_schemas
from tests.e2e.processes import until

_KINDS = ("actions", "verdict", "scores", "status", "acks", "set", "report")
_SCHEMAS = {"actions": "action", "acks": "ack"}


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, as it came.

    Attributes:
        topic: Whole.
        payload: Bytes.
        body: The payload's JSON object; empty if the payload is.
        retain: Whether it was kept for us by the broker.
        unix_ms: When it came, wall time of this machine.
    """

    topic: str
    payload: bytes
    body: dict[str, Any]
    retain: bool
    unix_ms: float

    @property
    def kind(self) -> str:
        """`actions`, `verdict`, `scores`, `status`, `acks`, `set`, `report` or ''."""
        return next((p for p in reversed(self.topic.split("/")) if p in _KINDS), "")

    @property
    def stream(self) -> str:
        """The stream's id, or '' if the topic names none."""
        parts = self.topic.split("/")
        return parts[parts.index("streams") + 1] if "streams" in parts else ""


def _object(payload: bytes) -> dict[str, Any]:
    """The JSON object in `payload`, or an empty one, which no schema accepts."""
    try:
        body: object = json.loads(payload)
    except (ValueError, RecursionError):
        body = None
    return body if isinstance(body, dict) else {}


class Collector:
    """A subscriber with a session that outlives broken connections.

    Args:
        port: The broker's, on loopback.
        topics: What to hear.
        name: Client id.
    """

    def __init__(
        self, port: int, topics: str = "moderation/v1/#", name: str = "collector"
    ) -> None:
        self.faults: list[str] = []
        self.messages: list[Heard] = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._topics = topics
        self._validators = {
            name: Draft202012Validator(schema, format_checker=FormatChecker())
            for name, schema in json_schemas().items()
        }
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=name, clean_session=False
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", port, keepalive=30)
        self._client.loop_start()
        assert self._subscribed.wait(10), "the broker did not take the subscription"

    def close(self) -> None:
        """Leaves the broker; returns when the thread is gone."""
        self._client.disconnect()
        self._client.loop_stop()
        del self._client  # paho closes a pair of sockets only when it is freed

    def publish(
        self, topic: str, payload: bytes | str, *, retain: bool = False
    ) -> None:
        """Says something on the bus, at QoS 1; returns when the broker has it."""
        until(self._client.is_connected, 45, "the collector is connected again")
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(45)

    def wait(
        self, wanted: Callable[[Heard], bool], within_s: float, what: str
    ) -> Heard:
        """The first message that is `wanted`, heard already or to come."""
        found = self.find(wanted, within_s)
        if found is None:
            heard = self.summary()
            pytest.fail(f"not heard within {within_s:g} s: {what}; heard {heard}")
        return found

    def find(self, wanted: Callable[[Heard], bool], within_s: float) -> Heard | None:
        """As `wait`, but None if it does not come."""
        end = time.monotonic() + within_s
        seen = 0
        with self._news:
            while True:
                for message in self.messages[seen:]:
                    if wanted(message):
                        return message
                seen = len(self.messages)
                left = end - time.monotonic()
                if left <= 0:
                    return None
                self._news.wait(left)

    def action(
        self, stream: str, within_s: float, kind: str = "takedown", number: int = 1
    ) -> Heard:
        """The `number`th action of that kind, by different ids, for a stream."""
        self.wait(
            lambda _: len(self.actions(stream, kind)) >= number,
            within_s,
            f"{kind} number {number} of {stream}",
        )
        return list(self.actions(stream, kind).values())[number - 1]

    def actions(
        self, stream: str | None = None, kind: str = "takedown"
    ) -> dict[str, Heard]:
        """Actions by id, in the order first heard: each id is understood once."""
        found: dict[str, Heard] = {}
        for message in list(self.messages):
            if message.kind != "actions" or message.body["action"] != kind:
                continue
            if stream in {None, message.stream}:
                found.setdefault(message.body["id"], message)
        return found

    def verdicts(self, stream: str) -> list[str]:
        """The states (with the reason of UNKNOWN) heard so far of a stream."""
        return [
            "/".join(filter(None, (m.body.get("state"), m.body.get("reason"))))
            for m in list(self.messages)
            if m.kind == "verdict" and m.stream == stream
        ]

    def summary(self) -> list[str]:
        """What was heard, short."""
        keys = ("state", "reason", "action", "id")
        return [
            f"{m.topic.removeprefix('moderation/v1/')}"
            f" {[m.body[k] for k in keys if isinstance(m.body.get(k), str)]}"
            for m in list(self.messages)
            if m.kind != "scores"
        ]

    def _connected(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        _reason: ReasonCode,
        _properties: object,
    ) -> None:
        client.subscribe(self._topics, qos=1)

    def _heard(
        self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage
    ) -> None:
        now = time.time_ns() / 1e6
        payload = bytes(message.payload)
        heard = Heard(message.topic, payload, _object(payload), message.retain, now)
        self._validate(heard)
        with self._news:
            self.messages.append(heard)
            self._news.notify_all()

    def _validate(self, heard: Heard) -> None:
        if heard.kind in {"acks", "set", "report"}:
            return  # what tests say themselves, garbage included
        if heard.kind == "verdict" and not heard.payload:
            return  # the stream has ended
        validator = self._validators.get(_SCHEMAS.get(heard.kind, heard.kind))
        if validator is None:
            self.faults.append(f"{heard.topic}: not a topic of the contract")
            return
        self.faults += [
            f"{heard.topic}: {error.json_path}: {error.message}"
            for error in validator.iter_errors(heard.body)
        ]
