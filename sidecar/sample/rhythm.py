"""When a stream's natural keyframes come: period, phase and how exactly; pure.

An encoder with a fixed group length sends its keyframes in a grid. Three in a row give
it away as a rule; from then on each one that is seen, with however many unseen between,
makes the period more exact (least squares over the last eight).
"""

import math
from collections import deque
from dataclasses import dataclass
from statistics import median_low
from typing import Final

_LEARNED: Final = 2  # gaps alike, seen whole, before the grid is relied on
_UNDECIDED: Final = 4  # gaps until it counts as irregular, or some were lost
_ALIKE: Final = 1.2
_REMEMBERED: Final = 8
_ASTRAY: Final = 0.2  # of a period: a keyframe this far off is not of the grid
_BREAKS: Final = 2  # of the phase in a row: then the period does not hold either
_LEAST_S: Final = 0.001  # between keyframes; a burst out of a buffer teaches nothing
_RELEARN: Final = 32  # keyframes of an irregular stream until it is studied anew


@dataclass(frozen=True, slots=True)
class Beat:
    """A keyframe that is expected.

    Attributes:
        at: When.
        spread_s: How far off it may well be.
    """

    at: float
    spread_s: float


class Rhythm:
    """Learns the grid of one connection's natural keyframes.

    It is `ready` after two gaps alike, or four in all, and `regular` if these make a
    grid. A keyframe off the grid shifts the phase (others may ask for one, and encoders
    count anew from it); two in a row, and everything is learned anew.
    """

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=_UNDECIDED)
        self._points: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._period_s: float | None = None
        self._phase = 0.0  # instant of beat 0
        self._spread_s = 0.0
        self._breaks = 0  # of the phase, in a row
        self._seen = 0

    @property
    def ready(self) -> bool:
        """Whether enough was seen."""
        return self._period_s is not None

    @property
    def period_s(self) -> float | None:
        """The mean time between natural keyframes; None until `ready`."""
        return self._period_s

    @property
    def regular(self) -> bool:
        """Whether the next keyframes can be foretold."""
        return (
            self._period_s is not None and self._spread_s < _ASTRAY * self._period_s / 2
        )

    def observe(self, now: float, *, whole: bool) -> None:
        """A natural keyframe came at `now`.

        Args:
            now: The instant of its first packet.
            whole: Nothing was missed since the keyframe before it.
        """
        self._seen += 1
        if not self._points:
            self._points.append((0, now))
        elif now - self._points[-1][1] < _LEAST_S:
            return
        elif self._period_s is None:
            self._learn(now, whole=whole)
        elif self.regular:
            self._follow(now, self._period_s)
        elif self._seen >= _RELEARN:
            self.forget(now)

    def forget(self, now: float) -> None:
        """Learns anew, from a keyframe that came at `now`."""
        self._gaps.clear()
        self._period_s = None
        self._spread_s = 0.0
        self._breaks = self._seen = 0
        self._points.clear()
        self._points.append((0, now))

    def shift(self, now: float) -> None:
        """A keyframe that was asked for came at `now`; natural ones count from it.

        Or they do not (a server that asks by its own clock): while learning, it is
        left out.
        """
        self._points.clear()
        self._gaps.clear()
        if self._period_s is not None:
            self._points.append((0, now))
            self._phase = now

    def next_beat(self, instant: float) -> Beat | None:
        """The first keyframe expected at or after `instant`; None if irregular."""
        if not self.regular:
            return None
        assert self._period_s is not None
        number = math.ceil((instant - self._phase) / self._period_s)
        first, last = self._points[0][0], self._points[-1][0]
        ahead = max(0, number - last) / max(1, last - first)
        return Beat(self._phase + number * self._period_s, self._spread_s * (1 + ahead))

    def _learn(self, now: float, *, whole: bool) -> None:
        """Collects gaps; those of several periods (one was lost) fold to one."""
        if not whole:
            self.forget(now)
            return
        self._gaps.append(now - self._points[-1][1])
        self._points.append((self._points[-1][0] + 1, now))
        if self._alike():
            self._points = deque(list(self._points)[-_LEARNED - 1 :], _REMEMBERED)
        elif len(self._gaps) < _UNDECIDED:
            return
        shortest_s = median_low(self._gaps)
        instants = [at for _, at in self._points]
        self._points.clear()
        number = 0
        for before, at in zip([instants[0], *instants], instants, strict=False):
            number += max(1, round((at - before) / shortest_s)) if at > before else 0
            self._points.append((number, at))
        self._fit()

    def _alike(self) -> bool:
        if len(self._gaps) < _LEARNED:
            return False
        shorter_s, longer_s = sorted((self._gaps[-1], self._gaps[-2]))
        return longer_s <= _ALIKE * shorter_s

    def _follow(self, now: float, period_s: float) -> None:
        last, at = self._points[-1]
        number = last + max(1, round((now - at) / period_s))
        off_s = now - (self._phase + number * period_s)
        if abs(off_s) > _ASTRAY * period_s:
            self._breaks += 1
            if self._breaks >= _BREAKS:
                self.forget(now)
            else:
                self.shift(now)
            return
        self._breaks = 0
        self._points.append((number, now))
        self._fit()

    def _fit(self) -> None:
        """Least squares; two points keep the spread known from before."""
        count = len(self._points)
        mean_n = sum(n for n, _ in self._points) / count
        mean_at = sum(at for _, at in self._points) / count
        above = sum((n - mean_n) * (at - mean_at) for n, at in self._points)
        self._period_s = above / sum((n - mean_n) ** 2 for n, _ in self._points)
        self._phase = mean_at - mean_n * self._period_s
        off_s = max(
            abs(at - self._phase - n * self._period_s) for n, at in self._points
        )
        self._spread_s = off_s if count > _LEARNED else max(off_s, self._spread_s)
