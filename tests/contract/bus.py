"""The consumer's side of the bus: validates every message, understands each id once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import aiomqtt
from jsonschema import Draft202012Validator, FormatChecker
from paho.mqtt.properties import Properties

from sidecar.publish.schema import CHANNELS, json_schemas
from sidecar.publish.sockets import WatchedClient


def close(schema: Any) -> Any:  # noqa: ANN401  # JSON
    """`schema` with every object closed: a field we did not mean to send fails."""
    if isinstance(schema, dict):
        closed = {key: close(value) for key, value in schema.items()}
        if "properties" in closed:
            closed["additionalProperties"] = False
        return closed
    if isinstance(schema, list):
        return [close(one) for one in schema]
    return schema


@cache
def _validators() -> dict[str, Draft202012Validator]:
    schemas = json_schemas()
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    return {
        name: Draft202012Validator(close(schema), format_checker=FormatChecker())
        for name, schema in schemas.items()
    }


def channel_of(topic: str) -> str:
    """The name of the contract's channel that `topic` belongs to."""
    parts = topic.split("/")
    for channel in CHANNELS:
        wanted = channel.address.replace("{prefix}", "moderation/v1").split("/")
        if len(wanted) == len(parts) and all(
            w == p or w.startswith("{") for w, p in zip(wanted, parts, strict=True)
        ):
            return channel.name
    raise AssertionError(f"no such topic in the contract: {topic}")


def validate(topic: str, payload: bytes) -> dict[str, Any]:
    """The message as JSON, checked against its published schema, closed.

    An empty retained verdict (the stream has ended) gives an empty object.
    """
    name = channel_of(topic)
    if not payload and name in {"verdict", "set"}:
        return {}
    value: dict[str, Any] = json.loads(payload)
    _validators()[name].validate(value)
    return value


@dataclass(frozen=True)
class Heard:
    """One message as it came from the bus."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties | None
    value: dict[str, Any]

    @property
    def channel(self) -> str:
        """The contract's name for it."""
        return channel_of(self.topic)


@dataclass
class Consumer:
    """An idempotent consumer: keeps everything, and counts each action id."""

    client: aiomqtt.Client
    heard: list[Heard] = field(default_factory=list)
    ids: Counter[str] = field(default_factory=Counter)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        """Takes in and validates until cancelled, or the broker dies."""
        with suppress(aiomqtt.MqttError):
            async for message in self.client.messages:
                self._take(message)

    def _take(self, message: aiomqtt.Message) -> None:
        topic, payload = str(message.topic), bytes(message.payload)
        value = validate(topic, payload)
        self.heard.append(
            Heard(
                topic, payload, message.qos, message.retain, message.properties, value
            )
        )
        if self.heard[-1].channel == "action":
            self.ids[value["id"]] += 1
        self._news.set()

    def of(self, channel: str) -> list[Heard]:
        """Everything heard of one channel."""
        return [one for one in self.heard if one.channel == channel]

    async def until(self, holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Waits for messages until `holds()`."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def say(
        self, topic: str, payload: bytes | str, *, retain: bool = False
    ) -> None:
        """Publishes as an enforcer or operator would."""
        await self.client.publish(topic, payload, qos=1, retain=retain)


@asynccontextmanager
async def consumer(
    port: int,
    *,
    protocol: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5,
    topics: tuple[str, ...] = ("moderation/v1/#",),
    **options: Any,  # noqa: ANN401  # handed on to aiomqtt
) -> AsyncIterator[Consumer]:
    """A subscriber on loopback, listening while the block runs."""
    async with WatchedClient("127.0.0.1", port, protocol=protocol, **options) as client:
        for topic in topics:
            await client.subscribe(topic, qos=1)
        one = Consumer(client)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(one.listen(), name="consumer")
            try:
                yield one
            finally:
                listening.cancel()
