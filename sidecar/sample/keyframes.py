"""Whether keyframes are enough, and when to ask for one; pure.

Looking at keyframes only costs a fraction of decoding everything. They are enough when
they come of themselves, or on request (PLI), about as often as samples are due.
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from math import inf
from statistics import median_low
from typing import Final

from sidecar.sample.rhythm import Rhythm

_SLACK: Final = 1.25  # keyframes this much rarer than samples are still enough
_URGENT_S: Final = 0.5  # before a burst's first keyframe; servers throttle at 0.5-1 s
_ANSWER_S: Final = 1.0  # LiveKit holds a PLI back for up to 1 s
_PATIENCE: Final = 2  # gaps too long in a row before requests count as ignored
_RETRY_S: Final = 60.0  # then one request is tried this often
_LATENESS: Final = 0.1  # of the pace
_REMEMBERED: Final = 3  # gaps; their median is the period
_STUDY: Final = 20  # intervals at least between looks for natural keyframes


class DecodeMode(StrEnum):
    """What the operator allows to be decoded."""

    AUTO = "auto"
    KEYFRAMES = "keyframes"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now.

    Attributes:
        all: Decode every access unit; else keyframes only.
        request_keyframe: Ask the sender for a keyframe.
    """

    all: bool
    request_keyframe: bool


class _Means(Enum):
    """By what means pictures are got at present."""

    NATURAL = auto()  # keyframes that come of themselves
    ASKING = auto()  # keyframes on request
    ALL = auto()  # every access unit


class KeyframePlanner:
    """Learns one connection's keyframe period and plans by it.

    `auto` starts with the keyframes that come. Where they are too rare it asks for
    more; where that does not help within two gaps, or requests may not be sent as
    often as samples are due (a burst), everything is decoded. It goes back when
    keyframes are enough again, and tries a request now and then to find out.

    Args:
        mode: `keyframes` never decodes all, `all` always does.
        pli_interval_s: Least time between requests in the mean (two are a tenth nearer
            if the first was late), but for the one keyframe that a burst's full
            decoding starts from; None: never ask.
    """

    def __init__(self, mode: DecodeMode, pli_interval_s: float | None = 2.0) -> None:
        if pli_interval_s is not None and not pli_interval_s > 0:
            raise ValueError(f"pli_interval_s must be above 0, got {pli_interval_s}")
        self._mode = mode
        self._pli_interval_s = pli_interval_s
        self._means = _Means.ALL if mode is DecodeMode.ALL else _Means.NATURAL
        self._interval_s = 0.0
        self._since: float | None = None  # last keyframe, or when looking began
        self._from_keyframe = False  # whether a gap counts from `_since`
        self._whole = False  # nothing was missed since the last keyframe
        self.rhythm = Rhythm()
        self._natural: deque[float] = deque(maxlen=_REMEMBERED)
        self._needed = True  # the start, a torn picture, a switch to ALL
        self._urgent = False  # full decoding has just begun and waits for its start
        self._asked_at: float | None = None  # by the pace, not the clock
        self._sent_at: float | None = None
        self._asked = False  # since the last keyframe
        self._misses = 0
        self._ignored_at: float | None = None
        self._trial_at: float | None = None
        self._studied_at = 0.0

    @property
    def period_s(self) -> float | None:
        """The time between natural keyframes; None until known."""
        if self.rhythm.ready:
            return self.rhythm.period_s
        return median_low(self._natural) if self._natural else None

    @property
    def asking(self) -> bool:
        """Whether keyframes come because they are asked for."""
        serves = self._may_serve and self._ignored_at is None
        return self._means is _Means.ASKING and serves

    @property
    def grid_s(self) -> float:
        """The period of the grid that pictures come in; 0: at any time."""
        if self._means is _Means.ALL or self.asking:
            return 0.0
        return self.period_s or 0.0

    @property
    def spacing_s(self) -> float:
        """How far apart pictures are at least because of the requests' pace."""
        return (self._pli_interval_s or 0.0) if self.asking else 0.0

    @property
    def may_ask_at(self) -> float:
        """From when on a request may be sent."""
        if self._asked_at is None or self._pli_interval_s is None:
            return -inf
        return self._asked_at + self._pli_interval_s

    def observe_keyframe(self, now: float) -> None:
        """A keyframe of the instant `now` came."""
        if self._from_keyframe and self._since is not None:
            self._learn(now - self._since)
        if self._asked:
            self.rhythm.shift(now)
        else:
            self.rhythm.observe(now, whole=self._whole)
        if self._trial_at is not None and now - self._trial_at <= _ANSWER_S:
            self._ignored_at = None
        self._since, self._from_keyframe = now, True
        self._whole = True
        self._asked = self._needed = False
        self._trial_at = None

    def pause(self, now: float) -> None:
        """Nobody looked until `now`: what is missing since then teaches nothing."""
        self._since, self._from_keyframe = now, False
        self._whole = False

    def rests(self, now: float) -> bool:
        """Whether a keyframe that came at `now` may be the last for a while.

        Not while natural keyframes are being learned, nor while all is decoded. Where
        keyframes are asked for, one interval a minute is spent on looking for natural
        ones, at most a twentieth of the time.
        """
        if self._means is _Means.ALL or self._needed:
            return False
        if not self.asking:
            return self.rhythm.ready
        if now - self._studied_at >= max(_RETRY_S, _STUDY * self._interval_s):
            self._studied_at = now
        return now - self._studied_at >= self._interval_s

    def rest(self, until: float) -> None:
        """Nobody looks until then, when a sample is due."""
        self.pause(until)
        if self.asking:  # so the request is late at once, and its answer is judged
            self._since, self._from_keyframe = until - self._interval_s, True

    def need(self) -> None:
        """The next keyframe is needed: a picture was torn, or an audit begins."""
        self._needed = True

    def decide(self, now: float, interval_s: float) -> Plan:
        """What to do at `now` if samples are due every `interval_s`."""
        if self._since is None:
            self._since = now
        self._interval_s = interval_s
        means = self._choose(now)
        if means is not self._means:
            self._enter(means, now)
        return Plan(self._means is _Means.ALL, self._asks(now))

    def _learn(self, gap_s: float) -> None:
        if self._whole and not self._asked:
            self._natural.append(gap_s)
        self._misses = self._misses + 1 if gap_s > self._limit_s else 0

    @property
    def _limit_s(self) -> float:
        """The longest gap that a request may leave."""
        return _SLACK * self._interval_s + _ANSWER_S

    def _choose(self, now: float) -> _Means:
        if self._mode is DecodeMode.ALL:
            return _Means.ALL
        if self._natural_suffices(now):
            return _Means.NATURAL
        if self._means is _Means.ASKING and self._ignores(now):
            self._ignored_at = now
        if self._mode is DecodeMode.KEYFRAMES:
            return _Means.ASKING
        asking = self._may_serve and self._ignored_at is None
        return _Means.ASKING if asking else _Means.ALL

    def _enter(self, means: _Means, now: float) -> None:
        self._means = means
        self._misses = 0
        self._urgent = means is _Means.ALL
        if means is not _Means.NATURAL:
            self._needed = True
            self._studied_at = now
            self._natural.clear()  # what is natural has to show itself anew
            self.pause(now)

    def _natural_suffices(self, now: float) -> bool:
        """Whether natural keyframes are enough; to return to them they must be so."""
        known_s = median_low(self._natural) if self._natural else 0.0
        rarest_s = max(known_s, self._age_s(now))
        if self._means is _Means.NATURAL:
            return rarest_s <= _SLACK * self._interval_s
        return bool(self._natural) and rarest_s <= self._interval_s

    def _ignores(self, now: float) -> bool:
        """Whether asking does not help."""
        waited = self._age_s(now) > _PATIENCE * self._limit_s
        return waited or self._misses >= _PATIENCE

    @property
    def _may_serve(self) -> bool:
        """Whether requests may be sent as often as samples are due."""
        pli_s = self._pli_interval_s
        return pli_s is not None and pli_s <= _SLACK * self._interval_s

    def _age_s(self, now: float) -> float:
        return 0.0 if self._since is None else now - self._since

    def _asks(self, now: float) -> bool:
        pli_s = self._pli_interval_s
        if pli_s is None or self._too_soon(now, pli_s):
            return False
        trial = self._is_trial(now)
        late = self._means is _Means.ASKING and self._age_s(now) >= self._interval_s
        if not (self._needed or late or trial):
            return False
        if trial:
            self._trial_at = self._ignored_at = now
        lateness_s = _LATENESS * pli_s  # made good: else each timer adds its own
        earliest = now if self._asked_at is None else self._asked_at + pli_s
        self._asked_at = min(now, max(earliest, now - lateness_s))
        self._sent_at = now
        self._asked, self._urgent = True, False
        return True

    def _too_soon(self, now: float, pli_s: float) -> bool:
        """Whether the last request was just now; a burst's first one hardly waits."""
        if self._asked_at is None or self._sent_at is None:
            return False
        if self._urgent:
            return now - self._sent_at < min(pli_s, _URGENT_S)
        return now - self._asked_at < pli_s

    def _is_trial(self, now: float) -> bool:
        return (
            self._means is _Means.ALL
            and self._may_serve
            and self._ignored_at is not None
            and now - self._ignored_at >= _RETRY_S
        )
