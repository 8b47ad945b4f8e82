"""A small honest `Publisher`: keeps in memory what a broker would have been given."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from sidecar.clock import Clock, SystemClock, wall_at
from sidecar.domain import Action, ModelRef, PolicyRef, Scores, Stream, Verdict
from sidecar.errors import OutboxFull, PublishError
from sidecar.publish.ids import Ids
from sidecar.publish.message import Message, SidecarIdentity, StatusName, Writer
from sidecar.publish.publisher import PublisherHealth
from sidecar.publish.topics import Topics

IDENTITY = SidecarIdentity("edge-3", "0.1.0")


@dataclass
class MemoryPublisher:
    """Delivers at once into `sent` and `retained`.

    Attributes:
        sent: Every message in order.
        retained: What a broker would hold, by topic.
        actions: The actions as given, by id.
        failure: Raised by `publish_action` while set.
        scores: Whether telemetry is kept.
    """

    clock: Clock = field(default_factory=SystemClock)
    sent: list[Message] = field(default_factory=list)
    retained: dict[str, bytes] = field(default_factory=dict)
    actions: dict[str, Action] = field(default_factory=dict)
    failure: PublishError | None = None
    scores: bool = False
    opened: bool = False
    _running: bool = False
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Makes the writer and the ids."""
        self._writer = Writer(
            Topics(IDENTITY.id), IDENTITY, partial(wall_at, self.clock)
        )
        self._ids = Ids(self.clock)

    async def open(self) -> None:
        """Nothing to open."""
        self.opened = True

    async def run(self) -> None:
        """Until drained."""
        self._running = True
        self.set_status("online")
        await self._leaving.wait()
        self._running = False

    async def publish_action(self, action: Action, stream: Stream) -> str:
        """Delivered when this returns. Raises `failure` while that is set."""
        if self.failure is not None:
            raise self.failure
        action_id = self._ids.new()
        self.actions[action_id] = action
        self._send(self._writer.action(action_id, action, stream))
        return action_id

    def set_verdict(
        self,
        stream: Stream,
        verdict: Verdict | None,
        *,
        policy: PolicyRef | None = None,
        model: ModelRef | None = None,
        models: tuple[ModelRef, ...] = (),
    ) -> None:
        """Retained, or emptied."""
        if verdict is None:
            self._send(self._writer.no_verdict(stream.id))
            return
        now = self.clock.monotonic()
        self._send(
            self._writer.verdict(
                stream.id, verdict, now, policy=policy, model=model, models=models
            )
        )

    def publish_scores(self, scores: Scores) -> None:
        """Kept if `scores` is set."""
        if self.scores:
            self._send(self._writer.scores(scores))

    def set_status(self, state: StatusName, reasons: Iterable[str] = ()) -> None:
        """Retained."""
        self._send(self._writer.status(state, reasons, self.clock.monotonic()))

    async def drain(self, deadline_s: float) -> int:  # noqa: ARG002  # nothing waits
        """Says goodbye; nothing is ever left."""
        self.set_status("draining")
        self.set_status("offline")
        self._leaving.set()
        return 0

    def health(self) -> PublisherHealth:
        """Connected while running."""
        return PublisherHealth(
            connected=self._running,
            full=isinstance(self.failure, OutboxFull),
            storage_error=None if self.failure is None else str(self.failure),
        )

    async def until_sent(self, count: int, timeout_s: float = 30.0) -> None:
        """Waits until `count` messages were sent."""
        async with asyncio.timeout(timeout_s):
            while len(self.sent) < count:
                self._news.clear()
                await self._news.wait()

    def _send(self, message: Message) -> None:
        self.sent.append(message)
        if message.retain and message.payload:
            self.retained[message.topic] = message.payload
        elif message.retain:
            self.retained.pop(message.topic, None)
        self._news.set()
