"""When media packets are let in; pure: time comes in with each call.

A closed gate costs SRTP its count of sequence numbers: the receiver's rollover counter
survives gaps of less than 32,768 packets (RFC 3711 section 3.3.1). So it never stays
closed for longer than half of that many can take, and never closes before the last
opening has let an authenticated packet in.
"""

from typing import Final

_CYCLE: Final = 1 << 16
_BUDGET: Final = 1 << 14  # packets kept away at once: half of what SRTP survives
_ASSUMED_RATE: Final = 4096.0  # packets a second, 39 Mbit/s, until it is measured
_LEAST_S: Final = 0.05  # a shorter rest saves less than it costs


class Gate:
    """Open or closed, and until when.

    Args:
        longest_s: Closed at a stretch at most: a sender that is gone is noticed only
            once it opens.

    Attributes:
        closed: Whether packets are kept away.
        heard_any: Whether an authenticated one came through since it opened.
    """

    def __init__(self, longest_s: float = 10.0) -> None:
        self._longest_s = longest_s
        self.closed = False
        self._until = float("-inf")
        self._closed_at = 0.0
        self._limit_s = 0.0
        self._rate = _ASSUMED_RATE
        self.heard_any = False
        self._sequence: int | None = None
        self._sent: int | None = None

    @property
    def opens_at(self) -> float:
        """When it opens at the latest, if it is closed."""
        return min(self._until, self._closed_at + self._limit_s)

    def rest(self, until: float, now: float) -> None:
        """Nothing is needed before `until`; it is open from `until <= now` on."""
        self._until = until
        if self.closed:
            self.look(now)
        else:
            self._rest(now)

    def look(self, now: float) -> None:
        """Opens if it is time; if more rest is wanted, the next packet closes it."""
        if self.closed and now >= self.opens_at:
            self.closed = False

    def heard(self, sequence: int, now: float) -> None:
        """An authenticated media packet came through."""
        if not self.heard_any:
            self._measure(sequence, now)
            self.heard_any = True
        self._sequence = sequence
        if self._until > now:
            self._rest(now)

    def renumbered(self) -> None:
        """Another sender, whose sequence numbers are others."""
        self._sequence = self._sent = None

    def reported(self, packets: int, now: float) -> None:
        """The sender reports how many packets it has sent, modulo 2³²."""
        if not self.closed or self._sent is None:
            self._sent = packets
        elif (packets - self._sent) % (1 << 32) > _BUDGET:
            self._limit_s = 0.0
            self.look(now)

    def _rest(self, now: float) -> None:
        """Closes, if that is safe and worth it."""
        if not self.heard_any or self._until - now < _LEAST_S:
            return
        self.closed = True
        self.heard_any = False
        self._closed_at = now
        self._limit_s = min(self._longest_s, _BUDGET / self._rate)

    def _measure(self, sequence: int, now: float) -> None:
        """The packets kept away by the last rest tell the rate."""
        passed_s = now - self._closed_at
        if self._sequence is None or passed_s <= 0:
            return
        advance = (sequence - self._sequence) % _CYCLE
        if advance < _CYCLE // 2:
            self._rate = max(advance / passed_s, 1.0)
