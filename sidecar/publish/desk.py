"""What outlives a connection: the outbox, the retained messages, counts and alarms."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from sidecar.clock import Clock
from sidecar.domain import Delivery
from sidecar.errors import BrokerUnavailable, PublishError, PublishRefused
from sidecar.log import get_logger
from sidecar.publish.entry import Depth, Expired
from sidecar.publish.legs import Legs
from sidecar.publish.message import Kind, Message
from sidecar.publish.outbox import Outbox
from sidecar.publish.progress import NoProgress, Progress
from sidecar.publish.publisher import PublisherHealth
from sidecar.publish.retained import Retained
from sidecar.publish.settings import MqttSettings
from sidecar.publish.shown import Shown
from sidecar.publish.store import OutboxThread
from sidecar.publish.throttle import Throttle
from sidecar.stats import Stats

log = get_logger(__name__)
TICK_S: Final = 1.0
HANG_S: Final = 10.0


@dataclass
class Desk:
    """State of one publisher. Lives on the event loop.

    Attributes:
        wake: There is news for the delivering loop.
        idle: Nothing is left to deliver (that can be delivered now).
        look: The outbox may hold something due.
        leaving: Drained, or the deadline came: say goodbye.
        progress: Is told how far each action got.
    """

    settings: MqttSettings
    clock: Clock
    stats: Stats
    store: OutboxThread
    legs: Legs
    max_rows: int
    retained: Retained = field(default_factory=Retained)
    throttle: Throttle = field(default_factory=Throttle)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    look: bool = True
    leaving: bool = False
    connected: bool = False
    depth: Depth = field(default_factory=Depth)
    storage_error: str | None = None
    last_error: str | None = None
    refused: set[str] = field(default_factory=set)
    progress: Progress = field(default_factory=NoProgress)
    _kept_at: float | None = None
    _hangs: bool = False

    def __post_init__(self) -> None:
        """What it keeps of the retained messages is in the store."""
        self.shown = Shown(self.store, self.retained)

    @property
    def wall_s(self) -> float:
        """Unix seconds."""
        return self.clock.wall().timestamp()

    def news(self) -> None:
        """Wakes the delivering loop."""
        self.wake.set()

    def retain(self, message: Message) -> None:
        """The newest word on its topic, to be sent."""
        self.retained.put(message)
        self.shown.put(message)
        self.idle.clear()
        self.news()

    async def pause(self, seconds: float) -> None:
        """Until there is news, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        except TimeoutError:
            pass

    async def keep_house(self) -> None:
        """Once a tick: what expired raises an alarm, gauges are set.

        Raises:
            PublishError: the disk fails.
        """
        now = self.clock.monotonic()
        if self._kept_at is not None and now - self._kept_at < TICK_S:
            return
        self._kept_at = now
        self.look = True
        wall_s = self.wall_s

        def use(outbox: Outbox) -> tuple[list[Expired], Depth]:
            return outbox.expire(wall_s), outbox.depth()

        expired, depth = await self.store.call(use)
        for one in expired:
            self._alarm_expired(one)
        self.measured(depth, proven=False)
        if self.storage_error is not None:
            await self.store.call(Outbox.probe)
            self.measured(depth, proven=True)

    def measured(self, depth: Depth, *, proven: bool) -> None:
        """The outbox holds this much; `proven`: it takes new ones."""
        self.depth = depth
        if proven and self.storage_error is not None:
            log.info("outbox_works_again")
            self.storage_error = None
        self.stats.outbox_depth.set(depth.undelivered)
        self.stats.outbox_oldest_seconds.set(self.oldest_s)

    @property
    def full(self) -> bool:
        """Whether the outbox takes no more."""
        return self.depth.undelivered + self.depth.awaiting >= self.max_rows

    @property
    def oldest_s(self) -> float:
        """Age of the oldest undelivered action, seconds."""
        if self.depth.oldest_at is None:
            return 0.0
        return max(0.0, self.wall_s - self.depth.oldest_at)

    def storage_failed(self, error: PublishError) -> None:
        """The disk fails: readiness turns red; said once."""
        if self.storage_error is None:
            log.error("outbox_failing", error=str(error))
        self.storage_error = str(error)

    def came(self) -> None:
        """The broker said yes."""
        self.connected = True
        self.last_error = None
        self.stats.broker_connected.set(1)
        self.retained.all_again()
        self.look = True
        log.info(
            "broker_connected",
            host=self.settings.host,
            port=self.settings.port,
            protocol=self.settings.protocol.value,
            tls=self.settings.uses_tls,
        )

    def went(self, error: BrokerUnavailable | None) -> None:
        """The connection is gone, or was not to be had; said once a change."""
        text = None if error is None else str(error)
        if error is not None and (self.connected or text != self.last_error):
            log.warning(
                "broker_unavailable",
                host=self.settings.host,
                port=self.settings.port,
                error=text,
            )
        self.connected = False
        self.last_error = text
        self.stats.broker_connected.set(0)

    def was_refused(self, message: Message, reason: str) -> None:
        """The broker said no to a message: counted, said, shown."""
        error = PublishRefused(message.topic, reason)
        self.counted(message.kind, "refused")
        self.refused.add(message.kind.value)
        self.last_error = str(error)
        times = self.throttle.count(f"refused_{message.kind}", self.clock.monotonic())
        if times is not None:
            log.error(
                "publish_refused", topic=message.topic, reason=reason, times=times
            )

    def was_delivered(self, message: Message) -> None:
        """The broker has it."""
        self.counted(message.kind, "delivered")
        self.refused.discard(message.kind.value)

    def counted(self, kind: Kind, outcome: str) -> None:
        """One message of `kind` ended as `outcome`."""
        self.stats.published.labels(kind=kind.value, outcome=outcome).inc()

    def health(self) -> PublisherHealth:
        """How it is doing; a disk that begins to hang, or answers again, is logged."""
        return PublisherHealth(
            connected=self.connected,
            undelivered=self.depth.undelivered,
            awaiting=self.depth.awaiting,
            oldest_s=self.oldest_s,
            full=self.full,
            storage_error=self._storage_error(),
            refused=tuple(sorted(self.refused)),
            last_error=self.last_error,
        )

    def _storage_error(self) -> str | None:
        """What the disk said last, or that it says nothing: no error tells of that."""
        busy_s = self.store.busy_s
        hangs = busy_s > HANG_S
        error = f"the disk has not answered for {busy_s:.0f} s" if hangs else None
        if hangs and not self._hangs:
            log.error("outbox_failing", error=error)
        elif self._hangs and not hangs and self.storage_error is None:
            log.info("outbox_works_again")
        self._hangs = hangs
        return error or self.storage_error

    def moved(self, action_id: str, delivery: Delivery) -> None:
        """An action got this far."""
        self.progress.moved(action_id, delivery, self.clock.monotonic())

    def _alarm_expired(self, one: Expired) -> None:
        self.moved(one.id, Delivery.EXPIRED)
        self.counted(Kind.ACTION, "expired")
        log.error(
            "action_expired",
            id=one.id,
            stream=one.stream,
            action=one.action,
            delivered=one.delivered,
        )
