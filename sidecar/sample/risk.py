"""How much a stream deserves to be looked at, 0…1; pure."""

import math
from typing import Final

_SUSPECT: Final = 0.9  # a score at the burst's trigger
_NEW: Final = 0.6
_CALM: Final = 0.2  # fades to 0 while it stays clean
_NEW_S: Final = 60.0
_MEMORY_S: Final = 30.0  # of a score
_CLEAN_S: Final = 600.0


class Risk:
    """Follows one stream's scores.

    In order: a burst (a report, a score at its trigger) 1; scores near the trigger or
    rising towards it, up to 0.9; the first minute 0.6, fading; a calm stream 0.2, and
    less the longer it has been clean.

    Args:
        trigger: The score that starts a burst.
    """

    def __init__(self, trigger: float) -> None:
        self._trigger = max(trigger, 0.01)
        self._began_at: float | None = None
        self._clean_since = 0.0
        self._level = 0.0
        self._mean = 0.0
        self._at = 0.0

    def begin(self, now: float) -> None:
        """A connection begins at `now`; only the first one makes a stream new."""
        if self._began_at is None:
            self._began_at = self._clean_since = self._at = now

    def observe(self, score: float, now: float) -> None:
        """Takes the highest score of a sample; what is no number counts as 1."""
        score = 1.0 if math.isnan(score) else min(1.0, max(0.0, score))
        rise = max(0.0, score - self._mean)
        seen = min(1.0, (score + rise) / self._trigger)
        self._level = max(seen, self._faded(now))
        self._mean += (score - self._mean) / 4
        self._at = now
        if seen >= 1 / 2:
            self._clean_since = now

    def level(self, now: float, *, bursting: bool) -> float:
        """The risk at `now`."""
        if bursting or self._began_at is None:
            return 1.0
        new = max(0.0, 1 - (now - self._began_at) / _NEW_S)
        calm = math.exp(-max(0.0, now - self._clean_since) / _CLEAN_S)
        return max(_SUSPECT * self._faded(now), _NEW * new, _CALM * calm)

    def _faded(self, now: float) -> float:
        return self._level * math.exp(-max(0.0, now - self._at) / _MEMORY_S)
