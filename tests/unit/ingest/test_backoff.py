"""Back-off: capped, jittered, and never sooner than the server wishes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.ingest.backoff import Backoff

_uniform = st.floats(0, 1, exclude_max=True)
_attempts = st.integers(0, 10_000)


def test_ceiling_doubles_up_to_its_cap() -> None:
    """The ceilings are first_s, twice that, and so on, until the cap."""
    backoff = Backoff(first_s=0.5, cap_s=3.0)
    assert [backoff.ceiling(n) for n in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_jitter_is_full() -> None:
    """The wait is anywhere between nothing and the ceiling."""
    backoff = Backoff(first_s=1.0, cap_s=8.0)
    assert backoff.next_delay(2, 0.0) == 0.0
    assert backoff.next_delay(2, 0.5) == 2.0


def test_retry_after_is_a_floor() -> None:
    """A server's wish is waited out, and the jitter comes on top."""
    assert Backoff(first_s=1.0).next_delay(0, 0.5, retry_after_s=7.0) == 7.5


def test_retry_after_is_capped() -> None:
    """A server cannot send a stream away for a day, nor into the past."""
    backoff = Backoff(retry_after_cap_s=60.0)
    assert backoff.next_delay(0, 0.0, retry_after_s=86_400.0) == 60.0
    assert backoff.next_delay(0, 0.0, retry_after_s=-5.0) == 0.0


@pytest.mark.parametrize(
    "settings",
    [
        {"first_s": 0.0},
        {"first_s": 2.0, "cap_s": 1.0},
        {"factor": 0.9},
        {"retry_after_cap_s": -1.0},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    """A back-off that never waits or shrinks is a mistake."""
    with pytest.raises(ValueError, match=r"back-off|retry_after"):
        Backoff(**settings)


@given(_attempts, _uniform, st.none() | st.floats(0, 1e9))
def test_wait_is_bounded(attempt: int, uniform: float, wish: float | None) -> None:
    """No wait is negative, below the granted wish, or above wish plus cap."""
    backoff = Backoff()
    granted = min(wish or 0.0, backoff.retry_after_cap_s)
    wait = backoff.next_delay(attempt, uniform, wish)
    assert granted <= wait <= granted + backoff.cap_s


@given(_attempts)
def test_ceiling_never_shrinks(attempt: int) -> None:
    """One more failure never shortens the ceiling."""
    backoff = Backoff()
    assert backoff.ceiling(attempt) <= backoff.ceiling(attempt + 1) <= backoff.cap_s
