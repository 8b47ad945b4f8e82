"""The few batch sizes that ever reach the runtime. Pure.

Each size that a runtime has not seen costs it a search or a compilation, and memory
that it keeps; a batch in between is padded up to the next one.
"""

from dataclasses import dataclass
from typing import Final

_STEPS: Final = (
    4  # sizes between a power of two and the next: at most a fifth is padding
)
_EXACT: Final = 8


@dataclass(frozen=True, slots=True)
class BatchShapes:
    """Sizes in ascending order; the last is the largest batch.

    Attributes:
        sizes: What is run.
    """

    sizes: tuple[int, ...]

    @property
    def largest(self) -> int:
        """The most pictures in a batch."""
        return self.sizes[-1]

    def fitting(self, count: int) -> int:
        """The smallest size that holds `count` pictures, 1 to `largest`."""
        return next(size for size in self.sizes if size >= count)


def doubling(largest: int) -> BatchShapes:
    """1, 2, 4 … and `largest`: for accelerators, where padding costs little."""
    sizes = [1]
    while 2 * sizes[-1] < largest:
        sizes.append(2 * sizes[-1])
    return BatchShapes((*sizes, largest) if largest > 1 else (1,))


def fine(largest: int) -> BatchShapes:
    """Every size up to 8, then four between powers of two.

    For a CPU, where each padded picture costs as much as a real one.
    """
    sizes = list(range(1, min(largest, _EXACT) + 1))
    step = _EXACT // _STEPS
    while sizes[-1] < largest:
        start = sizes[-1]
        sizes += [start + step * n for n in range(1, _STEPS + 1)]
        step *= 2
    return BatchShapes((*(size for size in sizes if size < largest), largest))
