"""Which instant of a stream to sample next: interval, jitter, burst; pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST_LEAD: Final = 0.25  # of an interval


@dataclass(frozen=True, slots=True)
class CadenceSettings:
    """How often to look.

    Attributes:
        interval_s: Mean time between samples.
        jitter: Fraction by which each interval is drawn shorter or longer, so that
            the rhythm cannot be dodged; 0 ≤ jitter < 1.
        burst_interval_s: Mean time between samples in a burst.
        burst_trigger: Score that starts or prolongs a burst.
        burst_s: How long a burst lasts after its last trigger.

    Raises:
        ValueError: A number makes no sense.
    """

    interval_s: float = 1.0
    jitter: float = 0.2
    burst_interval_s: float = 0.2
    burst_trigger: float = 0.5
    burst_s: float = 10.0

    def __post_init__(self) -> None:
        for name in ("interval_s", "burst_interval_s", "burst_s"):
            seconds = getattr(self, name)
            if not (math.isfinite(seconds) and seconds > 0):
                raise ValueError(f"{name} must be finite and above 0, got {seconds}")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"0 <= jitter < 1 must hold, got {self.jitter}")
        if not 0 <= self.burst_trigger <= 1:
            raise ValueError(
                f"0 <= burst_trigger <= 1 must hold, got {self.burst_trigger}"
            )


class Cadence:
    """The rhythm of one stream. Times are monotonic seconds.

    No two samples are closer than the smaller interval less its jitter; a picture is
    due at the latest one interval and its jitter after the last sample.

    Args:
        settings: How often to look.
        uniform: Draws from [0, 1), one for each sample.
    """

    def __init__(self, settings: CadenceSettings, uniform: Callable[[], float]) -> None:
        self._settings = settings
        self._uniform = uniform
        self._draw = 0.0  # -1…1: this interval's share of the jitter
        self._last: float | None = None
        self._fresh = True
        self._burst_until = -math.inf

    @property
    def interval_s(self) -> float:
        """The mean interval that holds at present."""
        if self._last is None or self._last >= self._burst_until:
            return self._settings.interval_s
        return self._shortest_s

    @property
    def _shortest_s(self) -> float:
        return min(self._settings.interval_s, self._settings.burst_interval_s)

    def due(self, now: float, lead_s: float = 0.0) -> bool:
        """Whether a picture of the instant `now` is to be sampled.

        Args:
            now: The picture's instant.
            lead_s: How far ahead of its time a sample may be taken: for keyframes half
                their period, so that the nearest one is. At most a quarter of the
                interval counts, and no sample comes closer than ever.
        """
        if self._last is None:
            return True
        lead_s = min(lead_s, _MOST_LEAD * self.interval_s)
        floor = self._last + self._shortest_s * (1 - self._settings.jitter)
        return now >= floor and now + lead_s >= self.next_due(now)

    def next_due(self, now: float) -> float:
        """When a picture is due; before `now` if one is overdue."""
        if self._last is None:
            return now
        jitter = self._settings.jitter
        if self._fresh:
            return self._last + self._shortest_s * (1 - jitter)
        return self._last + self.interval_s * (1 + jitter * self._draw)

    def taken(self, now: float) -> None:
        """A picture of the instant `now` was sampled."""
        self._last = now
        self._fresh = False
        self._draw = 2 * self._uniform() - 1

    def restart(self) -> None:
        """The stream starts anew: its first picture is due at once."""
        self._fresh = True

    def observe(self, score: float, now: float) -> None:
        """Takes the highest score of a sample; starts or prolongs a burst."""
        if score >= self._settings.burst_trigger:
            self.burst(now)

    def burst(self, now: float) -> None:
        """Samples fast for `burst_s` from `now` on: a rising score, or a report."""
        self._burst_until = max(self._burst_until, now + self._settings.burst_s)

    def update(self, settings: CadenceSettings) -> None:
        """Goes on by other settings, from the last sample on."""
        self._settings = settings
