"""Which policy holds for a stream, and what identifies a policy."""

import hashlib
import math
from dataclasses import replace

import pytest

from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.decide.rules import Rule, UnknownRule
from sidecar.domain import ActionKind, Category, SourceKind, Stream

RULE = Rule(
    "explicit",
    Category.SEXUAL_EXPLICIT,
    ActionKind.FLAG,
    enter=0.8,
    exit=0.5,
    hits=1,
    of=1,
    within_s=6.0,
    cooldown_s=60.0,
)
POLICY = Policy("default", Selector(), (RULE,), UnknownRule(30.0), 10.0)
CANONICAL = (
    '{"dry_run":false,"match":{"ids":["*"],"labels":{}},"name":"default",'
    '"rules":[{"action":"flag","allow_single_frame":false,'
    '"category":"sexual.explicit","cooldown_s":60.0,"enter":0.8,"exit":0.5,'
    '"expires_s":3600.0,"hits":1.0,"name":"explicit","of":1.0,'
    '"require_enforced":false,"within_s":6.0}],"stale_after_s":10.0,'
    '"unknown":{"action":null,"after_s":30.0,"cooldown_s":300.0,"name":"unknown"}}'
)


def stream(stream_id: str, **labels: str) -> Stream:
    """A stream with labels."""
    return Stream(stream_id, SourceKind.FILE, labels=labels)


def test_a_selector_needs_any_glob_and_all_labels() -> None:
    """Globs are alternatives and case-sensitive; labels must all be equal."""
    selector = Selector(("kids-*", "studio-?"), {"audience": "children"})
    assert selector.matches(stream("kids-1", audience="children", more="x"))
    assert selector.matches(stream("studio-7", audience="children"))
    assert not selector.matches(stream("Kids-1", audience="children"))
    assert not selector.matches(stream("kids-1"))
    assert not selector.matches(stream("kids-1", audience="adults"))
    assert not selector.matches(stream("studio-77", audience="children"))


def test_a_selector_without_globs_is_refused() -> None:
    """It would mean no stream, which nobody wants to say."""
    with pytest.raises(ValueError, match="glob"):
        Selector(())


def test_labels_are_copied() -> None:
    """A selector does not change with the mapping it was made of."""
    labels = {"a": "1"}
    selector = Selector(labels=labels)
    labels["a"] = "2"
    assert selector.labels == {"a": "1"}


def test_the_first_match_holds() -> None:
    """Order decides; a stream that no policy means gets none."""
    kids = replace(POLICY, name="kids", match=Selector(("kids-*",)))
    policies = PolicySet((kids, POLICY))
    assert policies.select(stream("kids-1")) is kids
    assert policies.select(stream("other")) is POLICY
    assert PolicySet((kids,)).select(stream("other")) is None


def test_a_catch_all_is_recognised() -> None:
    """Only '*' without labels is sure to match."""
    labelled = replace(POLICY, match=Selector(labels={"a": "1"}))
    assert PolicySet((POLICY,)).has_catch_all
    assert not PolicySet((labelled,)).has_catch_all
    assert not Selector(("?*",)).is_catch_all


def test_names_must_differ() -> None:
    """Of rules in a policy, the unknown rule's among them, and of policies."""
    with pytest.raises(ValueError, match="differ"):
        PolicySet((POLICY, POLICY))
    with pytest.raises(ValueError, match="differ"):
        replace(POLICY, rules=(RULE, RULE))
    with pytest.raises(ValueError, match="differ"):
        replace(POLICY, unknown=UnknownRule(1.0, name="explicit"))
    with pytest.raises(ValueError, match="reverse"):
        replace(POLICY, rules=(replace(RULE, name="reverse"),))


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf])
def test_a_staleness_that_makes_no_sense_is_refused(seconds: float) -> None:
    """A verdict must go stale at some time."""
    with pytest.raises(ValueError, match="stale_after_s"):
        replace(POLICY, stale_after_s=seconds)


def test_the_hash_is_of_the_content() -> None:
    """Equal policies hash alike however numbers are spelt; any change shows."""
    digest = hashlib.sha256(CANONICAL.encode()).hexdigest()
    assert POLICY.hash == f"sha256:{digest}"
    assert replace(POLICY, stale_after_s=10).hash == POLICY.hash
    assert replace(POLICY, rules=(replace(RULE, within_s=6),)).hash == POLICY.hash
    changed = [
        replace(POLICY, name="other"),
        replace(POLICY, match=Selector(("a*",))),
        replace(POLICY, match=Selector(labels={"a": "1"})),
        replace(POLICY, rules=(replace(RULE, enter=0.81),)),
        replace(POLICY, unknown=None),
        replace(POLICY, unknown=UnknownRule(31.0)),
        replace(POLICY, stale_after_s=11.0),
        replace(POLICY, dry_run=True),
    ]
    assert len({policy.hash for policy in [POLICY, *changed]}) == len(changed) + 1


def test_the_hash_does_not_depend_on_the_order_of_labels() -> None:
    """Canonical JSON sorts keys."""
    one = replace(POLICY, match=Selector(labels={"a": "1", "b": "2"}))
    two = replace(POLICY, match=Selector(labels={"b": "2", "a": "1"}))
    assert one.hash == two.hash
