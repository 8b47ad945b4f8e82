"""What it takes to watch a stream, and who asked for it."""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.config.schema import StreamConfig
from sidecar.domain import Stream
from sidecar.ingest.source import Connector
from sidecar.sample.stream_sampler import StreamSampler


class Origin(StrEnum):
    """Who asked for a stream to be watched."""

    CONFIG = "config"
    API = "api"
    MQTT = "mqtt"
    WHIP = "whip"


class StreamExists(ValueError):
    """A stream with that id is under watch, or being replaced."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What it takes to watch a stream.

    Attributes:
        stream: Which.
        connector: The way to it.
        sampler: When it is looked at.
        origin: Who asked for it, and so who may change it.
        reconnect: Whether its source can come back.
        location: Where it is received from, to be shown; None for a publisher.
        settings: The configuration it was built from, to tell a change.
    """

    stream: Stream
    connector: Connector
    sampler: StreamSampler
    origin: Origin
    reconnect: bool = True
    location: str | None = None
    settings: StreamConfig | None = None
