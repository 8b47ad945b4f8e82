"""Tokens of the control API: each its own, one of them an operator's."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sidecar.config.listeners import ControlConfig

TOKENS = {"A": "a" * 20, "B": "b" * 20, "C": "c" * 20, "SHORT": "short"}


def control(**keys: Any) -> ControlConfig:  # noqa: ANN401 YAML
    """The section, with secrets from an environment of its own."""
    context = {"environ": TOKENS, "base": Path()}
    return ControlConfig.model_validate(keys, context=context)


def test_each_token_has_a_name_and_a_role() -> None:
    """The two short keys are `operator` and `observer`."""
    found = control(
        token={"env": "A"},
        observer_token={"env": "B"},
        tokens=[{"name": "desk1", "token": {"env": "C"}}],
    ).named_tokens()
    roles = {name: role for name, (role, _) in found.items()}
    assert roles == {
        "operator": "operator",
        "observer": "observer",
        "desk1": "operator",
    }
    assert control().named_tokens() == {}


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"observer_token": {"env": "A"}}, "token: is missing"),
        ({"token": {"env": "A"}, "observer_token": {"env": "A"}}, "are the same"),
        ({"token": {"env": "SHORT"}}, "token: is not usable"),
        (
            {"token": {"env": "A"}, "observer_token": {"env": "SHORT"}},
            "observer_token: is not usable",
        ),
        (
            {"tokens": [{"name": "desk1", "token": {"env": "SHORT"}}]},
            r"tokens\.desk1: is not usable",
        ),
        ({"tokens": [{"name": "a b", "token": {"env": "A"}}]}, "characters"),
        (
            {
                "token": {"env": "A"},
                "tokens": [{"name": "operator", "token": {"env": "B"}}],
            },
            "share a name",
        ),
        ({"host": "0.0.0.0"}, "token: is missing"),  # noqa: S104 what is refused
    ],
)
def test_what_could_not_be_told_apart_or_act_is_refused(
    keys: dict[str, Any], why: str
) -> None:
    """Each refusal names the key."""
    with pytest.raises(ValidationError, match=why):
        control(**keys)
