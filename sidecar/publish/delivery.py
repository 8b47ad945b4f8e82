"""Serves one connection: what is due goes out, receipts and inbound come in.

One task and no queues between: actions first, then retained messages, within a window
of messages under way. What was under way when the connection broke is due again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.domain import Delivery as Delivered
from sidecar.errors import BrokerUnavailable, PublishError
from sidecar.log import get_logger
from sidecar.publish.answers import Receipt
from sidecar.publish.arrivals import Arrivals
from sidecar.publish.broker import Broker
from sidecar.publish.desk import TICK_S, Desk
from sidecar.publish.entry import Depth, Entry
from sidecar.publish.message import Kind, Message, Properties
from sidecar.publish.outbox import Outbox
from sidecar.publish.topics import Topics

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Flight:
    message: Message
    entry: Entry | None
    sent_at: float


class Delivery:
    """The work on one connection.

    Args:
        broker: The connection.
        desk: What outlives it.
        topics: Ours.
        arrivals: Takes what comes in.
        uniform: In [0, 1), for jitter.
    """

    def __init__(
        self,
        broker: Broker,
        desk: Desk,
        topics: Topics,
        arrivals: Arrivals,
        uniform: Callable[[], float],
    ) -> None:
        self._broker = broker
        self._desk = desk
        self._topics = topics
        self._arrivals = arrivals
        self._uniform = uniform
        self._flights: dict[int, _Flight] = {}
        self._claimed: dict[str, int] = {}

    async def serve(self) -> None:
        """Until told to leave, and goodbye is delivered.

        Raises:
            BrokerUnavailable: the connection is lost, or the broker does not answer.
        """
        try:
            self._desk.came()
            await self._listen()
            while not self._done:
                self._desk.wake.clear()
                self._check()
                await self._try_turn()
                if not self._done:
                    await self._desk.pause(TICK_S)
        except BrokerUnavailable:
            await self._give_back()
            raise

    @property
    def _done(self) -> bool:
        return self._desk.leaving and self._settled

    @property
    def _settled(self) -> bool:
        return not self._flights and self._desk.retained.settled

    def _check(self) -> None:
        """Raises BrokerUnavailable if lost, or if an answer is overdue."""
        self._broker.check()
        timeout_s = self._desk.settings.publish_timeout_s
        oldest = min((f.sent_at for f in self._flights.values()), default=None)
        if oldest is not None and self._desk.clock.monotonic() - oldest > timeout_s:
            raise BrokerUnavailable(f"no acknowledgement within {timeout_s:g} s")

    async def _listen(self) -> None:
        inbound = self._desk.settings.inbound
        wanted = {
            self._topics.ack("+"): inbound.acks,
            self._topics.set("+"): inbound.set,
            self._topics.report("+"): inbound.report,
            self._topics.outcome("+"): inbound.outcomes,
        }
        topics = [topic for topic, wants in wanted.items() if wants]
        self._desk.refused.discard("subscribe")
        if not topics:
            return
        for topic in await self._broker.listen(topics):
            self._desk.refused.add("subscribe")
            log.error("subscription_refused", topic=topic)

    async def _try_turn(self) -> None:
        try:
            await self._turn()
        except BrokerUnavailable:
            raise
        except PublishError as exc:
            self._desk.storage_failed(exc)

    async def _turn(self) -> None:
        await self._take_receipts()
        await self._arrivals.take(self._broker)
        if self._desk.look and not self._desk.leaving:
            await self._send_actions()
        await self._send_retained()
        await self._desk.keep_house()
        if self._settled and self._desk.depth.undelivered == 0:
            self._desk.idle.set()

    @property
    def _free(self) -> int:
        return self._broker.window - len(self._flights)

    async def _send_actions(self) -> None:
        self._desk.look = False
        limit, now = self._free, self._desk.wall_s
        if limit <= 0:
            return
        entries = await self._desk.store.call(lambda o: o.claim(now, limit))
        self._claimed.update((e.id, e.tries) for e in entries)
        for entry in entries:
            if entry.tries:
                self._desk.counted(Kind.ACTION, "retried")
            self._send(_message(entry, self._desk.settings.action_qos), entry)

    async def _send_retained(self) -> None:
        try:
            await self._desk.shown.save()
        except PublishError as exc:  # a full disk keeps no verdict back
            self._desk.storage_failed(exc)
        for message in self._desk.retained.take(
            self._free, self._desk.clock.monotonic()
        ):
            self._send(message, None)

    def _send(self, message: Message, entry: Entry | None) -> None:
        mid = self._broker.send(message, self._desk.wall_s)
        self._flights[mid] = _Flight(message, entry, self._desk.clock.monotonic())

    async def _take_receipts(self) -> None:
        while self._broker.receipts:
            receipt = self._broker.receipts.popleft()
            flight = self._flights.pop(receipt.mid, None)
            if flight is None:
                continue
            self._desk.look = True
            if flight.entry is None:
                self._settle_retained(flight.message, receipt)
            else:
                await self._settle_action(flight.message, flight.entry, receipt)

    def _settle_retained(self, message: Message, receipt: Receipt) -> None:
        if receipt.refusal is None:
            self._desk.retained.delivered(message)
            self._desk.shown.delivered(message)
            self._desk.was_delivered(message)
            return
        retry_s = self._desk.settings.refused_retry_s
        not_before = self._desk.clock.monotonic() + retry_s
        self._desk.retained.refused(message, not_before)
        self._desk.was_refused(message, receipt.refusal)

    async def _settle_action(
        self, message: Message, entry: Entry, receipt: Receipt
    ) -> None:
        desk = self._desk
        settings, now = desk.settings, desk.wall_s
        del self._claimed[entry.id]
        if receipt.refusal is not None:
            desk.was_refused(message, receipt.refusal)
            desk.moved(entry.id, Delivered.REFUSED)
            next_at = now + settings.refused_retry_s
            await desk.store.call(lambda o: o.refused(entry.id, next_at))
            return
        desk.was_delivered(message)
        desk.legs.delivered(entry.id, desk.clock.monotonic())
        desk.moved(entry.id, Delivered.DELIVERED)
        if receipt.nobody:
            log.warning("action_without_subscriber", topic=message.topic, id=entry.id)
        next_at = now + settings.enforce_retry_s

        def use(outbox: Outbox) -> Depth:
            try:
                outbox.delivered(entry.id, now, next_at)
            except PublishError:
                outbox.retry({entry.id: next_at})
                raise
            return outbox.depth()

        desk.measured(await desk.store.call(use), proven=False)

    async def _give_back(self) -> None:
        """What was claimed and not acknowledged is due again, with back-off."""
        now, backoff = self._desk.wall_s, self._desk.settings.backoff
        due_at = {
            action_id: now + backoff(tries, self._uniform())
            for action_id, tries in self._claimed.items()
        }
        if not due_at:
            return
        try:
            await self._desk.store.call(lambda o: o.retry(due_at))
        except PublishError as exc:
            self._desk.storage_failed(exc)


def _message(entry: Entry, qos: int) -> Message:
    return Message(
        Kind.ACTION,
        entry.topic,
        entry.payload,
        qos=qos,
        retain=False,
        properties=Properties(
            correlation=entry.id, response_topic=entry.response_topic, user=entry.user
        ),
        expires_at=entry.expires_at,
    )
