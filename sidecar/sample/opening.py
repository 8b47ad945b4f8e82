"""Until when a stream may rest: the gate opens just before the next keyframe; pure."""

from dataclasses import dataclass
from typing import Final

from sidecar.sample.rhythm import Beat, Rhythm

_LEAST_MARGIN_S: Final = 0.04  # one picture at 25/s, and a late timer
_SPREADS: Final = 2.0
_WIDEN: Final = 2.0
_WIDEST: Final = 16.0
_NARROW: Final = 0.9
_LATE_S: Final = (
    0.4  # a large keyframe is paced over as much, and lost packets sent anew
)
_MOST_SHARE: Final = 0.25  # of a period; a margin beyond it saves nothing worth it


@dataclass(frozen=True, slots=True)
class Opening:
    """When to look again.

    Attributes:
        until: Nothing is needed before.
        beat_at: The keyframe it opens for; None: whichever comes.
    """

    until: float
    beat_at: float | None = None


class Openings:
    """Plans one connection's openings; learns from the keyframes it missed.

    The margin before an expected keyframe is 40 ms and twice its spread; it doubles
    when the keyframe was missed, and shrinks slowly while they are met.
    """

    def __init__(self) -> None:
        self._widened = 1.0
        self._beat_at: float | None = None

    def plan(self, earliest: float, rhythm: Rhythm) -> Opening:
        """For a sample that may be taken from `earliest` on."""
        beat = rhythm.next_beat(earliest)
        margin_s = 0.0 if beat is None else self._margin_s(beat, rhythm)
        self._beat_at = None if beat is None else beat.at
        if beat is None:
            return Opening(earliest)
        return Opening(beat.at - margin_s, beat.at)

    def came(self, now: float, rhythm: Rhythm) -> bool | None:
        """A keyframe came at `now`: whether it is the one that was planned for.

        Tell it before `rhythm` is told. None if none was planned for.
        """
        beat_at, self._beat_at = self._beat_at, None
        if beat_at is None or rhythm.period_s is None:
            return None
        met = now - beat_at < rhythm.period_s / 2
        change = _NARROW if met else _WIDEN
        self._widened = min(_WIDEST, max(1.0, self._widened * change))
        return met

    def expects(self, now: float, rhythm: Rhythm) -> bool:
        """Whether the keyframe that was planned for may still come."""
        if self._beat_at is None:
            return False
        return now - self._beat_at < max(_LATE_S, _MOST_SHARE * (rhythm.period_s or 0))

    def miss(self) -> bool:
        """The keyframe that was planned for did not come; whether there was one."""
        missed, self._beat_at = self._beat_at is not None, None
        if missed:
            self._widened = min(_WIDEST, _WIDEN * self._widened)
        return missed

    def drop(self) -> None:
        """What was planned is not waited for any more."""
        self._beat_at = None

    def _margin_s(self, beat: Beat, rhythm: Rhythm) -> float:
        assert rhythm.period_s is not None
        margin_s = self._widened * (_LEAST_MARGIN_S + _SPREADS * beat.spread_s)
        return min(margin_s, _MOST_SHARE * rhythm.period_s)
