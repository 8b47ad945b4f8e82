"""Tokens find their owners, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.web.callers import LOCAL, Callers, Principal, Role

ANNA = Principal.of("anna", Role.OPERATOR, "a" * 20)
BEN = Principal.of("ben", Role.OBSERVER, "b" * 20)


def test_each_token_finds_its_owner() -> None:
    """By token and by name; a stranger's finds nobody."""
    callers = Callers([ANNA, BEN])
    assert callers
    assert callers.by_token(b"a" * 20) == ANNA
    assert callers.by_token(b"b" * 20) == BEN
    assert callers.by_token(b"c" * 20) is None
    assert callers.by_name("ben") == BEN
    assert callers.by_name("cleo") is None
    assert (BEN.caller.name, BEN.caller.role, BEN.caller.proven) == (
        "ben",
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
        Principal.of("anna", Role.OBSERVER, "other" * 5),
        Principal.of("other", Role.OBSERVER, "a" * 20),
    ],
)
def test_twins_are_refused(twin: Principal) -> None:
    """Two of one name, or of one token, could not be told apart."""
    with pytest.raises(ValueError, match="share"):
        Callers([ANNA, twin])


def test_the_tag_differs_with_the_tokens_and_shows_none() -> None:
    """Two sidecars on one host keep their cookies apart; the order does not matter."""
    assert Callers([ANNA, BEN]).tag() == Callers([BEN, ANNA]).tag()
    assert Callers([ANNA]).tag() != Callers([BEN]).tag()
    assert "a" * 20 not in repr(ANNA)


@given(st.binary(max_size=64))
def test_any_bytes_find_nobody(token: bytes) -> None:
    """But the owner's own."""
    assert (Callers([ANNA]).by_token(token) is None) == (token != b"a" * 20)
