"""How long to wait before connecting again: pure, randomness comes in as a number."""

from dataclasses import dataclass

_MOST_STEPS = 64  # factor ** attempt stays finite however long a server is away


@dataclass(frozen=True, slots=True)
class Backoff:
    """Capped exponential back-off with full jitter.

    Attributes:
        first_s: Ceiling of the first wait, seconds.
        cap_s: No ceiling grows beyond this, seconds.
        factor: By how much the ceiling grows with each attempt, ≥ 1.
        retry_after_cap_s: The longest `Retry-After` that is honoured, seconds: a
            server must not be able to keep a stream unseen for a day.
    """

    first_s: float = 0.5
    cap_s: float = 30.0
    factor: float = 2.0
    retry_after_cap_s: float = 300.0

    def __post_init__(self) -> None:
        if self.first_s <= 0 or self.cap_s < self.first_s or self.factor < 1:
            raise ValueError("back-off needs 0 < first_s <= cap_s and factor >= 1")
        if self.retry_after_cap_s < 0:
            raise ValueError("retry_after_cap_s must not be negative")

    def ceiling(self, attempt: int) -> float:
        """The longest wait after `attempt` (from 0) failures in a row, seconds."""
        grown: float = self.first_s
        for _ in range(min(attempt, _MOST_STEPS)):
            grown = min(self.cap_s, grown * self.factor)
        return grown

    def next_delay(
        self, attempt: int, uniform: float, retry_after_s: float | None = None
    ) -> float:
        """Seconds to wait before trying again.

        Args:
            attempt: Failures in a row so far, from 0.
            uniform: A random number in [0, 1).
            retry_after_s: The server's wish. It is never undercut (up to its cap), and
                the jitter is added to it, so that many clients do not return at once.
        """
        wish = min(max(retry_after_s or 0.0, 0.0), self.retry_after_cap_s)
        return wish + uniform * self.ceiling(attempt)
