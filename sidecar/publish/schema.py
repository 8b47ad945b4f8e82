"""JSON Schema (2020-12) and AsyncAPI 3.0 of the bus, generated from `wire`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sidecar.domain import STREAM_ID_PATTERN
from sidecar.publish import wire

JsonObject = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TITLE: Final = "Livestream moderation sidecar"


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of topic of the contract."""

    name: str
    address: str
    model: type[BaseModel]
    sends: bool
    qos: int
    retain: bool
    summary: str


_STREAM: Final = "{prefix}/{site}/streams/{stream}"
_SELF: Final = "{prefix}/{site}/sidecars/{sidecar}"
CHANNELS: Final = (
    Channel(
        name="action",
        address=f"{_STREAM}/actions/{{action}}",
        model=wire.ActionPayload,
        sends=True,
        qos=1,
        retain=False,
        summary="The signal itself. Drop repeats of an id; ignore dry runs.",
    ),
    Channel(
        name="verdict",
        address=f"{_STREAM}/verdict",
        model=wire.VerdictPayload,
        sends=True,
        qos=1,
        retain=True,
        summary="The stream's present verdict; emptied when the stream ends.",
    ),
    Channel(
        name="scores",
        address=f"{_STREAM}/scores",
        model=wire.ScoresPayload,
        sends=True,
        qos=0,
        retain=False,
        summary="Telemetry at the sampling rate, off by default.",
    ),
    Channel(
        name="status",
        address=f"{_SELF}/status",
        model=wire.StatusPayload,
        sends=True,
        qos=1,
        retain=True,
        summary="What the sidecar is up to; `offline` is also its last will.",
    ),
    Channel(
        name="ack",
        address="{prefix}/{site}/acks/{id}",
        model=wire.AckPayload,
        sends=False,
        qos=1,
        retain=False,
        summary="An enforcer's word on one action.",
    ),
    Channel(
        name="set",
        address=f"{_SELF}/streams/{{stream}}/set",
        model=wire.SetPayload,
        sends=False,
        qos=1,
        retain=False,
        summary="Start watching a stream; empty: stop.",
    ),
    Channel(
        name="report",
        address=f"{_STREAM}/report",
        model=wire.ReportPayload,
        sends=False,
        qos=1,
        retain=False,
        summary="A viewer's or moderator's report: watch this stream closely now.",
    ),
    Channel(
        name="outcome",
        address="{prefix}/{site}/outcomes/{id}",
        model=wire.OutcomePayload,
        sends=False,
        qos=1,
        retain=False,
        summary="A reviewer's word on one action: it was right, or it was not.",
    ),
)
_PARAMETERS: Final[Mapping[str, JsonObject]] = {
    "prefix": {"description": "as configured", "default": "moderation/v1"},
    "site": {"description": "as configured", "default": "default"},
    "stream": {"description": f"stream id, {STREAM_ID_PATTERN}"},
    "sidecar": {"description": f"sidecar id, {STREAM_ID_PATTERN}"},
    "id": {"description": "the action's id, a UUIDv7"},
    "action": {
        "description": "what is asked for",
        "enum": [
            *("flag", "blur", "interrupt"),
            *("takedown", "reverse_takedown", "escalate"),
        ],
    },
}


def json_schemas() -> dict[str, JsonObject]:
    """One self-contained JSON Schema a message kind, by its name."""
    return {c.name: _json_schema(c) for c in CHANNELS}


def asyncapi(version: str = "1.0.0") -> JsonObject:
    """The AsyncAPI 3.0 document of the whole contract.

    Args:
        version: Of the document: the program's.
    """
    refs, definitions = models_json_schema(
        [(c.model, _mode(c)) for c in CHANNELS],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": _TITLE,
            "version": version,
            "license": {"name": "Apache-2.0"},
            "description": "Takedown signals for live streams over MQTT.",
        },
        "defaultContentType": "application/json",
        "channels": {c.name: _channel(c) for c in CHANNELS},
        "operations": {c.name: _operation(c) for c in CHANNELS},
        "components": {
            "messages": {
                c.name: _message(c, refs[(c.model, _mode(c))]) for c in CHANNELS
            },
            "schemas": definitions["$defs"],
        },
    }


def _mode(channel: Channel) -> Literal["serialization", "validation"]:
    return "serialization" if channel.sends else "validation"


def _json_schema(channel: Channel) -> JsonObject:
    schema = channel.model.model_json_schema(mode=_mode(channel))
    return {
        "$schema": DIALECT,
        "$id": f"urn:moderation:{channel.name}:1",
        **schema,
        "title": f"moderation.{channel.name}/1",
        "description": channel.summary,
    }


def _channel(channel: Channel) -> JsonObject:
    names = [part[1:-1] for part in channel.address.split("/") if part[0] == "{"]
    return {
        "address": channel.address,
        "description": channel.summary,
        "parameters": {name: _PARAMETERS[name] for name in names},
        "messages": {channel.name: {"$ref": f"#/components/messages/{channel.name}"}},
    }


def _operation(channel: Channel) -> JsonObject:
    return {
        "action": "send" if channel.sends else "receive",
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "summary": channel.summary,
        "bindings": {"mqtt": {"qos": channel.qos, "retain": channel.retain}},
    }


def _message(channel: Channel, payload: JsonObject) -> JsonObject:
    message: JsonObject = {
        "name": f"moderation.{channel.name}/1",
        "contentType": "application/json",
        "summary": channel.summary,
        "payload": payload,
    }
    if channel.name == "action":
        message["correlationId"] = {
            "description": "The idempotency key; also MQTT 5 correlation data.",
            "location": "$message.payload#/id",
        }
    return message
