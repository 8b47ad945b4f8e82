"""Cookies hold for whom and as long as they say, and no other way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.web.callers import Callers, Principal, Role
from sidecar.web.sessions import LIFETIME_S, Sessions

DESK1 = Principal.of("desk1", Role.OPERATOR, "a" * 20)
NOW = 1_800_000_000.5


def test_a_cookie_holds_until_it_expires() -> None:
    """Also in another process that has the same token."""
    cookie = Sessions(Callers([DESK1])).issue(DESK1, "n1", NOW)
    other = Sessions(Callers([DESK1]))
    found = other.session(cookie, NOW + LIFETIME_S - 1)
    assert found is not None
    assert (found.principal, found.nonce) == (DESK1, "n1")
    assert other.session(cookie, NOW + LIFETIME_S) is None


def test_another_token_ends_all_sessions() -> None:
    """And so does taking the name away."""
    cookie = Sessions(Callers([DESK1])).issue(DESK1, "n1", NOW)
    changed = Principal.of("desk1", Role.OPERATOR, "x" * 20)
    assert Sessions(Callers([changed])).session(cookie, NOW) is None
    assert Sessions(Callers()).session(cookie, NOW) is None


def test_an_ended_session_is_over() -> None:
    """Logging out is not a matter of the browser's good will."""
    sessions = Sessions(Callers([DESK1]))
    cookie = sessions.issue(DESK1, "n1", NOW)
    found = sessions.session(cookie, NOW)
    assert found is not None
    sessions.end(found, NOW)
    assert sessions.session(cookie, NOW) is None
    assert sessions.session(sessions.issue(DESK1, "n2", NOW), NOW) is not None


def test_what_is_remembered_of_ended_ones_is_bounded() -> None:
    """Those that would have expired by now are forgotten."""
    sessions = Sessions(Callers([DESK1]))
    for number, now in ((1, NOW), (2, NOW + 1), (3, NOW + LIFETIME_S + 1)):
        found = sessions.session(sessions.issue(DESK1, f"n{number}", now), now)
        assert found is not None
        sessions.end(found, now)
    assert list(sessions._ended) == ["n3"]


@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_no_part_of_a_cookie_can_be_changed(part: int) -> None:
    """Name, end, nonce and signature belong together."""
    sessions = Sessions(
        Callers([DESK1, Principal.of("desk2", Role.OBSERVER, "b" * 20)])
    )
    parts = sessions.issue(DESK1, "n1", NOW).split(":")
    parts[part] = ["desk2", "1900000000", "n2", "0" * 64][part]
    assert sessions.session(":".join(parts), NOW) is None


@given(st.text(max_size=80))
def test_any_text_is_no_session(text: str) -> None:
    """A foreign cookie is no error either."""
    assert Sessions(Callers([DESK1])).session(text, NOW) is None


@given(st.integers(-(10**9), 10**9), st.text("0123456789abcdef", max_size=8))
def test_a_forged_end_is_no_session(expires: int, mac: str) -> None:
    """Whatever the numbers are."""
    text = f"desk1:{expires}:n:{mac}"
    assert Sessions(Callers([DESK1])).session(text, NOW) is None
