"""A way that loses, delays and narrows, the same each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.replay.network import Network


@given(
    st.lists(st.tuples(st.integers(40, 1500), st.floats(0, 0.1)), max_size=50),
    st.floats(0, 0.9),
    st.floats(0, 0.5),
    st.sampled_from([0.0, 1e5, 1e6]),
)
def test_order_is_kept_and_nothing_comes_early(
    packets: list[tuple[int, float]], loss: float, jitter_s: float, width: float
) -> None:
    """Whatever the way is like; and it fares the same again."""
    runs = []
    for _ in range(2):
        network, now, arrivals = Network(loss, jitter_s, width), 0.0, []
        for size, gap_s in packets:
            now += gap_s
            at = network.arrival(size, now)
            assert at is None or at >= now
            arrivals.append(at)
        runs.append(arrivals)
    arrived = [at for at in runs[0] if at is not None]
    assert arrived == sorted(arrived)
    assert runs[0] == runs[1]


def test_a_perfect_way_changes_nothing() -> None:
    """And says so."""
    network = Network()
    assert network.perfect
    assert [network.arrival(1000, at) for at in (1.0, 2.0)] == [1.0, 2.0]
    assert not Network(loss=0.1).perfect


def test_a_share_is_lost() -> None:
    """About as many as was asked for."""
    network = Network(loss=0.25)
    lost = sum(network.arrival(100, float(n)) is None for n in range(4000))
    assert lost == pytest.approx(1000, abs=100)


def test_a_narrow_way_lets_through_so_much() -> None:
    """What comes too fast waits; beyond half a second it is lost."""
    network = Network(bits_per_s=80_000)
    arrivals = [network.arrival(1000, 0.0) for _ in range(10)]
    assert arrivals[:6] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert arrivals[6:] == [None] * 4
