"""Rules whose numbers disagree never come to be."""

import math
from typing import Any

import pytest

from sidecar.decide.rules import Rule, UnknownRule
from sidecar.domain import ActionKind, Category

GOOD: dict[str, Any] = {
    "name": "explicit",
    "category": Category.SEXUAL_EXPLICIT,
    "action": ActionKind.TAKEDOWN,
    "enter": 0.8,
    "exit": 0.5,
    "hits": 2,
    "of": 3,
    "within_s": 6.0,
    "cooldown_s": 0.0,
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", ""),
        ("category", Category.SAFE),
        ("action", ActionKind.REVERSE_TAKEDOWN),
        ("enter", 0.4),
        ("enter", 1.1),
        ("enter", math.nan),
        ("exit", 0.0),
        ("exit", math.nan),
        ("hits", 0),
        ("hits", 4),
        ("of", 1001),
        ("within_s", 0.0),
        ("within_s", math.inf),
        ("cooldown_s", -1.0),
        ("cooldown_s", math.nan),
        ("expires_s", 0.0),
    ],
)
def test_a_rule_refuses_numbers_that_disagree(key: str, value: object) -> None:
    """Each fault alone is refused, and the good rule is not."""
    Rule(**GOOD)
    with pytest.raises(ValueError, match=r"."):
        Rule(**GOOD | {key: value})


@pytest.mark.parametrize("action", [ActionKind.TAKEDOWN, ActionKind.INTERRUPT])
def test_one_frame_does_not_cut_a_stream(action: ActionKind) -> None:
    """A single hit may cut the video only where the operator says so by name."""
    single = GOOD | {"hits": 1, "action": action}
    with pytest.raises(ValueError, match="allow_single_frame"):
        Rule(**single)
    assert Rule(**single, allow_single_frame=True).hits == 1
    assert Rule(**single | {"action": ActionKind.FLAG}).hits == 1


@pytest.mark.parametrize(
    "values",
    [
        {"after_s": -1.0},
        {"after_s": math.nan},
        {"after_s": 1.0, "cooldown_s": math.inf},
        {"after_s": 1.0, "name": ""},
        {"after_s": 1.0, "action": ActionKind.REVERSE_TAKEDOWN},
    ],
)
def test_an_unknown_rule_refuses_nonsense(values: dict[str, Any]) -> None:
    """Each fault alone is refused; failing open, at once too, is not."""
    assert UnknownRule(after_s=0.0).action is None
    with pytest.raises(ValueError, match=r"."):
        UnknownRule(**values)
