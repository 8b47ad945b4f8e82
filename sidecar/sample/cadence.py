"""Which instant of a stream to sample next: interval, jitter, burst; pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_LEAST_DITHER: Final = 0.05  # else a keyframe a little early is a period too late


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

    No two samples are closer than the smallest interval less its jitter; a picture is
    due at the latest one interval and its jitter after the last sample.

    Where pictures can only be had at the beats of a grid (keyframes that come by
    themselves), `period_s` says how far apart these are. Then each interval is rounded
    to a whole number of periods, up or down at random, so that its mean is kept and
    not even the choice of the beat can be foretold. A grid nearly as coarse as the
    interval leaves no choice: there the jitter is left out, or beats would be skipped.

    Args:
        settings: How often to look.
        uniform: Draws from [0, 1), two for each sample.
    """

    def __init__(self, settings: CadenceSettings, uniform: Callable[[], float]) -> None:
        self._settings = settings
        self._uniform = uniform
        self._draw = 0.0  # -1…1: this interval's share of the jitter
        self._dither = 0.5  # 0…1: this interval's rounding to the grid
        self._last: float | None = None
        self._base = 0.0  # what the running interval counts from
        self._limit_s = 0.0
        self._spacing_s = 0.0
        self._fresh = True
        self._burst_until = -math.inf

    @property
    def interval_s(self) -> float:
        """The mean interval that holds at present."""
        bursts = self._last is not None and self._last < self._burst_until
        own_s = self._shortest_s if bursts else self._settings.interval_s
        return max(own_s, self._limit_s)

    @property
    def _shortest_s(self) -> float:
        return min(self._settings.interval_s, self._settings.burst_interval_s)

    @property
    def settings(self) -> CadenceSettings:
        """How often to look, if nobody limits it."""
        return self._settings

    def bursting(self, now: float) -> bool:
        """Whether a burst goes on at `now`."""
        return now < self._burst_until

    def wanted_interval_s(self, now: float) -> float:
        """The mean interval that would hold at `now` if nobody limited it."""
        return self._shortest_s if self.bursting(now) else self._settings.interval_s

    def limit(self, interval_s: float) -> None:
        """Looks no more often than every `interval_s` in the mean; 0: no limit."""
        self._limit_s = interval_s

    def space(self, spacing_s: float) -> None:
        """Pictures can only be had so far apart (keyframes that are asked for).

        As with a grid, the jitter is left out where that leaves no choice: half of the
        intervals would come out longer, none shorter.
        """
        self._spacing_s = spacing_s

    def due(self, now: float, period_s: float = 0.0) -> bool:
        """Whether a picture of the instant `now` is to be sampled.

        Args:
            now: The picture's instant.
            period_s: Of the grid that pictures come in; 0: at any time.
        """
        return self._last is None or now >= self.earliest(now, period_s)

    def earliest(self, now: float, period_s: float = 0.0) -> float:
        """From when on `due` holds; `now` at the start."""
        if self._last is None:
            return now
        floor = self._last + self._shortest_s * (1 - self._settings.jitter)
        if self._fresh:
            return floor
        mean_s = self.interval_s
        jitter_s = mean_s * self._settings.jitter
        if max(period_s, self._spacing_s) <= mean_s - jitter_s:
            mean_s += jitter_s * self._draw
        return max(floor, self._base + mean_s - self._dither * period_s)

    def taken(self, now: float, period_s: float = 0.0) -> None:
        """A picture of the instant `now` was sampled, as for `due`.

        Off the grid a sample that is a little late does not delay the next one.
        """
        late_s = now - self.earliest(now)
        on_time = not period_s and not self._fresh and late_s <= self.interval_s / 2
        self._base = now - late_s if on_time else now
        self._last = now
        self._fresh = False
        self._draw = 2 * self._uniform() - 1
        self._dither = max(_LEAST_DITHER, self._uniform())

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
