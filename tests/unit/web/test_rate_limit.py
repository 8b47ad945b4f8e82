"""Token buckets: never more than the burst plus the rate times the time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.web.rate_limit import ClientBuckets, Rate, TokenBucket


def test_burst_then_rate() -> None:
    """The burst passes at once, then one in 1/per_s seconds; the wait is told."""
    bucket = TokenBucket(Rate(per_s=2.0, burst=2), now=0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert bucket.take(0.5) == 0.0
    assert bucket.take(0.5) == 0.5


@given(st.lists(st.floats(-1, 5), max_size=200))
def test_never_more_than_allowed(steps: list[float]) -> None:
    """Whatever the rhythm, even with time going back, the bound holds."""
    rate = Rate(per_s=3.0, burst=5)
    bucket, now, latest, passed = TokenBucket(rate, 0.0), 0.0, 0.0, 0
    forward = 0.0
    for step in steps:
        now += step
        forward += max(0.0, step)
        latest = max(latest, now)
        passed += bucket.take(now) == 0.0
    assert passed <= rate.burst + rate.per_s * forward + 1e-6


def test_clients_are_apart_and_bounded() -> None:
    """One client's flood does not touch another; only the latest are remembered."""
    buckets = ClientBuckets(Rate(per_s=1.0, burst=1), most_clients=2)
    assert buckets.take("a", 0.0) == 0.0
    assert buckets.take("a", 0.0) == 1.0
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.0) == 1.0
    assert buckets.take("c", 0.0) == 0.0
    assert len(buckets) == 2
    assert buckets.take("a", 0.0) == 1.0


@pytest.mark.parametrize(("per_s", "burst"), [(0.0, 1), (1.0, 0)])
def test_impossible_rates(per_s: float, burst: int) -> None:
    """A rate that lets nothing through is a mistake."""
    with pytest.raises(ValueError, match="rate"):
        Rate(per_s, burst)
