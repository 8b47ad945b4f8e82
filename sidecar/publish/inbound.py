"""Pure: what comes in from the bus, parsed strictly. Any bytes: a value or a refusal.

Whoever may publish to these topics may steer the sidecar, so a `set` names only
hosts that the operator allowed, and never a file.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from pydantic import ValidationError

from sidecar.domain import Category, Outcome, is_stream_id
from sidecar.errors import SidecarError
from sidecar.publish import wire
from sidecar.publish.ids import is_action_id
from sidecar.publish.topics import Topics

LIMIT_BYTES: Final = 16 * 1024
_PORT_MAX: Final = 65535
_URL: Final = re.compile(
    r"https?://(?P<host>[a-z0-9.-]{1,253}|\[[0-9a-f:]{2,45}\])"
    r"(?P<port>:[0-9]{1,5})?(?:/[A-Za-z0-9._~!$&'()*+,;=:/%-]*)?"
    r"(?:\?[A-Za-z0-9._~!$&'()*+,;=:/?%-]*)?"
)

M = TypeVar("M", bound=wire.In)


class InboundKind(StrEnum):
    """The closed set of inbound messages; `other` came on no topic of ours."""

    ACK = "ack"
    SET = "set"
    REPORT = "report"
    OUTCOME = "outcome"
    OTHER = "other"


class InboundRefused(SidecarError):
    """An inbound message that is ignored. `reason` is a word of a closed set."""

    def __init__(self, kind: InboundKind, reason: str) -> None:
        super().__init__(f"{kind} refused: {reason}")
        self.kind = kind
        self.reason = reason


class AckState(StrEnum):
    """How far an enforcer got."""

    RECEIVED = "received"
    ENFORCED = "enforced"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Ack:
    """An enforcer's word on one action."""

    action_id: str
    state: AckState
    by: str


@dataclass(frozen=True, slots=True)
class SetStream:
    """Watch `stream_id` by WHEP at `url`; without a URL: stop watching it."""

    stream_id: str
    url: str | None = None
    publisher: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Report:
    """Somebody saw something: watch this stream closely now."""

    stream_id: str
    kind: Literal["viewer", "moderator"]
    category: Category | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A reviewer's word on one action."""

    action_id: str
    outcome: Outcome
    by: str


Told = SetStream | Report | Reviewed
"""What is handed on; acknowledgements are the outbox's."""

Inbound = Ack | Told


def parse(
    topics: Topics, topic: str, payload: bytes, whep_hosts: Sequence[str] = ()
) -> Inbound:
    """The value of one inbound message.

    Args:
        topics: Ours.
        topic: Where it came in.
        payload: Any bytes.
        whep_hosts: What a `set` may name: `host` (any port) or `host:port`, lower case.

    Raises:
        InboundRefused: for anything that is not exactly as the contract says.
    """
    kind, name = _kind(topics, topic)
    if kind is InboundKind.ACK:
        return _ack(name, payload)
    if kind is InboundKind.REPORT:
        return _report(name, payload)
    if kind is InboundKind.OUTCOME:
        return _outcome(name, payload)
    return _set(name, payload, whep_hosts)


def _kind(topics: Topics, topic: str) -> tuple[InboundKind, str]:
    """Which topic of ours, and the checked id in it."""
    for kind, make, valid in (
        (InboundKind.ACK, topics.ack, is_action_id),
        (InboundKind.SET, topics.set, is_stream_id),
        (InboundKind.REPORT, topics.report, is_stream_id),
        (InboundKind.OUTCOME, topics.outcome, is_action_id),
    ):
        before, after = make("+").split("+")
        if topic.startswith(before) and topic.endswith(after):
            name = topic[len(before) : len(topic) - len(after)]
            if valid(name):
                return kind, name
            if "/" not in name:
                raise InboundRefused(kind, "bad_id")
    raise InboundRefused(InboundKind.OTHER, "unknown_topic")


def _ack(action_id: str, payload: bytes) -> Ack:
    got = _model(InboundKind.ACK, wire.AckPayload, payload)
    return Ack(action_id, AckState(got.state), got.by)


def _report(stream_id: str, payload: bytes) -> Report:
    got = _model(InboundKind.REPORT, wire.ReportPayload, payload)
    category = None if got.category is None else Category(got.category)
    return Report(stream_id, got.kind, category)


def _outcome(action_id: str, payload: bytes) -> Reviewed:
    got = _model(InboundKind.OUTCOME, wire.OutcomePayload, payload)
    return Reviewed(action_id, Outcome(got.outcome), got.by)


def _set(stream_id: str, payload: bytes, whep_hosts: Sequence[str]) -> SetStream:
    if not payload:
        return SetStream(stream_id)
    got = _model(InboundKind.SET, wire.SetPayload, payload)
    url = _URL.fullmatch(got.url)
    if url is None or not 0 < int((url["port"] or ":443")[1:]) <= _PORT_MAX:
        raise InboundRefused(InboundKind.SET, "bad_url")
    host = url["host"]
    if host not in whep_hosts and f"{host}{url['port'] or ''}" not in whep_hosts:
        raise InboundRefused(InboundKind.SET, "host_not_allowed")
    return SetStream(
        stream_id, got.url, got.publisher, MappingProxyType(dict(got.labels))
    )


def _model(kind: InboundKind, model: type[M], payload: bytes) -> M:
    if len(payload) > LIMIT_BYTES:
        raise InboundRefused(kind, "oversized")
    try:
        value = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=_no_repeats,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as exc:
        raise InboundRefused(kind, "not_json") from exc
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise InboundRefused(kind, "not_as_agreed") from exc


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("repeated key")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(name)
