"""Publishes over MQTT: to disk first, then to the broker until it is acknowledged."""

import asyncio
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import partial

from sidecar.clock import Clock, wall_at
from sidecar.domain import Action, ModelRef, PolicyRef, Scores, Stream, Verdict
from sidecar.errors import BrokerUnavailable, OutboxFull, PublishError
from sidecar.publish.arrivals import Arrivals, OnInbound
from sidecar.publish.broker import Broker, connect
from sidecar.publish.delivery import Delivery
from sidecar.publish.desk import TICK_S, Desk
from sidecar.publish.entry import Held, Pending, entry_for
from sidecar.publish.ids import Ids
from sidecar.publish.legs import Legs
from sidecar.publish.message import Kind, SidecarIdentity, StatusName, Writer
from sidecar.publish.progress import Progress
from sidecar.publish.publisher import PublisherHealth
from sidecar.publish.reading import read_action
from sidecar.publish.settings import MqttSettings, OutboxSettings
from sidecar.publish.store import OutboxThread
from sidecar.publish.tls import Trust
from sidecar.publish.topics import Topics
from sidecar.stats import Stats

_STABLE_S = 5.0  # a connection that held so long starts the back-off anew
_GOODBYE_S = 1.5  # of the drain's deadline, kept for the last status message


class MqttPublisher:
    """A `Publisher` on a real broker.

    Args:
        settings: The broker and how to treat it.
        outbox: Where undelivered actions are kept.
        identity: Who speaks.
        clock: Time.
        stats: Counters.
        on_inbound: Told of sets and reports, on the event loop; must not block.
    """

    def __init__(
        self,
        settings: MqttSettings,
        outbox: OutboxSettings,
        identity: SidecarIdentity,
        clock: Clock,
        stats: Stats,
        on_inbound: OnInbound,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._clock = clock
        self._stats = stats
        self._topics = Topics(identity.id, settings.site, settings.prefix)
        self._writer = Writer(
            self._topics, identity, partial(wall_at, clock), settings.action_qos
        )
        self._ids = Ids(clock)
        self._uniform: Callable[[], float] = random.random
        self._desk = Desk(
            settings,
            clock,
            stats,
            OutboxThread(outbox, clock),
            Legs(stats),
            max_rows=outbox.max_rows,
        )
        self._arrivals = Arrivals(self._desk, self._topics, on_inbound)
        self._broker: Broker | None = None
        self._trust = Trust(settings.tls)
        self._running = False
        self._ended = asyncio.Event()
        stats.broker_connected.set(0)
        self.set_status("online")

    @property
    def connected(self) -> bool:
        """Whether the broker said yes and the connection stands."""
        return self._desk.connected

    def report_to(self, progress: Progress) -> None:
        """`progress` is told from now on how far each action got."""
        self._desk.progress = progress

    def health(self) -> PublisherHealth:
        """How it is doing, not older than a second."""
        return self._desk.health()

    async def pending(self, limit: int) -> list[Pending]:
        """The oldest actions that wait. Raises PublishError if the disk fails."""
        return await self._desk.store.call(lambda outbox: outbox.pending(limit))

    async def held(self, limit: int) -> list[Held]:
        """The newest actions still in the outbox, oldest first; after `open`.

        One that another version wrote is left out: it is delivered all the same.
        """
        rows = await self._desk.store.call(lambda outbox: outbox.messages(limit))
        now, wall = self._clock.monotonic(), self._clock.wall()

        def instant(at: datetime) -> float:
            return now - (wall - at).total_seconds()

        found = []
        for action_id, payload, require_enforced, delivered in rows:
            with suppress(ValueError):
                action, stream = read_action(
                    payload, instant, require_enforced=require_enforced
                )
                found.append(Held(action_id, action, stream, delivered))
        return found

    async def open(self) -> None:
        """Opens the outbox and reads the TLS files; `run` does it otherwise.

        Raises:
            ConfigError: naming the file, and the mend.
        """
        await self._desk.store.open()
        if self._settings.uses_tls:
            await self._trust.load()

    async def run(self) -> None:
        """Connects, delivers, and connects again, until drained or cancelled."""
        self._running = True
        try:
            await self.open()
            attempt = 0
            while not self._desk.leaving:
                began = self._clock.monotonic()
                try:
                    await self._connection()
                except BrokerUnavailable as exc:
                    self._desk.went(exc)
                if self._clock.monotonic() - began > _STABLE_S:
                    attempt = 0
                await self._away(self._settings.backoff(attempt, self._uniform()))
                attempt += 1
        finally:
            await self._end()

    async def publish_action(self, action: Action, stream: Stream) -> str:
        """Puts the action on disk, from where it is delivered; its id.

        Raises:
            OutboxFull: too much is undelivered; nothing was taken.
            PublishError: the disk fails; nothing was taken.
        """
        action_id = self._ids.new()
        message = self._writer.action(action_id, action, stream)
        signer = self._settings.signer
        user = () if signer is None else signer.sign(message.payload)
        entry = entry_for(action_id, action, message, user)
        began, wall_s = self._clock.monotonic(), self._desk.wall_s
        try:
            depth = await self._desk.store.call(lambda o: o.put(entry, wall_s))
        except OutboxFull:
            raise
        except PublishError as exc:
            self._desk.storage_failed(exc)
            raise
        now = self._clock.monotonic()
        self._desk.legs.stored(action_id, action.captured_at, now - began, now)
        self._desk.progress.stored(action_id, action, stream, now)
        self._desk.measured(depth, proven=True)
        self._desk.look = True
        self._desk.idle.clear()
        self._desk.news()
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
        """The stream's verdict from now on, retained; None empties it: it has ended."""
        now = self._clock.monotonic()
        if verdict is None:
            message = self._writer.no_verdict(stream.id)
        else:
            message = self._writer.verdict(
                stream.id, verdict, now, policy=policy, model=model, models=models
            )
        self._desk.retain(message)

    def publish_scores(self, scores: Scores) -> None:
        """Telemetry, if it is switched on; lost and counted while there is no way."""
        if not self._settings.scores:
            return
        if self._send_scores(scores):
            self._desk.counted(Kind.SCORES, "delivered")
        else:
            self._stats.lost.labels(stage="publish", reason="scores").inc()

    def set_status(self, state: StatusName, reasons: Iterable[str] = ()) -> None:
        """What the sidecar is up to, retained; reasons are words, never sentences."""
        now = self._clock.monotonic()
        self._desk.retain(self._writer.status(state, reasons, now))

    async def drain(self, deadline_s: float) -> int:
        """Delivers what is due, says `offline`, and ends `run`.

        Returns:
            How many actions are still undelivered; they stay in the outbox file.
        """
        if self._running and not self._ended.is_set():
            goodbye_s = min(_GOODBYE_S, deadline_s / 2)
            self.set_status("draining")
            await _within(self._desk.idle, deadline_s - goodbye_s)
            self.set_status("offline")
            self._desk.leaving = True
            self._desk.news()
            await _within(self._ended, goodbye_s)
        else:
            await self._end()
        return self._desk.depth.undelivered

    async def _connection(self) -> None:
        will = self._writer.status("offline")
        client_id = self._settings.client_id or f"sidecar-{self._identity.id}"
        async with connect(
            self._settings, client_id, will, self._trust.context, self._desk.news
        ) as broker:
            self._broker = broker
            try:
                await Delivery(
                    broker, self._desk, self._topics, self._arrivals, self._uniform
                ).serve()
            finally:
                self._broker = None

    def _send_scores(self, scores: Scores) -> bool:
        broker = self._broker
        if broker is None or not self._desk.connected or broker.congested:
            return False
        try:
            broker.send(self._writer.scores(scores), self._desk.wall_s)
        except BrokerUnavailable:
            return False
        return True

    async def _away(self, seconds: float) -> None:
        """Without a broker for `seconds`: what expires must still be told."""
        until = self._clock.monotonic() + seconds
        while not self._desk.leaving:
            self._desk.wake.clear()
            try:
                await self._desk.keep_house()
            except PublishError as exc:
                self._desk.storage_failed(exc)
            if self._desk.depth.undelivered == 0:
                self._desk.idle.set()
            left = until - self._clock.monotonic()
            if left <= 0:
                return
            await self._desk.pause(min(left, TICK_S))

    async def _end(self) -> None:
        self._desk.went(None)
        try:
            await self._desk.store.close()
        finally:
            self._ended.set()


async def _within(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
