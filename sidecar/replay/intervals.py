"""Confidence intervals for counts and shares, exact where that is cheap; pure.

Clopper and Pearson (1934) for shares, Garwood (1936) for rates. No statistics library:
both are inversions of distribution functions, found by bisection.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

CONFIDENCE: Final = 0.95
_STEPS: Final = 200  # halvings; floats have no more to give after 60


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval; None where there is nothing to estimate from."""

    value: float | None
    low: float
    high: float


@lru_cache(maxsize=4096)  # tuning asks for the same counts again and again
def share(hits: int, of: int, confidence: float = CONFIDENCE) -> Estimate:
    """A share of independent cases, by Clopper and Pearson."""
    if not 0 <= hits <= of:
        raise ValueError(f"0 <= hits <= of must hold, got {hits} and {of}")
    if of == 0:
        return Estimate(None, 0.0, 1.0)
    tail = (1 - confidence) / 2
    low = high = hits / of
    low = 0.0 if hits == 0 else _root(lambda p: 1 - _binomial(hits - 1, of, p) - tail)
    high = 1.0 if hits == of else _root(lambda p: tail - _binomial(hits, of, p))
    return Estimate(hits / of, low, high)


@lru_cache(maxsize=4096)
def rate(events: int, exposure: float, confidence: float = CONFIDENCE) -> Estimate:
    """Events a unit of exposure, by Garwood's exact Poisson interval."""
    if events < 0 or exposure < 0:
        raise ValueError("events and exposure are 0 or more")
    if exposure == 0:
        return Estimate(None, 0.0, math.inf)
    tail = (1 - confidence) / 2
    most = events + 10 * math.sqrt(events + 1) + 20
    low = 0.0
    if events > 0:
        low = _root(lambda m: 1 - _poisson(events - 1, m) - tail, most)
    high = _root(lambda m: tail - _poisson(events, m), most)
    return Estimate(events / exposure, low / exposure, high / exposure)


def needed_for_share(wanted: float, confidence: float = CONFIDENCE) -> int:
    """How many cases, all of them hits, show that a share is at least `wanted`."""
    if not 0 < wanted < 1:
        raise ValueError("a share within 0 and 1")
    return math.ceil(math.log(1 - confidence) / math.log(wanted))


def needed_for_rate(at_most: float, confidence: float = CONFIDENCE) -> float:
    """How much exposure without an event shows that a rate is at most `at_most`.

    The rule of three: 3 / `at_most` at a confidence of 95 %.
    """
    if not at_most > 0:
        raise ValueError("a rate above 0")
    return -math.log(1 - confidence) / at_most


def quantile(values: list[float], q: float) -> float | None:
    """The value that a share `q` of `values` does not exceed; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(q * len(ordered)) - 1))]


def _binomial(most: int, of: int, p: float) -> float:
    """P(X <= most) of `of` trials with chance `p`."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return float(most >= of)
    terms = (
        math.lgamma(of + 1)
        - math.lgamma(k + 1)
        - math.lgamma(of - k + 1)
        + k * math.log(p)
        + (of - k) * math.log1p(-p)
        for k in range(most + 1)
    )
    return min(1.0, math.fsum(map(math.exp, terms)))


def _poisson(most: int, mean: float) -> float:
    """P(X <= most) of a Poisson count with that mean."""
    if mean <= 0:
        return 1.0
    terms = (k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(most + 1))
    return min(1.0, math.fsum(map(math.exp, terms)))


def _root(rising: Callable[[float], float], high: float = 1.0) -> float:
    """Where a rising function of 0…`high` crosses 0."""
    low = 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
