"""Pure: retained messages (verdicts, status), newest wins per topic.

One per topic is under way at a time, so that an older one never overtakes.
"""

from dataclasses import dataclass, field

from sidecar.publish.message import Message


@dataclass(slots=True)
class _Place:
    newest: Message
    under_way: Message | None = None
    sent: bool = False
    not_before: float = 0.0


@dataclass(slots=True)
class Retained:
    """What the broker should hold, and what of it still has to be sent."""

    _places: dict[str, _Place] = field(default_factory=dict)
    _waiting: dict[str, None] = field(default_factory=dict)

    def put(self, message: Message) -> None:
        """The newest word on its topic; an unsent older one gives way."""
        place = self._places.get(message.topic)
        if place is None:
            self._places[message.topic] = _Place(message)
        else:
            place.newest = message
            place.sent = False
        self._waiting[message.topic] = None

    def take(self, limit: int, now: float) -> list[Message]:
        """Up to `limit` messages to send now, the longest waiting first."""
        taken: list[Message] = []
        for topic in self._waiting:
            if len(taken) >= limit:
                break
            place = self._places[topic]
            if place.under_way is None and place.not_before <= now:
                place.under_way = place.newest
                taken.append(place.newest)
        for message in taken:
            del self._waiting[message.topic]
        return taken

    def delivered(self, message: Message) -> None:
        """The broker has it; an emptied topic is forgotten."""
        place = self._places[message.topic]
        place.under_way = None
        place.not_before = 0.0
        place.sent = place.newest is message
        if place.sent and not message.payload:
            del self._places[message.topic]

    def refused(self, message: Message, not_before: float) -> None:
        """The broker will not have it: again at `not_before`, with what is then new."""
        place = self._places[message.topic]
        place.under_way = None
        place.not_before = not_before
        self._waiting[message.topic] = None

    def all_again(self) -> None:
        """A new connection: the broker may have forgotten everything."""
        for topic, place in self._places.items():
            place.under_way = None
            place.sent = False
            place.not_before = 0.0
            self._waiting[topic] = None

    def __contains__(self, topic: object) -> bool:
        return topic in self._places

    @property
    def settled(self) -> bool:
        """Whether the broker holds the newest of everything that it takes."""
        return all(p.sent or p.not_before > 0 for p in self._places.values())
