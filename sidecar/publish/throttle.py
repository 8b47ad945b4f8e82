"""Pure: how often a thing happened, said once an interval."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Throttle:
    """Counts by key; the first is due at once, the rest once in `interval_s`."""

    interval_s: float = 30.0
    _counts: dict[str, int] = field(default_factory=dict)
    _said_at: dict[str, float] = field(default_factory=dict)

    def count(self, key: str, now: float) -> int | None:
        """Counts one `key`; how many there were since last said, if it is due.

        `key` must come from a closed set.
        """
        self._counts[key] = self._counts.get(key, 0) + 1
        said_at = self._said_at.get(key)
        if said_at is not None and now - said_at < self.interval_s:
            return None
        self._said_at[key] = now
        return self._counts.pop(key)
