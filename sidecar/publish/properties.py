"""MQTT 5 properties in paho's words."""

from typing import Final

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from sidecar.publish.message import JSON_TYPE, Message

_PACKET_MAX: Final = 64 * 1024
_EXPIRY_MAX: Final = 0xFFFF_FFFF


def for_connect() -> PahoProperties:
    """Packets beyond 64 KiB are not to be sent to us."""
    properties = PahoProperties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = _PACKET_MAX
    return properties


def for_publish(message: Message, now: float) -> PahoProperties:
    """The message's own, and what is left of its time at Unix second `now`."""
    given = message.properties
    properties = PahoProperties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = JSON_TYPE
    properties.PayloadFormatIndicator = 1
    if given.correlation is not None:
        properties.CorrelationData = given.correlation.encode()
    if given.response_topic is not None:
        properties.ResponseTopic = given.response_topic
    if message.expires_at is not None:
        properties.MessageExpiryInterval = min(
            max(1, int(message.expires_at - now)), _EXPIRY_MAX
        )
    if given.user:
        properties.UserProperty = list(given.user)
    return properties
