"""One timer of the event loop, left alone as long as its instant stays the same."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` once at the instant it is set to.

    Cheaper than a task that sleeps: setting it again to the same instant costs nothing.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0

    def set(self, at: float | None, now: float) -> None:
        """To `at` instead, or never if None; both in seconds of any clock."""
        if at == self._at and self._timer is not None:
            return
        self.clear()
        if at is not None:
            self._at = at
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, at - now), self._over)

    def clear(self) -> None:
        """It does not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _over(self) -> None:
        self._timer = None
        self._ring()
