"""A broken endpoint is left alone, and asked again at growing intervals."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.classify.breaker import Breaker, BreakerSettings

SETTINGS = BreakerSettings(failures=3, rest_s=1.0, longest_rest_s=4.0)


def test_a_few_failures_are_forgiven() -> None:
    """Only so many in a row open it; a success in between starts the count anew."""
    breaker = Breaker(SETTINGS)
    for _ in range(5):
        breaker.failed(0.0)
        breaker.failed(0.0)
        assert breaker.closed
        breaker.succeeded()
    for _ in range(3):
        breaker.failed(0.0)
    assert not breaker.closed


def test_it_rests_longer_each_time_it_is_still_broken() -> None:
    """1, 2, 4, 4 … seconds; failures of what was under way do not count."""
    breaker = Breaker(SETTINGS)
    for _ in range(3):
        breaker.failed(0.0)
    now = 0.0
    for rest_s in (1.0, 2.0, 4.0, 4.0):
        breaker.failed(now)  # came late
        assert not breaker.probe_due(now + rest_s - 0.01)
        now += rest_s
        assert breaker.probe_due(now)
        breaker.failed(now)
    breaker.succeeded()
    assert breaker.closed
    assert not breaker.probe_due(now)
    for _ in range(3):
        breaker.failed(now)
    assert breaker.probe_due(now + 1.0)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=60))
def test_it_is_never_left_alone_for_ever(news: list[tuple[bool, float]]) -> None:
    """Whatever came: closed, or a probe is due within the longest rest."""
    breaker, now = Breaker(SETTINGS), 0.0
    for good, later in news:
        now += later
        if good:
            breaker.succeeded()
        else:
            breaker.failed(now)
        assert breaker.closed or breaker.probe_due(now + SETTINGS.longest_rest_s)
        assert not good or breaker.closed
