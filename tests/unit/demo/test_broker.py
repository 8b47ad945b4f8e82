"""The demo's embedded broker."""

import asyncio
import logging
import os
import socket

import aiomqtt
import pytest

from sidecar.demo.broker import embedded_broker

pytestmark = pytest.mark.anyio


def _client(
    host: str, port: int, name: str, will: aiomqtt.Will | None = None
) -> aiomqtt.Client:
    return aiomqtt.Client(
        host,
        port,
        identifier=name,
        will=will,
        protocol=aiomqtt.ProtocolVersion.V311,
        timeout=30,
    )


async def test_message_reaches_subscriber() -> None:
    """A QoS 1 message passes from one client to another unchanged."""
    async with (
        embedded_broker() as (host, port),
        _client(host, port, "listener") as listener,
        _client(host, port, "speaker") as speaker,
    ):
        await listener.subscribe("a/#", qos=1)
        await speaker.publish("a/b", b"payload", qos=1)
        message = await anext(aiter(listener.messages))
    assert (str(message.topic), message.payload) == ("a/b", b"payload")


async def test_retained_message_awaits_late_subscriber() -> None:
    """A retained message is handed to whoever subscribes later."""
    async with embedded_broker() as (host, port):
        async with _client(host, port, "speaker") as speaker:
            await speaker.publish("state", b"clear", qos=1, retain=True)
        async with _client(host, port, "listener") as listener:
            await listener.subscribe("state", qos=1)
            message = await anext(aiter(listener.messages))
    assert message.payload == b"clear"
    assert message.retain


async def test_last_will_is_published() -> None:
    """A client whose connection just breaks off leaves its last will."""
    will = aiomqtt.Will("status", b"offline", qos=1)
    async with (
        embedded_broker() as (host, port),
        _client(host, port, "listener") as listener,
        _client(host, port, "mortal", will) as mortal,
    ):
        await listener.subscribe("status", qos=1)
        broken = mortal._client.socket()
        assert broken is not None
        with socket.socket(fileno=os.dup(broken.fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)
        message = await anext(aiter(listener.messages))
        with pytest.raises(aiomqtt.MqttError):
            await anext(aiter(mortal.messages))
    assert message.payload == b"offline"


async def test_end_leaves_nothing_with_clients_connected() -> None:
    """Even with a client still connected no task outlives the broker."""
    before = asyncio.all_tasks()
    async with embedded_broker() as (host, port):
        _, writer = await asyncio.open_connection(host, port)
        mute = writer  # connects and never says a word
    mute.close()
    assert asyncio.all_tasks() == before


async def test_two_brokers_do_not_clash() -> None:
    """Each broker has a free port of its own, on loopback."""
    async with embedded_broker() as first, embedded_broker() as second:
        assert first[0] == second[0] == "127.0.0.1"
        assert first[1] != second[1]


async def test_broker_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged, not even of a client that breaks off in mid-word."""
    caplog.set_level(logging.DEBUG)
    level = logging.getLogger("amqtt").level
    async with embedded_broker() as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"\x10\x0a\x00\x04MQ")
        writer.write_eof()
        try:
            async with asyncio.timeout(30):
                await reader.read()
        finally:
            writer.close()
    assert [r for r in caplog.records if r.name.startswith("amqtt")] == []
    assert logging.getLogger("amqtt").level == level
