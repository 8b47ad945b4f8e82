"""One budget of samples a second for all streams, shared out by risk; pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

_STEEP: Final = 100.0  # how many times more the riskiest gets than the calmest
_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Demand:
    """What one stream asks for.

    Attributes:
        wanted_per_s: Samples a second by its own settings, above 0.
        risk: 0 calm … 1 acute.
    """

    wanted_per_s: float
    risk: float


def allocate(
    demands: Sequence[Demand], total_per_s: float, floor_per_s: float
) -> list[float]:
    """Samples a second for each demand, in order.

    Each gets what it wants times `level * 100**risk`, no more than it wants and no less
    than its floor; the level is the one at which the sum is the total. So the riskier
    never gets a smaller part of its wish, and one more calm stream takes next to
    nothing from a risky one.

    Args:
        demands: One for each stream.
        total_per_s: Given out in all, unless the floors together are more.
        floor_per_s: Each gets this much, or what it wants if that is less.
    """
    wanted = [demand.wanted_per_s for demand in demands]
    floors = [min(floor_per_s, wish) for wish in wanted]
    if math.fsum(wanted) <= total_per_s:
        return wanted
    if math.fsum(floors) >= total_per_s:
        return floors
    weights = [d.wanted_per_s * _STEEP ** (d.risk - 1) for d in demands]
    level = _level(wanted, floors, weights, total_per_s)
    return [
        min(wish, max(floor, level * weight))
        for wish, floor, weight in zip(wanted, floors, weights, strict=True)
    ]


def _level(
    wanted: Sequence[float],
    floors: Sequence[float],
    weights: Sequence[float],
    total_per_s: float,
) -> float:
    """Where the filling reaches the total: a sweep over the points where it bends."""
    bends = []
    for wish, floor, weight in zip(wanted, floors, weights, strict=True):
        bends += [(floor / weight, weight), (wish / weight, -weight)]
    level, slope, left = 0.0, 0.0, total_per_s - math.fsum(floors)
    for bend, change in sorted(bends)[:-1]:
        rise = slope * (bend - level)
        if rise >= left:
            break
        left -= rise
        level, slope = bend, slope + change
    return level + left / slope if slope > 0 else level


class Paced(Protocol):
    """A stream's sampler, as far as the budget goes."""

    def demand(self) -> Demand:
        """What it asks for at present."""

    def pace(self, interval_s: float) -> None:
        """Samples no more often than this in the mean; 0: as it likes."""


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """How much there is.

    Attributes:
        samples_per_s: For all streams together.
        floor_s: Each is sampled at least this often, or as seldom as it asks for.

    Raises:
        ValueError: A number makes no sense.
    """

    samples_per_s: float
    floor_s: float = 10.0

    def __post_init__(self) -> None:
        for number in (self.samples_per_s, self.floor_s):
            if not (math.isfinite(number) and number > 0):
                raise ValueError(f"finite and above 0 must hold, got {number}")


class Budget:
    """Shares out again about once a second."""

    def __init__(self, settings: BudgetSettings) -> None:
        self._settings = settings
        self._shared_at: float | None = None
        self._refused_per_s = 0.0

    def share_out(self, streams: Sequence[Paced], now: float) -> float:
        """Paces each of `streams`; may be called more often than once a second.

        Returns:
            How many samples were wanted since the last time and not granted.
        """
        if self._shared_at is None:
            self._shared_at = now - _EVERY_S
            self._refused_per_s = 0.0
        passed_s = now - self._shared_at
        if passed_s < _EVERY_S:
            return 0.0
        refused = self._refused_per_s * passed_s
        self._shared_at = now
        self._refused_per_s = self._pace(streams)
        return refused

    def _pace(self, streams: Sequence[Paced]) -> float:
        demands = [stream.demand() for stream in streams]
        settings = self._settings
        rates = allocate(demands, settings.samples_per_s, 1 / settings.floor_s)
        refused = 0.0
        for stream, demand, rate in zip(streams, demands, rates, strict=True):
            short = demand.wanted_per_s - rate
            stream.pace(1 / rate if short > 0 else 0.0)
            refused += short
        return refused
