"""What the outbox holds, as plain values."""

import json
from dataclasses import dataclass

from sidecar.domain import Action, Stream
from sidecar.publish.message import Message


@dataclass(frozen=True, slots=True)
class Entry:
    """One action in the outbox. Times are Unix seconds: they span restarts.

    Attributes:
        tries: How often it was claimed before, since the file was opened.
    """

    id: str
    stream: str
    action: str
    topic: str
    payload: bytes
    expires_at: float
    response_topic: str | None = None
    user: tuple[tuple[str, str], ...] = ()
    require_enforced: bool = False
    delivered: bool = False
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """What is shown of an action that waits: for the broker or for an enforcer."""

    id: str
    action: str
    stream: str
    created_at: float
    tries: int


@dataclass(frozen=True, slots=True)
class Held:
    """An action of an earlier process that is still here, as its message says it.

    Attributes:
        delivered: Whether the broker has it; then it waits for an enforcer.
    """

    id: str
    action: Action
    stream: Stream
    delivered: bool


@dataclass(frozen=True, slots=True)
class Expired:
    """An action that ran out of time: cause for an alarm."""

    id: str
    stream: str
    action: str
    delivered: bool


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is in the outbox.

    Attributes:
        undelivered: The broker has not acknowledged them.
        awaiting: Delivered, but no enforcer said `enforced` yet.
        oldest_at: When the oldest undelivered one was put, Unix seconds.
    """

    undelivered: int = 0
    awaiting: int = 0
    oldest_at: float | None = None


def entry_for(
    action_id: str, action: Action, message: Message, user: tuple[tuple[str, str], ...]
) -> Entry:
    """The entry that keeps an action's `message`, with `user` properties."""
    assert message.expires_at is not None
    return Entry(
        id=action_id,
        stream=action.stream_id,
        action=action.kind.value,
        topic=message.topic,
        payload=message.payload,
        expires_at=message.expires_at,
        response_topic=message.properties.response_topic,
        user=user,
        require_enforced=action.require_enforced,
    )


def entry_of(row: tuple[object, ...]) -> Entry:
    """The entry of one row of the outbox's query for what is due."""
    properties = json.loads(str(row[5]))
    payload, expires_at = row[4], row[6]
    assert isinstance(payload, bytes)
    assert isinstance(expires_at, float)
    return Entry(
        id=str(row[0]),
        stream=str(row[1]),
        action=str(row[2]),
        topic=str(row[3]),
        payload=payload,
        expires_at=expires_at,
        response_topic=properties["response"],
        user=tuple((str(k), str(v)) for k, v in properties["user"]),
        require_enforced=bool(row[7]),
        delivered=bool(row[8]),
        tries=int(str(row[9])),
    )
