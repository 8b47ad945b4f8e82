"""Which of the sources heard on one connection is the video watched; pure."""

from typing import Final

_MOST: Final = 32  # a honest sender changes its SSRC when it restarts, if at all
_SILENT_S: Final = 1.0


class TooManySources(ValueError):
    """The sender changes its SSRC without end: each costs memory in libsrtp."""


class MediaSource:
    """The newest SSRC counts; an earlier one only after the newest fell silent."""

    def __init__(self) -> None:
        self.current: int | None = None
        self._heard_at = 0.0
        self._known: set[int] = set()

    def hear(self, ssrc: int, now: float) -> bool:
        """Whether a packet of `ssrc` is of the video watched; it may have changed.

        Raises:
            TooManySources: More than 32 so far.
        """
        if ssrc != self.current:
            if ssrc in self._known and now - self._heard_at < _SILENT_S:
                return False
            self._known.add(ssrc)
            if len(self._known) > _MOST:
                raise TooManySources(f"more than {_MOST} SSRCs on one connection")
            self.current = ssrc
        self._heard_at = now
        return True
