"""When an endpoint that failed is left alone, and when it is tried again. Pure.

Closed, it takes batches. After `failures` in a row it opens, for `rest_s`, doubled each
time it is found still broken up to `longest_rest_s`. Then a probe, no batch, tries it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """How patient one is with an endpoint.

    Attributes:
        failures: In a row, until it is left alone.
        rest_s: How long, at first.
        longest_rest_s: However often it was found broken.
    """

    failures: int = 3
    rest_s: float = 1.0
    longest_rest_s: float = 30.0


class Breaker:
    """One endpoint's."""

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._failures = 0
        self._rest_s = settings.rest_s
        self._open_until: float | None = None

    @property
    def closed(self) -> bool:
        """Whether batches may be sent there."""
        return self._open_until is None

    def probe_due(self, now: float) -> bool:
        """Whether it is left alone, and has been for long enough to ask how it is."""
        return self._open_until is not None and now >= self._open_until

    def succeeded(self) -> None:
        """A batch was answered, or a probe: it is trusted again."""
        self._failures = 0
        self._rest_s = self._settings.rest_s
        self._open_until = None

    def failed(self, now: float) -> None:
        """A batch was not answered, or a probe."""
        if self._open_until is not None:
            if now < self._open_until:
                return  # a batch that was under way as it opened
            self._rest_s = min(2 * self._rest_s, self._settings.longest_rest_s)
        self._failures += 1
        if self._failures >= self._settings.failures:
            self._open_until = now + self._rest_s
