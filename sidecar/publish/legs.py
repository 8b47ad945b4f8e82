"""How long an action took from disk to broker to enforcer, within this process."""

from dataclasses import dataclass
from typing import Final

from sidecar.stats import Stats

_KEPT: Final = 10_000


@dataclass(slots=True)
class _Times:
    captured_at: float
    stored_at: float
    delivered_at: float | None = None


class Legs:
    """Remembers the newest 10,000 actions; what an earlier process put is not timed."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._times: dict[str, _Times] = {}

    def stored(
        self, action_id: str, captured_at: float, took_s: float, at: float
    ) -> None:
        """It is on disk, which took `took_s`."""
        self._observe("outbox", took_s)
        self._times[action_id] = _Times(captured_at, at)
        if len(self._times) > _KEPT:
            del self._times[next(iter(self._times))]

    def delivered(self, action_id: str, at: float) -> None:
        """The broker acknowledged it; repeats are not timed."""
        times = self._times.get(action_id)
        if times is None or times.delivered_at is not None:
            return
        times.delivered_at = at
        self._observe("publish", at - times.stored_at)
        self._observe("packet_to_broker", at - times.captured_at)

    def enforced(self, action_id: str, at: float) -> None:
        """An enforcer did it."""
        times = self._times.pop(action_id, None)
        if times is not None and times.delivered_at is not None:
            self._observe("enforce", at - times.delivered_at)

    def _observe(self, leg: str, seconds: float) -> None:
        self._stats.leg_seconds.labels(leg=leg).observe(max(0.0, seconds))
