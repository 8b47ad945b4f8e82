"""Intervals that hold what they promise, against published values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replay.intervals import (
    _binomial,
    _poisson,
    _root,
    needed_for_rate,
    needed_for_share,
    quantile,
    rate,
    share,
)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (10, 10, 0.6915, 1.0),
        (5, 10, 0.1871, 0.8129),
        (1, 20, 0.0013, 0.2487),
        (81, 263, 0.2527, 0.3676),
    ],
)
def test_shares_are_those_of_clopper_and_pearson(
    hits: int, of: int, low: float, high: float
) -> None:
    """The values of published tables."""
    found = share(hits, of)
    assert found.value == hits / of
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("events", "low", "high"),
    [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904), (50, 37.11, 65.92)],
)
def test_rates_are_those_of_garwood(events: int, low: float, high: float) -> None:
    """Exact Poisson intervals; of exposure 2, half of them."""
    found = rate(events, 2.0)
    assert found.value == events / 2
    assert (found.low * 2, found.high * 2) == pytest.approx((low, high), abs=5e-3)


def test_nothing_to_estimate_from_says_so() -> None:
    """No cases: anything is possible."""
    assert share(0, 0).value is None
    assert (share(0, 0).low, share(0, 0).high) == (0.0, 1.0)
    assert rate(0, 0.0).value is None
    assert rate(0, 0.0).high == math.inf
    assert quantile([], 0.5) is None


@given(st.integers(0, 60), st.integers(0, 60))
def test_an_interval_holds_its_estimate(hits: int, more: int) -> None:
    """And lies within 0 and 1."""
    found = share(hits, hits + more)
    assert found.value is None or 0 <= found.low <= found.value <= found.high <= 1


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 1))
def test_a_quantile_is_one_of_the_values(values: list[float], q: float) -> None:
    """So many of them do not exceed it."""
    found = quantile(values, q)
    assert found in values
    assert sum(value <= found for value in values) >= q * len(values) - 1e-9


def test_how_much_is_needed() -> None:
    """The rule of three: without an exception in n, 3 / n."""
    assert needed_for_share(0.95) == 59
    assert needed_for_share(0.9) == 29
    assert needed_for_rate(0.01) == pytest.approx(299.6, abs=0.1)
    assert share(59, 59, confidence=0.9).low >= 0.95


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: share(2, 1),
        lambda: rate(-1, 1.0),
        lambda: needed_for_share(1.0),
        lambda: needed_for_rate(0.0),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: object) -> None:
    """Rather than answered."""
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"hold|or more|within|above"):
        wrong()


@given(st.integers(0, 40))
def test_at_the_ends_an_interval_is_one_sided(of: int) -> None:
    """No hit: down to 0; nothing but hits: up to 1."""
    assert share(0, of + 1).low == 0.0
    assert share(of + 1, of + 1).high == 1.0
    assert rate(0, 1.0).low == 0.0


def test_chances_that_are_certain() -> None:
    """What cannot happen happens at most ever so often; what must, every time."""
    assert _binomial(0, 5, 0.0) == 1.0
    assert _binomial(4, 5, 1.0) == 0.0
    assert _binomial(5, 5, 1.0) == 1.0
    assert _poisson(0, 0.0) == 1.0


def test_a_root_is_found_as_closely_as_numbers_go() -> None:
    """Also where nothing lies between, and where the range is too wide for that."""
    assert _root(lambda x: x - 0.25) == pytest.approx(0.25, abs=1e-15)
    assert _root(lambda x: x - 1e-300) == pytest.approx(0.0, abs=1e-15)
