"""A text gets other values, and says exactly those; all else in it stays."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.yaml_text import rewritten

WORDS = st.text("abcxyz -:#'\"", min_size=1, max_size=8)
# Thresholds; of a float with 16 digits ruamel.yaml may write the last one otherwise.
NUMBERS = st.integers(-9000, 9000).map(lambda n: n / 1000)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), NUMBERS, WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["name", "a", "b", "c"]), inner, max_size=3),
    ),
    max_leaves=8,
)
LISTS = st.lists(VALUES, max_size=3)


@given(LISTS, LISTS)
def test_it_says_what_it_is_told(before: list[Any], after: list[Any]) -> None:
    """Whatever stood there."""
    text = rewritten(yaml.safe_dump(before), after, after)
    assert yaml.safe_load(text) == after


@given(LISTS)
def test_what_says_it_already_stays_as_it_is(value: list[Any]) -> None:
    """A second time nothing changes."""
    text = rewritten(yaml.safe_dump(value), value, value)
    assert rewritten(text, value, value) == text


def test_defaults_are_said_only_where_they_were() -> None:
    """A key that the text lacks and that has its default is not added."""
    text = "- a: 1  # one\n  d: 5\n"
    whole = [{"a": 2, "d": 0, "e": 0}]
    assert rewritten(text, whole, [{"a": 2}]) == "- a: 2  # one\n  d: 0\n"


def test_things_are_found_by_name() -> None:
    """In another order, one fewer, one more; each with its own comments."""
    text = "- name: x\n  n: 1  # of x\n- name: y\n  n: 2  # of y\n"
    value = [{"name": "y", "n": 3}, {"name": "z", "n": 4}]
    found = rewritten(text, value, value)
    assert yaml.safe_load(found) == value
    assert "n: 3  # of y" in found
    assert "of x" not in found


@pytest.mark.parametrize("text", ["a: 1", "x", "", "- ["])
def test_no_list_is_an_error(text: str) -> None:
    """To be written anew by who asked."""
    with pytest.raises((ValueError, TypeError)):
        rewritten(text, [], [])
