"""What a broker says to us: receipts for our messages, and others' messages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """The broker's answer to one publish.

    Attributes:
        refusal: The reason in words if it said no (MQTT 5).
        nobody: It has no subscriber for the topic (MQTT 5, if it tells).
    """

    mid: int
    refusal: str | None = None
    nobody: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """One inbound message, as it came."""

    topic: str
    payload: bytes
    retain: bool
