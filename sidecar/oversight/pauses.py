"""Pure: streams whose automation a person has paused, each until some time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

LONGEST_S: Final = 24 * 3600.0
MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Pause:
    """What is decided of the stream meanwhile is a dry run.

    Attributes:
        stream_id: Whose automation; it need not be live.
        until: Unix seconds.
        by: Who paused it.
        reason: Why, in that one's words.
    """

    stream_id: str
    until: float
    by: str
    reason: str


class Pauses:
    """The pauses that hold. Each ends by itself."""

    def __init__(self, pauses: Iterable[Pause] = ()) -> None:
        self._pauses = {pause.stream_id: pause for pause in pauses}

    def set(self, pause: Pause, now: float) -> None:
        """Pauses, or pauses until another time.

        Raises:
            ValueError: It is over already, too long, or one too many.
        """
        if not now < pause.until <= now + LONGEST_S:
            raise ValueError(f"a pause ends within {LONGEST_S / 3600:g} hours")
        if pause.stream_id not in self._pauses and len(self.all(now)) >= MOST:
            raise ValueError(f"{MOST} streams are paused, which is the limit")
        self._pauses[pause.stream_id] = pause

    def end(self, stream_id: str) -> Pause | None:
        """Takes the pause back; what it was, None if there was none."""
        return self._pauses.pop(stream_id, None)

    def get(self, stream_id: str, now: float) -> Pause | None:
        """The pause of one stream that holds at `now`."""
        pause = self._pauses.get(stream_id)
        if pause is not None and pause.until <= now:
            del self._pauses[stream_id]
            return None
        return pause

    def all(self, now: float) -> Sequence[Pause]:
        """All that hold, by stream."""
        found = [self.get(stream_id, now) for stream_id in sorted(self._pauses)]
        return [pause for pause in found if pause is not None]
