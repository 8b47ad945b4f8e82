"""Time, so that tests can hold it still."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds for decisions, wall time for message stamps only."""

    def monotonic(self) -> float:
        """Seconds that never go back; zero is arbitrary."""
        ...

    def wall(self) -> datetime:
        """Present UTC time, timezone aware."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """`time.monotonic()`."""
        return time.monotonic()

    def wall(self) -> datetime:
        """UTC now."""
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when told to: tests and replay."""

    def __init__(self, now: float = 0.0, wall: datetime | None = None) -> None:
        self._now = now
        self._wall = wall or datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        """The instant set by `advance`."""
        return self._now

    def wall(self) -> datetime:
        """The wall time that moves along with `advance`."""
        return self._wall

    def advance(self, seconds: float) -> None:
        """Moves both clocks forward by `seconds` ≥ 0."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now += seconds
        self._wall += timedelta(seconds=seconds)


def wall_at(clock: Clock, monotonic_s: float) -> datetime:
    """The UTC wall time of a monotonic instant, by the clock's present offset."""
    return clock.wall() - timedelta(seconds=clock.monotonic() - monotonic_s)
