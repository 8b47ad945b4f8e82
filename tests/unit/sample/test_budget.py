"""How samples are shared out."""

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.sample.budget import Budget, BudgetSettings, Demand, allocate

DEMANDS = st.lists(
    st.builds(Demand, st.floats(0.01, 10.0), st.floats(0.0, 1.0)), max_size=40
)
TOTALS = st.floats(0.01, 200.0)
FLOORS = st.floats(0.001, 2.0)


def floors_of(demands: list[Demand], floor: float) -> list[float]:
    """The least of each."""
    return [min(floor, demand.wanted_per_s) for demand in demands]


@given(DEMANDS, TOTALS, FLOORS)
def test_the_sum_is_the_budget(
    demands: list[Demand], total: float, floor: float
) -> None:
    """All of it if it is wanted, and no more, but for the floors."""
    rates = allocate(demands, total, floor)
    wanted = math.fsum(demand.wanted_per_s for demand in demands)
    least = math.fsum(floors_of(demands, floor))
    expected = max(least, min(total, wanted))
    assert math.fsum(rates) == pytest.approx(expected, rel=1e-6)


@given(DEMANDS, TOTALS, FLOORS)
def test_none_starves_and_none_gets_more_than_it_wants(
    demands: list[Demand], total: float, floor: float
) -> None:
    """However little there is, and however acute the others are."""
    rates = allocate(demands, total, floor)
    for demand, least, rate in zip(
        demands, floors_of(demands, floor), rates, strict=True
    ):
        assert least - 1e-9 <= rate <= demand.wanted_per_s + 1e-9


@given(DEMANDS, TOTALS, FLOORS, st.floats(0.01, 10.0), st.floats(0, 1), st.floats(0, 1))
def test_more_risk_is_never_less(
    demands: list[Demand],
    total: float,
    floor: float,
    wish: float,
    one: float,
    other: float,
) -> None:
    """Among two alike the riskier gets as much, and a stream gains by its own risk."""
    low, high = Demand(wish, min(one, other)), Demand(wish, max(one, other))
    *_, less, more = allocate([*demands, low, high], total, floor)
    assert less <= more + 1e-9
    *_, before = allocate([*demands, low], total, floor)
    *_, after = allocate([*demands, high], total, floor)
    assert before <= after + 1e-9


@given(DEMANDS, TOTALS, FLOORS, st.builds(Demand, st.floats(0.01, 10), st.floats(0, 1)))
def test_who_comes_takes_from_all_and_gives_to_none(
    demands: list[Demand], total: float, floor: float, new: Demand
) -> None:
    """Stable under churn: one more stream raises nobody's rate, and costs its own."""
    before = allocate(demands, total, floor)
    *after, rate = allocate([*demands, new], total, floor)
    assert all(b >= a - 1e-9 for b, a in zip(before, after, strict=True))
    assert math.fsum(before) - math.fsum(after) <= rate + 1e-6


@given(DEMANDS, TOTALS, FLOORS)
def test_the_order_does_not_matter(
    demands: list[Demand], total: float, floor: float
) -> None:
    """Nobody gets more for having come first."""
    rates = allocate(demands, total, floor)
    back = allocate(demands[::-1], total, floor)[::-1]
    assert rates == pytest.approx(back, rel=1e-6)


def test_the_acute_are_served_first() -> None:
    """Ten bursts among a thousand calm streams get nearly all they want."""
    demands = [Demand(5.0, 1.0)] * 10 + [Demand(1.0, 0.05)] * 990
    rates = allocate(demands, 200.0, 0.1)
    assert rates[0] == pytest.approx(5.0)
    assert rates[-1] == pytest.approx((200 - 50) / 990)


@pytest.mark.parametrize("number", [0.0, -1.0, math.nan, math.inf])
def test_numbers_that_make_no_sense_are_refused(number: float) -> None:
    """Finite and above 0."""
    for settings in ({"samples_per_s": number}, {"floor_s": number}):
        with pytest.raises(ValueError, match="above 0"):
            replace(BudgetSettings(10.0), **settings)


@dataclass
class Stream:
    """Asks, and notes what it is told."""

    wanted: Demand
    interval_s: float = -1.0

    def demand(self) -> Demand:
        """As given."""
        return self.wanted

    def pace(self, interval_s: float) -> None:
        """Noted."""
        self.interval_s = interval_s


def test_streams_are_paced_once_a_second_and_the_rest_counted() -> None:
    """What is granted has no limit; what is not adds up over the time it was not."""
    calm, acute = Stream(Demand(1.0, 0.0)), Stream(Demand(2.0, 1.0))
    budget = Budget(BudgetSettings(2.5, 10.0))
    assert budget.share_out([calm, acute], 100.0) == 0.0
    assert acute.interval_s == 0.0
    assert calm.interval_s == pytest.approx(2.0)
    calm.interval_s = -1.0
    assert budget.share_out([calm, acute], 100.9) == 0.0
    assert calm.interval_s == -1.0
    assert budget.share_out([calm], 102.0) == pytest.approx(1.0)
    assert calm.interval_s == 0.0
    assert budget.share_out([calm], 104.0) == 0.0
