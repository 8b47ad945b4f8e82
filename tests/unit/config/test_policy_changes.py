"""Changes of thresholds are checked, and told in words that are true."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.policies import PolicyConfig
from sidecar.config.policy_changes import Change, changed, in_words
from sidecar.errors import ConfigError

RULE = {
    "name": "cut",
    "category": "sexual.explicit",
    "action": "takedown",
    "enter": 0.9,
    "exit": 0.5,
    "hits": 2,
    "of": 4,
    "within_s": 5,
}
MODEL_HASH = "sha256:" + 64 * "0"
FLAG = {**RULE, "name": "flag", "action": "flag"}


def policy(name: str = "default", **over: Any) -> PolicyConfig:  # noqa: ANN401 YAML
    """One with two rules."""
    return PolicyConfig.model_validate({"name": name, "rules": [RULE, FLAG], **over})


def change(key: str, value: float, rule: str = "cut", to: str = "default") -> Change:
    """One number."""
    return Change.model_validate(
        {"policy": to, "rule": rule, "key": key, "value": value}
    )


OLD = (policy(), policy("other"))


def test_a_change_changes_one_number() -> None:
    """And says what follows from it; the old policies are as they were."""
    new = changed(OLD, [change("enter", 0.8), change("hits", 3.0)])
    assert new[0].rules[0].enter == 0.8
    assert new[0].rules[0].hits == 3
    assert OLD[0].rules[0].enter == 0.9
    assert new[0].rules[1] == OLD[0].rules[1]
    assert new[1] == OLD[1]
    about = "Rule 'cut' of 'default' (takedown on sexual.explicit)"
    assert in_words(OLD, new) == [
        f"{about}: enter 0.9 → 0.8: lower scores count, so it acts more often.",
        f"{about}: hits 2 → 3: more samples are needed, so it acts less often.",
    ]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("enter", 0.95, "only higher scores count"),
        ("exit", 0.4, "lower scores to end it"),
        ("of", 5, "among more samples"),
        ("within_s", 2.5, "within_s 5 s → 2.5 s: in a shorter time"),
        ("cooldown_s", 90, "cooldown_s 60 s → 90 s: it may act again only later"),
    ],
)
def test_each_number_has_its_words(key: str, value: float, words: str) -> None:
    """With its unit and its direction."""
    (said,) = in_words(OLD, changed(OLD, [change(key, value)]))
    assert words in said


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (change("enter", 0.4), "exit <= enter"),
        (change("hits", 5), "hits <= of"),
        (change("hits", 1.5), "integer"),
        (change("enter", 1.5), "less than or equal to 1"),
        (change("enter", 0.8, rule="none"), "has no rule 'none'"),
        (change("enter", 0.8, to="none"), "policy 'none' has no rule"),
        (change("hits", 1), "one frame must not lead"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: Change, why: str) -> None:
    """The error says why."""
    with pytest.raises(ConfigError, match=why):
        changed(OLD, [wrong])


@given(st.floats(0.51, 0.99), st.integers(2, 4))
def test_no_words_mean_no_change(enter: float, hits: int) -> None:
    """And a change has words: nobody confirms what is not said."""
    new = changed(OLD, [change("enter", enter), change("hits", hits)])
    assert (in_words(OLD, new) == []) == (new == OLD)


def test_everything_else_has_words_too() -> None:
    """As an undo may change what no slider does."""
    unknown = {"after_s": 5, "action": "escalate"}
    new = (
        policy("added"),
        policy(
            dry_run=True,
            match={"ids": ["a*"]},
            stale_after_s=20,
            unknown=unknown,
            calibrated_for=[MODEL_HASH],
            rules=[{**RULE, "action": "interrupt"}, {**RULE, "name": "new"}],
        ),
    )
    assert in_words(OLD, new) == [
        "Policy 'other' is removed.",
        "Policy 'added' is new.",
        "Policy 'default' only tells what it would do from now on.",
        "Policy 'default' means other streams.",
        "Policy 'default': stale_after_s 10 s → 20 s.",
        "Policy 'default': what UNKNOWN leads to changes.",
        "Policy 'default': calibrated_for changes.",
        "Rule 'flag' of 'default' is removed.",
        "Rule 'new' of 'default' is new.",
        "Rule 'cut' of 'default' (interrupt on sexual.explicit): action changes.",
    ]
    assert in_words(OLD, OLD[::-1]) == [
        "Policies are tried in another order; the first match holds."
    ]
    assert in_words((new[1],), (policy(),))[0] == (
        "Policy 'default' acts for real from now on."
    )
