"""When a stretch between keyframes is looked into, and which picture of it; pure.

Who controls the encoder can make all keyframes innocent and the pictures between them
not. So at random instants everything from the next keyframe on is decoded, up to a
random picture, and that one is sampled.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_PATIENCE_S: Final = 30.0  # for the keyframe that a stretch begins with
_OVERTIME_S: Final = 0.5  # for a delta: a stream of keyframes alone has none


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How often, and how much.

    Attributes:
        every_s: Mean time between audits, exponentially drawn; None: never.
        stretch_s: The longest stretch that is decoded, from a keyframe on.

    Raises:
        ValueError: A number makes no sense.
    """

    every_s: float | None = 120.0
    stretch_s: float = 10.0

    def __post_init__(self) -> None:
        for seconds in (self.every_s, self.stretch_s):
            if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
                raise ValueError(f"finite and above 0 must hold, got {seconds}")


class Audit:
    """One stream's audits, over all of its connections.

    Args:
        settings: How often, and how much.
        uniform: Draws from [0, 1), two for each audit.
    """

    def __init__(self, settings: AuditSettings, uniform: Callable[[], float]) -> None:
        self._settings = settings
        self._uniform = uniform
        self._at: float | None = None  # the next one's instant
        self._begun_at: float | None = None
        self._offset_s = 0.0
        self._target: float | None = None

    @property
    def at(self) -> float:
        """When the next audit is to begin."""
        return math.inf if self._at is None else self._at

    @property
    def active(self) -> bool:
        """Whether everything is to be decoded for it."""
        return self._begun_at is not None

    def connect(self, now: float) -> None:
        """A connection begins at `now`; an audit that was cut short begins again."""
        if self._settings.every_s is None:
            return
        if self._at is None:
            self._draw(now)
        if self.active:
            self._begun_at = self._target = None
            self._at = now

    def due(self, now: float) -> bool:
        """Whether one is to begin at `now`."""
        return not self.active and now >= self.at

    def begin(self, now: float, group_s: float | None) -> None:
        """Decodes everything from the next keyframe on.

        Args:
            now: The present.
            group_s: Time between keyframes, if known; the picture is drawn from it.
        """
        stretch_s = self._settings.stretch_s
        longest_s = stretch_s if group_s is None else min(group_s, stretch_s)
        self._offset_s = self._uniform() * longest_s
        self._begun_at, self._target = now, None

    def torn(self) -> None:
        """What was decoded is broken; the stretch begins at another keyframe."""
        self._target = None

    def wants(self, now: float, *, keyframe: bool) -> bool:
        """Whether the decodable picture of the instant `now` is the one to sample."""
        if not self.active:
            return False
        if self._target is None:
            if keyframe:
                self._target = now + self._offset_s
            return False
        late_s = now - self._target
        return late_s >= (_OVERTIME_S if keyframe else 0.0)

    def given_up(self, now: float) -> bool:
        """Whether no stretch came about for long; then it is over, see `end`."""
        if self._begun_at is None:
            return False
        return now - self._begun_at > _PATIENCE_S + self._settings.stretch_s

    def end(self, now: float) -> None:
        """The picture was sampled, or none is needed; draws the next one's instant."""
        self._begun_at = self._target = None
        self._draw(now)

    def _draw(self, now: float) -> None:
        if self._settings.every_s is not None:
            self._at = now - self._settings.every_s * math.log1p(-self._uniform())
