"""Which streams may listen without knowing when their keyframe comes; pure.

A stream that listens costs ten times what one does that rests until its keyframe. When
a hundred of them begin at once, or the machine has stood still and all have missed
theirs, they would take more than there is, lose packets, and so never find out: it
would not end by itself. Therefore only a few listen at a time, the others wait; and
fewer still where those find nothing, down to one, until they do.
"""

from operator import itemgetter
from typing import Final

_PLACES: Final = 16  # a quarter of a core at 720p30 and 2 Mbit/s
_FORGOTTEN_S: Final = 2.0  # who does not ask again for so long is passed over
_PATIENCE_S: Final = 10.0  # in the queue; then newcomers do not pass any more
_LONGEST_S: Final = 10.0  # four keyframes 2 s apart, and some loss


class Listeners:
    """A few places, shared by the streams of one process.

    First come first served, but for those who have not been seen at all: they go first,
    and a first picture makes room, once, for the next of them. So a hundred streams
    that begin at once are all looked at before the first has settled. Who has stood in
    the queue for ten seconds is passed by no newcomer, however many there are.

    Args:
        places: How many.
        longest_s: Who has had one for so long gives way if somebody waits, and there is
            one place less, for more would find nothing either.
    """

    def __init__(self, places: int = _PLACES, longest_s: float = _LONGEST_S) -> None:
        self._most = self._places = places
        self._longest_s = longest_s
        self._inside: dict[object, float] = {}
        self._waiting: dict[object, tuple[float, float]] = {}  # asked first, and last
        self._seen: set[object] = set()

    def enter(self, who: object, now: float) -> bool:
        """Whether `who` may listen now; if not, it stands in the queue: ask again."""
        since = self._inside.get(who)
        if since is not None:
            if now - since < self._longest_s or not self._waiting:
                return True
            del self._inside[who]
            self._places = max(1, self._places - 1)
        first, _ = self._waiting.get(who, (now, now))
        self._waiting[who] = first, now  # in its place, if it stood there
        free = max(0, self._places - len(self._inside))
        if who not in self._asking(now)[:free]:
            return False
        del self._waiting[who]
        self._inside[who] = now
        return True

    def _asking(self, now: float) -> list[object]:
        """Who still stands in the queue, in the order in which they get in."""
        here = [
            (one in self._seen and now - first < _PATIENCE_S, one)
            for one, (first, last) in self._waiting.items()
            if now - last < _FORGOTTEN_S
        ]
        return [one for _, one in sorted(here, key=itemgetter(0))]

    def seen(self, who: object, now: float) -> bool:
        """`who` had a picture; whether its place goes, once, to one who never had."""
        if who in self._seen:
            return False
        self._seen.add(who)
        if who not in self._inside or self._seen.issuperset(self._asking(now)):
            return False
        self._inside.pop(who)
        return True

    def found(self, who: object) -> None:
        """`who` knows its keyframes now: where it listened, one more may."""
        if who in self._inside:
            self._places = min(self._most, self._places + 1)
        self.leave(who)

    def leave(self, who: object) -> None:
        """`who` does not want to listen any more."""
        self._inside.pop(who, None)
        self._waiting.pop(who, None)

    def forget(self, who: object) -> None:
        """`who` is not there any more."""
        self.leave(who)
        self._seen.discard(who)
