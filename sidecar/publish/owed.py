"""What is decided and not yet on disk; it outlives its stream.

One task hands it to the outbox, so that no stream and no tick waits for the disk.
"""

import asyncio
from typing import Final

from sidecar.clock import Clock
from sidecar.domain import Action, Stream
from sidecar.errors import PublishError
from sidecar.log import get_logger
from sidecar.publish.publisher import Publisher
from sidecar.stats import Stats

log = get_logger(__name__)

_MOST: Final = 10_000  # the newest action of each rule of each stream counts as one
_AGAIN_S: Final = 1.0


class Owed:
    """Actions on their way to the outbox, in the order of their decisions."""

    def __init__(self, publisher: Publisher, clock: Clock, stats: Stats) -> None:
        self._publisher = publisher
        self._clock = clock
        self._stats = stats
        self._debts: dict[tuple[str, str], tuple[Action, Stream]] = {}
        self._news = asyncio.Event()
        self._settled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._debts)

    @property
    def oldest_s(self) -> float:
        """For how long the first of them has been owed, seconds; 0 if none is."""
        for action, _ in self._debts.values():
            return max(0.0, self._clock.monotonic() - action.decided_at)
        return 0.0

    def has(self, stream_id: str) -> bool:
        """Whether anything of this stream is not on disk yet."""
        return any(owner == stream_id for owner, _ in self._debts)

    def add(self, action: Action, stream: Stream) -> None:
        """Takes an action; it replaces an older one of its rule that is still owed."""
        key = (stream.id, action.policy.rule)
        if key not in self._debts and len(self._debts) >= _MOST:
            self._stats.lost.labels("publish", "owed_overflow").inc()
            log.error("action_lost", stream=stream.id, action=action.kind)
            return
        self._debts[key] = (action, stream)
        self._news.set()

    async def run(self) -> None:
        """Pays, for ever; what the outbox does not take is tried again."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not await self._pay():
                await asyncio.sleep(_AGAIN_S)
                self._news.set()

    async def settle(self) -> None:
        """Returns when nothing is owed; `run` has to be running."""
        while self._debts:
            self._settled.clear()
            await self._settled.wait()

    def give_up(self) -> None:
        """The process ends: what the disk has not taken is told, one by one."""
        for action, stream in self._debts.values():
            log.error(
                "action_lost",
                stream=stream.id,
                action=action.kind,
                rule=action.policy.rule,
                dry_run=action.dry_run,
            )
        self._stats.lost.labels("publish", "owed_at_stop").inc(len(self._debts))
        self._debts.clear()

    async def _pay(self) -> bool:
        """One round, oldest first; whether all of it was taken."""
        for key, debt in list(self._debts.items()):
            action, stream = debt
            try:
                action_id = await self._publisher.publish_action(action, stream)
            except PublishError as exc:
                log.error(
                    "action_not_on_disk",
                    stream=stream.id,
                    owed=len(self._debts),
                    error=str(exc),
                )
                return False
            if self._debts.get(key) is debt:
                del self._debts[key]
            log_action(action, action_id)
        self._settled.set()
        return True


def log_action(action: Action, action_id: str) -> None:
    """One line for an action that is on disk."""
    log.warning(
        "action",
        id=action_id,
        stream=action.stream_id,
        action=action.kind,
        category=action.reason.category,
        score=action.reason.score,
        unknown=action.reason.unknown,
        rule=action.policy.rule,
        dry_run=action.dry_run,
    )
