"""Looking at streams and stepping in, for `sidecar.web`; see `look_routes.Overseer`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sidecar.app.glimpse import Glimpses
from sidecar.app.house import House
from sidecar.app.keepsakes import Keepsakes
from sidecar.app.story import (
    action_view,
    legs_of,
    pause_view,
    series_view,
    shadow_view,
    standing_views,
    turn_view,
)
from sidecar.app.streams import Streams
from sidecar.audit.chain import Deed
from sidecar.clock import Clock, wall_at
from sidecar.domain import Outcome
from sidecar.errors import AuditFailed
from sidecar.log import get_logger
from sidecar.oversight.feed import Item
from sidecar.oversight.outcomes import label_of
from sidecar.oversight.pauses import Pause
from sidecar.oversight.timelines import Timeline
from sidecar.publish.inbound import Reviewed
from sidecar.stats import Stats
from sidecar.web.deeds import Deeds
from sidecar.web.look_schemas import (
    ActionView,
    PauseRequest,
    PauseView,
    StandingView,
    StoryView,
)
from sidecar.web.problems import RequestRefused, UnknownAction, UnknownStream

log = get_logger(__name__)

_MOST_WAITING: Final = 1000


@dataclass(slots=True)
class AppOverseer:
    """Answers and acts over the running sidecar."""

    streams: Streams
    house: House
    keepsakes: Keepsakes
    deeds: Deeds
    clock: Clock
    stats: Stats
    glimpses: Glimpses
    _waiting: asyncio.Queue[Reviewed] = field(
        default_factory=lambda: asyncio.Queue(_MOST_WAITING)
    )
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def _offset(self) -> float:
        return self.clock.wall().timestamp() - self.clock.monotonic()

    def story(self, stream_id: str, minutes: float) -> StoryView:
        """One stream's, also if it has ended of late. Raises UnknownStream."""
        known = self.house.timelines.get(stream_id)
        if known is None:
            raise UnknownStream(f"no stream {stream_id!r}, nor has one ended of late")
        now, offset = self.clock.monotonic(), self._offset
        ledger, pause = self.house.timelines.ledger, self.house.pause_of(stream_id)
        policy, unknown = known.policy, known.policy.unknown
        return StoryView(
            id=stream_id,
            now=round(now + offset, 3),
            live=known.ended_at is None,
            policy=policy.name,
            policy_hash=policy.hash,
            dry_run=policy.dry_run,
            stale_after_s=policy.stale_after_s,
            unknown_action=unknown.action if unknown else None,
            unknown_after_s=unknown.after_s if unknown else None,
            standings=self._standings(known, now, offset),
            series=series_view(ledger.of(stream_id, now - minutes * 60), offset),
            turns=[turn_view(verdict, offset) for verdict in known.turns],
            actions=[action_view(i, offset) for i in self.house.feed.of(stream_id)],
            shadow=[
                shadow_view(stream, action, offset)
                for stream, action in self.house.shadow.actions
                if stream.id == stream_id
            ],
            legs_ms=legs_of(known.scores),
            pause=None if pause is None else pause_view(pause),
        )

    def _standings(
        self, known: Timeline, now: float, offset: float
    ) -> list[StandingView]:
        watch = self.streams.get(known.stream.id)
        former = self.streams.gone.before(known.stream.id, now)
        if watch is not None:
            return standing_views(watch.policy, watch.state, now, offset)
        if former is not None:
            return standing_views(former.policy, former.state, now, offset)
        return []

    def actions(self, limit: int) -> Sequence[ActionView]:
        """The newest, newest first."""
        items = sorted(self.house.feed.since(0), key=lambda i: i.action.decided_at)
        return [action_view(item, self._offset) for item in reversed(items[-limit:])]

    async def pause(self, stream_id: str, request: PauseRequest, by: str) -> PauseView:
        """What is decided of the stream becomes a dry run. Raises RequestRefused."""
        now = self.clock.wall().timestamp()
        until = round(now + request.minutes * 60, 3)
        pause = Pause(stream_id, until, by, request.reason)
        try:
            self.house.pauses.set(pause, now)
        except ValueError as exc:
            raise RequestRefused(str(exc)) from None
        await self._keep_pauses()
        log.warning("stream_paused", stream=stream_id, minutes=request.minutes, by=by)
        return pause_view(pause)

    async def resume(self, stream_id: str) -> None:
        """Takes it back. Raises UnknownStream if there was none."""
        if self.house.pauses.end(stream_id) is None:
            raise UnknownStream(f"stream {stream_id!r} is not paused")
        await self._keep_pauses()
        log.warning("stream_resumed", stream=stream_id)

    async def _keep_pauses(self) -> None:
        found = self.house.pauses.all(self.clock.wall().timestamp())
        async with self._writing:
            await asyncio.to_thread(self.keepsakes.keep_pauses, found)

    async def glimpse(self, stream_id: str) -> bytes:
        """PNG of the next picture, grey and blurred. Raises ControlError."""
        return await self.glimpses.of(stream_id)

    async def review(self, action_id: str, outcome: Outcome, by: str) -> ActionView:
        """Notes an outcome. Raises UnknownAction."""
        item = self.house.reviewed(action_id, outcome, by)
        if item is None:
            raise UnknownAction(
                f"no action {action_id!r}; the last 1,000 since the start are known"
            )
        await self._label(item, outcome)
        return action_view(item, self._offset)

    async def _label(self, item: Item, outcome: Outcome) -> None:
        action = item.action
        first = (
            action.evidence[0].captured_at if action.evidence else action.captured_at
        )
        start, end = wall_at(self.clock, first), wall_at(self.clock, action.captured_at)
        label = label_of(action, outcome, start, end)
        if label is not None:
            async with self._writing:
                await asyncio.to_thread(self.keepsakes.keep_label, label)

    def heard(self, reviewed: Reviewed) -> None:
        """An outcome came over MQTT; `run` takes it from here."""
        try:
            self._waiting.put_nowait(reviewed)
        except asyncio.QueueFull:
            self.stats.lost.labels("oversight", "outcomes").inc()

    async def run(self) -> None:
        """Notes what came over MQTT, for ever."""
        while True:
            said = await self._waiting.get()
            detail = {"outcome": said.outcome.value, "by": said.by}
            try:
                await self.review(said.action_id, said.outcome, said.by)
                deed = Deed("mqtt", "mqtt", "outcome", said.action_id, detail)
                await self.deeds.note(deed)
            except UnknownAction:
                self.stats.lost.labels("oversight", "unknown_action").inc()
                log.warning("outcome_unknown", id=said.action_id)
            except AuditFailed as exc:
                self.stats.lost.labels("oversight", "outcome_not_kept").inc()
                log.error("outcome_not_kept", id=said.action_id, error=str(exc))
