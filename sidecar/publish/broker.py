"""One connection to the broker; with `sockets`, the one home of aiomqtt.

aiomqtt 2.5 ties paho to asyncio, but waits out each publish and drops its reason code,
and leaves the socket behind when connecting is cut short. So publishes go to paho
directly, their acknowledgements come back as `Receipt`s, and opening and closing are
done here. `tests/contract/test_publisher.py` guards the private names relied on.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiomqtt
from paho.mqtt.client import (
    MQTT_ERR_SUCCESS,
    ConnectFlags,
    MQTTMessage,
)
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from sidecar.errors import BrokerUnavailable
from sidecar.publish.answers import Arrival, Receipt
from sidecar.publish.message import Message
from sidecar.publish.properties import for_connect, for_publish
from sidecar.publish.settings import MqttProtocol, MqttSettings
from sidecar.publish.sockets import WatchedClient

_REFUSED: Final = 0x80  # MQTT 5, 2.4: reason codes from here on are failures
_REASON_AT: Final = 2  # in a PUBACK or PUBREC, after the packet identifier
_NOBODY: Final = 0x10  # no matching subscribers
_INBOUND_MAX: Final = 1000
_WAITING_MAX: Final = 256  # packets not yet written, of some 600 bytes


class Broker(WatchedClient):
    """A connection. Get one from `connect`."""

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        will: Message,
        tls: ssl.SSLContext | None,
        wake: Callable[[], None],
    ) -> None:
        v5 = settings.protocol is MqttProtocol.V5
        super().__init__(
            settings.host,
            settings.port,
            username=settings.username,
            password=settings.password,
            identifier=client_id,
            protocol=(
                aiomqtt.ProtocolVersion.V5 if v5 else aiomqtt.ProtocolVersion.V311
            ),
            will=aiomqtt.Will(will.topic, will.payload, will.qos, will.retain),
            clean_session=None if v5 else True,
            timeout=settings.connect_timeout_s,
            keepalive=settings.keepalive_s,
            max_inflight_messages=settings.window,
            properties=for_connect() if v5 else None,
            tls_context=tls,
        )
        self._client.connect_timeout = settings.connect_timeout_s
        self._disconnected.add_done_callback(lambda _: wake())
        self._pubrec = self._client._handle_pubrec  # noqa: SLF001
        self._client._handle_pubrec = self._on_pubrec  # type: ignore[method-assign] # noqa: SLF001
        self._v5 = v5
        self._wake = wake
        self.window = settings.window
        self.receipts: deque[Receipt] = deque()
        self.arrivals: deque[Arrival] = deque()
        self.arrivals_lost = 0
        self._expected: set[int] = set()

    def send(self, message: Message, now: float) -> int:
        """Hands `message` to the network; its Receipt (QoS > 0) has this number.

        Args:
            message: What.
            now: Unix seconds, for the MQTT 5 message expiry.

        Raises:
            BrokerUnavailable: the connection is gone; nothing is left queued.
        """
        self.check()
        properties = for_publish(message, now) if self._v5 else None
        info = self._client.publish(
            message.topic, message.payload, message.qos, message.retain, properties
        )
        if info.rc != MQTT_ERR_SUCCESS:
            self._client.drop_out_messages()
            raise BrokerUnavailable(f"could not publish: {info.rc.name}")
        if message.qos:
            self._expected.add(info.mid)
        return info.mid

    @property
    def congested(self) -> bool:
        """Whether the network does not take what is sent.

        Some packets always wait for the loop's next turn: the scores of a whole batch.
        """
        return len(self._client._out_packet) >= _WAITING_MAX  # noqa: SLF001  # no public way

    def check(self) -> None:
        """Sends keepalives when due. Raises BrokerUnavailable if the connection broke.

        Call it about once a second.
        """
        self.tick()
        if self._disconnected.done():
            exc = self._disconnected.exception()
            raise BrokerUnavailable(f"connection lost: {exc or 'closed'}")

    async def listen(self, topics: list[str]) -> list[str]:
        """Subscribes with QoS 1; the topics that the broker refused."""
        options = SubscribeOptions(qos=1) if self._v5 else 1
        subscriptions: Any = [(topic, options) for topic in topics]
        try:
            codes: Any = await self.subscribe(subscriptions)
        except aiomqtt.MqttError as exc:
            raise BrokerUnavailable(f"could not subscribe: {exc}") from exc
        return [
            topic
            for topic, code in zip(topics, codes, strict=True)
            if _value(code) >= _REFUSED
        ]

    async def open(self) -> None:
        """Connects and waits for the broker's yes. Raises BrokerUnavailable."""
        loop = asyncio.get_running_loop()
        connecting = loop.run_in_executor(None, self._client_connect)
        try:
            await asyncio.shield(connecting)
            async with asyncio.timeout(self.timeout):
                await asyncio.shield(self._connected)
        except TimeoutError as exc:
            raise BrokerUnavailable("no answer to the connection request") from exc
        except (OSError, aiomqtt.MqttError) as exc:
            raise BrokerUnavailable(f"cannot connect: {exc}") from exc
        finally:
            # If cancelled, the thread still holds the socket, for connect_timeout_s.
            await asyncio.wait([connecting])
            connecting.exception()

    async def close(self, *, goodbye: bool) -> None:
        """Closes the socket; without a goodbye the broker publishes the last will."""
        if goodbye and not self._disconnected.done():
            self._client.disconnect()
            await asyncio.wait([self._disconnected], timeout=1.0)
        self._client._sock_close()  # noqa: SLF001  # paho has no public way
        if self._disconnected.done():
            self._disconnected.exception()
        if self._connected.done() and not self._connected.cancelled():
            self._connected.exception()

    def _on_connect(
        self,
        client: PahoClient,
        userdata: Any,  # noqa: ANN401  # paho's own signature
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: PahoProperties | None = None,
    ) -> None:
        maximum = getattr(properties, "ReceiveMaximum", None)
        if maximum is not None:
            self.window = max(1, min(self.window, int(maximum)))
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self,
        client: PahoClient,
        userdata: Any,  # noqa: ANN401
        mid: int,
        reason_code: ReasonCode,
        properties: PahoProperties,
    ) -> None:
        super()._on_publish(client, userdata, mid, reason_code, properties)
        if mid not in self._expected:  # QoS 0
            return
        self._expected.discard(mid)
        refusal = str(reason_code) if reason_code.value >= _REFUSED else None
        self.receipts.append(Receipt(mid, refusal, reason_code.value == _NOBODY))
        self._wake()

    def _on_pubrec(self) -> MQTTErrorCode:
        """Paho 2.2 takes a refusing PUBREC (QoS 2) for a yes; it ends the flow."""
        packet = self._client._in_packet["packet"]  # noqa: SLF001
        if self._v5 and len(packet) > _REASON_AT and packet[_REASON_AT] >= _REFUSED:
            return self._client._handle_pubackcomp("PUBACK")  # noqa: SLF001
        return self._pubrec()

    def _on_message(
        self,
        client: PahoClient,  # noqa: ARG002
        userdata: Any,  # noqa: ANN401, ARG002
        message: MQTTMessage,
    ) -> None:
        if len(self.arrivals) >= _INBOUND_MAX:
            self.arrivals_lost += 1
            return
        topic = bytes(message._topic).decode(errors="replace")  # noqa: SLF001  # no raise
        self.arrivals.append(Arrival(topic, bytes(message.payload), message.retain))
        self._wake()


@asynccontextmanager
async def connect(
    settings: MqttSettings,
    client_id: str,
    will: Message,
    tls: ssl.SSLContext | None,
    wake: Callable[[], None],
) -> AsyncIterator[Broker]:
    """A connection, closed on leaving; with an error the last will speaks.

    `wake` is called when there is news.

    Raises:
        BrokerUnavailable: not reachable, not trusted, or it refused us.
    """
    broker = Broker(settings, client_id, will, tls, wake)
    goodbye = False
    try:
        await broker.open()
        yield broker
        goodbye = True
    finally:
        await broker.close(goodbye=goodbye)


def _value(code: int | ReasonCode) -> int:
    return int(code.value) if isinstance(code, ReasonCode) else code
