"""Tokens find their owners, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.web.callers import LOCAL, Callers, Principal, Role

DESK1 = Principal.of("desk1", Role.OPERATOR, "a" * 20)
DESK2 = Principal.of("desk2", Role.OBSERVER, "b" * 20)


def test_each_token_finds_its_owner() -> None:
    """By token and by name; a stranger's finds nobody."""
    callers = Callers([DESK1, DESK2])
    assert callers
    assert callers.by_token(b"a" * 20) == DESK1
    assert callers.by_token(b"b" * 20) == DESK2
    assert callers.by_token(b"c" * 20) is None
    assert callers.by_name("desk2") == DESK2
    assert callers.by_name("cleo") is None
    assert (DESK2.caller.name, DESK2.caller.role, DESK2.caller.proven) == (
        "desk2",
        Role.OBSERVER,
        True,
    )


def test_nobody_is_nobody() -> None:
    """Without tokens there are no callers but local ones, which prove nothing."""
    assert not Callers()
    assert not LOCAL.proven


@pytest.mark.parametrize(
    "twin",
    [
        Principal.of("desk1", Role.OBSERVER, "other" * 5),
        Principal.of("other", Role.OBSERVER, "a" * 20),
    ],
)
def test_twins_are_refused(twin: Principal) -> None:
    """Two of one name, or of one token, could not be told apart."""
    with pytest.raises(ValueError, match="share"):
        Callers([DESK1, twin])


def test_the_tag_differs_with_the_tokens_and_shows_none() -> None:
    """Two sidecars on one host keep their cookies apart; the order does not matter."""
    assert Callers([DESK1, DESK2]).tag() == Callers([DESK2, DESK1]).tag()
    assert Callers([DESK1]).tag() != Callers([DESK2]).tag()
    assert "a" * 20 not in repr(DESK1)


@given(st.binary(max_size=64))
def test_any_bytes_find_nobody(token: bytes) -> None:
    """But the owner's own."""
    assert (Callers([DESK1]).by_token(token) is None) == (token != b"a" * 20)
