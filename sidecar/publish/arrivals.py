"""What comes in from the bus: acknowledgements to the outbox, the rest handed on."""

from collections.abc import Callable
from typing import Final

from sidecar.domain import Delivery
from sidecar.log import get_logger
from sidecar.publish.answers import Arrival
from sidecar.publish.broker import Broker
from sidecar.publish.desk import Desk
from sidecar.publish.entry import Depth
from sidecar.publish.inbound import (
    Ack,
    AckState,
    Inbound,
    InboundKind,
    InboundRefused,
    Report,
    Reviewed,
    SetStream,
    Told,
    parse,
)
from sidecar.publish.outbox import Outbox
from sidecar.publish.topics import Topics

log = get_logger(__name__)

OnInbound = Callable[[Told], None]
_KINDS: Final = {
    Ack: InboundKind.ACK,
    SetStream: InboundKind.SET,
    Report: InboundKind.REPORT,
    Reviewed: InboundKind.OUTCOME,
}


class Arrivals:
    """Parses, counts and acts on inbound messages.

    Args:
        desk: Outbox, counts and settings.
        topics: Ours.
        on_inbound: Told of sets, reports and outcomes; must not block.
    """

    def __init__(self, desk: Desk, topics: Topics, on_inbound: OnInbound) -> None:
        self._desk = desk
        self._topics = topics
        self._on_inbound = on_inbound

    async def take(self, broker: Broker) -> None:
        """Everything that has come in. Raises PublishError if the disk fails."""
        if broker.arrivals_lost:
            lost = self._desk.stats.lost
            lost.labels(stage="publish", reason="inbound_overflow").inc(
                broker.arrivals_lost
            )
            broker.arrivals_lost = 0
        for _ in range(len(broker.arrivals)):
            await self._take(broker.arrivals.popleft())

    async def _take(self, arrival: Arrival) -> None:
        try:
            value = self._parse(arrival)
        except InboundRefused as exc:
            self._ignored(exc)
            return
        self._desk.stats.inbound.labels(
            kind=_KINDS[type(value)], outcome="accepted"
        ).inc()
        if isinstance(value, Ack):
            await self._acked(value)
        else:
            self._on_inbound(value)

    def _parse(self, arrival: Arrival) -> Inbound:
        hosts = self._desk.settings.inbound.whep_hosts
        value = parse(self._topics, arrival.topic, arrival.payload, hosts)
        if isinstance(value, Report | Reviewed) and arrival.retain:
            # It would be told anew at each reconnection.
            raise InboundRefused(_KINDS[type(value)], "retained")
        return value

    def _ignored(self, refused: InboundRefused) -> None:
        kind, reason = refused.kind.value, refused.reason
        self._desk.stats.inbound.labels(kind=kind, outcome="refused").inc()
        now = self._desk.clock.monotonic()
        times = self._desk.throttle.count(f"inbound_{kind}_{reason}", now)
        if times is not None:
            log.warning("inbound_refused", kind=kind, reason=reason, times=times)

    async def _acked(self, ack: Ack) -> None:
        self._desk.stats.acks.labels(state=ack.state.value).inc()
        self._desk.moved(ack.action_id, Delivery(ack.state.value))
        if ack.state is AckState.FAILED:
            log.error("enforcement_failed", id=ack.action_id, by=ack.by)
        if ack.state is not AckState.ENFORCED:
            return
        self._desk.legs.enforced(ack.action_id, self._desk.clock.monotonic())

        def use(outbox: Outbox) -> Depth:
            outbox.enforced(ack.action_id)
            return outbox.depth()

        self._desk.measured(await self._desk.store.call(use), proven=False)
