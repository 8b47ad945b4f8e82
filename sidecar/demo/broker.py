"""An MQTT broker inside this process, for the demo: real, but only on loopback.

amqtt speaks MQTT 3.1.1 only: a client must ask for that version.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final, cast

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType

HOST: Final = "127.0.0.1"
_LISTENER: Final = "default"
_ANONYMOUS: Final = "amqtt.plugins.authentication.AnonymousAuthPlugin"
_LOGGERS: Final = ("amqtt", "transitions")
_CLOSE_S: Final = 5.0


@asynccontextmanager
async def embedded_broker() -> AsyncIterator[tuple[str, int]]:
    """Runs a broker on a free loopback port; yields its host and port.

    Anybody on this machine may connect without a password. At the end every client is
    disconnected, and no task, socket or retained message is left.
    """
    with _quiet():
        broker = Broker(_config())
        await broker.start()
        try:
            async with _listener(broker) as port:
                yield HOST, port
        finally:
            await broker.shutdown()


def _config() -> BrokerConfig:
    """Only the plugin that lets anonymous clients in; the others log every packet."""
    listener = ListenerConfig(type=ListenerType.EXTERNAL, bind=HOST)
    return BrokerConfig(
        listeners={_LISTENER: listener},
        plugins={_ANONYMOUS: {"allow_anonymous": True}},
    )


@asynccontextmanager
async def _listener(broker: Broker) -> AsyncIterator[int]:
    """Our own socket in front of `broker`: port 0 is a free port without a race."""
    serving: dict[asyncio.Task[None], asyncio.Timeout] = {}

    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # Ended by a time-out, not by cancelling: the task of a stream server that is
        # cancelled is reported as an error by Python 3.11.
        task = cast("asyncio.Task[None]", asyncio.current_task())
        with suppress(TimeoutError):
            try:
                async with asyncio.timeout(None) as serving[task]:
                    await broker.stream_connected(reader, writer, _LISTENER)
            finally:
                del serving[task]
                writer.close()

    server = await asyncio.start_server(connected, HOST, 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await _end(serving)
        await server.wait_closed()


async def _end(serving: Mapping[asyncio.Task[None], asyncio.Timeout]) -> None:
    """Stops serving the clients and waits until that has ended."""
    ending = list(serving)
    for limit in serving.values():
        limit.reschedule(asyncio.get_running_loop().time())
    if ending:
        await asyncio.wait(ending, timeout=_CLOSE_S)


@contextmanager
def _quiet() -> Iterator[None]:
    """The broker's own chatter is not the demo's: only critical lines pass."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
