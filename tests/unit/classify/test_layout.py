"""Threads and callers: never more than there are cores, nor than it is worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.classify.layout import Layout, candidates, choose

SET = st.none() | st.integers(1, 80)


@given(cores=st.integers(1, 64), threads=SET, callers=SET)
def test_no_core_is_promised_twice(
    cores: int, threads: int | None, callers: int | None
) -> None:
    """There is always a layout; what was set is kept wherever the cores allow it."""
    found = candidates(cores, threads, callers)
    assert found
    assert all(1 <= one.cores <= cores for one in found)
    assert [one.cores for one in found] == sorted(one.cores for one in found)
    if threads is not None:
        assert all(one.threads == min(threads, cores) for one in found)
    if threads is not None and callers is not None and threads * callers <= cores:
        assert found == [Layout(threads, callers)]
    if threads is None and callers is not None and callers <= cores:
        assert {one.callers for one in found} == {callers}


def test_two_cores_can_be_used_in_three_ways() -> None:
    """One of them, both for each batch, or a batch on each."""
    found = candidates(2, None, None)
    assert set(found) == {Layout(1, 1), Layout(2, 1), Layout(1, 2)}
    assert found[0] == Layout(1, 1)
    assert candidates(1, None, None) == [Layout(1, 1)]


@pytest.mark.parametrize(
    ("rates", "best"),
    [
        ((100, 190, 150), Layout(1, 2)),  # a batch on each
        ((100, 150, 190), Layout(2, 1)),
        ((100, 105, 109), Layout(1, 1)),  # not worth a second core
        ((5000, 9999, 9999), Layout(1, 1)),  # quick enough: decoding needs the rest
    ],
)
def test_the_fastest_that_is_worth_its_cores(
    rates: tuple[float, ...], best: Layout
) -> None:
    """A second core has to bring a tenth more."""
    table = dict(zip(candidates(2, None, None), rates, strict=True))
    found, measured = choose(list(table), lambda one: table[one])
    assert found == best
    assert all(table[one] == rate for one, rate in measured.items())


def test_what_is_set_is_not_measured() -> None:
    """One candidate is the choice."""
    found, measured = choose([Layout(2, 3)], lambda _: 1 / 0)
    assert found == Layout(2, 3)
    assert not measured
