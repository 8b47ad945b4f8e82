"""A way that loses, delays and narrows: what becomes of each packet; pure."""

from random import Random
from typing import Final

_QUEUE_S: Final = 0.5  # what a router keeps for a narrow way before it drops


class Network:
    """Packets keep their order. The same packets fare the same each time.

    Args:
        loss: Share of packets that never arrive.
        jitter_s: Each is late by up to this.
        bits_per_s: What gets through; more waits, and is lost beyond half a second.
            0: everything.
    """

    def __init__(
        self, loss: float = 0.0, jitter_s: float = 0.0, bits_per_s: float = 0.0
    ) -> None:
        self._loss = loss
        self._jitter_s = jitter_s
        self._bits_per_s = bits_per_s
        self._chance = Random(1)  # noqa: S311 - repeatable, not secret
        self._free_at = 0.0  # when the narrow part has sent all before
        self._last = 0.0

    @property
    def perfect(self) -> bool:
        """Whether nothing happens to a packet."""
        return not (self._loss or self._jitter_s or self._bits_per_s)

    def arrival(self, size: int, now: float) -> float | None:
        """When a packet of `size` bytes that is sent at `now` arrives; None: never."""
        if self._chance.random() < self._loss:
            return None
        through = now
        if self._bits_per_s:
            begins = max(now, self._free_at)
            if begins - now > _QUEUE_S:
                return None
            through = self._free_at = begins + size * 8 / self._bits_per_s
        late_s = self._chance.random() * self._jitter_s
        self._last = max(self._last, through + late_s)
        return self._last
