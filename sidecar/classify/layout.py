"""How many threads a batch gets, and how many batches run at once. Pure.

Two callers with a thread each did 218 pictures a second where two with two threads each
did 121 (MobileNetV2, two cores): a core is never promised twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

QUICK_PER_S: Final = 500.0  # to decode and scale a sample takes 2 ms of a core, too
_WORTH: Final = 1.1  # so much faster it has to be to take more cores


@dataclass(frozen=True, slots=True, order=True)
class Layout:
    """`callers` batches at a time, each on `threads` cores."""

    threads: int = 1
    callers: int = 1

    @property
    def cores(self) -> int:
        """What it keeps busy."""
        return self.threads * self.callers


def candidates(cores: int, threads: int | None, callers: int | None) -> list[Layout]:
    """What may be tried, the fewest cores first; never more than there are.

    Args:
        cores: That the process may use.
        threads: As set; None: to be found out. Cut down to `cores`.
        callers: Likewise; cut down to what `threads` leaves.
    """
    counts = sorted({1, *(1 << n for n in range(1, cores.bit_length())), cores})
    found = {
        Layout(t, c)
        for t in ([min(threads, cores)] if threads else counts)
        for c in ([callers] if callers else counts)
        if t <= cores and t * c <= cores
    }
    if not found:  # both, or the callers alone, are set to more than there is
        least = min(threads or 1, cores)
        found = {Layout(least, max(1, cores // least))}
    return sorted(found, key=lambda one: (one.cores, one.threads))


def choose(
    layouts: list[Layout], rate_of: Callable[[Layout], float]
) -> tuple[Layout, Mapping[Layout, float]]:
    """The fastest, but no more cores than they are worth; and what was measured.

    A model that is quick enough on the fewest cores is left with them: what feeds it
    needs the others.

    Args:
        layouts: As `candidates` gives them, at least one.
        rate_of: Measures samples per second.
    """
    if len(layouts) == 1:
        return layouts[0], {}
    best, rates = layouts[0], {layouts[0]: rate_of(layouts[0])}
    if rates[best] >= QUICK_PER_S:
        return best, rates
    for layout in layouts[1:]:
        rates[layout] = rate_of(layout)
        margin = _WORTH if layout.cores > best.cores else 1.0
        if rates[layout] > margin * rates[best]:
            best = layout
    return best, rates
