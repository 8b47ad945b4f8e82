"""Pure: changes of thresholds, and what they will change, in words."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.config.policies import Name, PolicyConfig, RuleConfig
from sidecar.errors import ConfigError

Policies = tuple[PolicyConfig, ...]

_COUNTS: Final = frozenset({"hits", "of"})
_LOWER: Final = "lower scores count, so it acts more often"
_HIGHER: Final = "only higher scores count, so it acts less often"
_MORE: Final = "so it acts more often"
_LESS: Final = "so it acts less often"
_EFFECTS: Final = {
    "enter": (_LOWER, _HIGHER),
    "exit": ("it takes lower scores to end it", "it ends at higher scores"),
    "hits": (f"fewer samples are enough, {_MORE}", f"more samples are needed, {_LESS}"),
    "of": (f"among fewer samples, {_LESS}", f"among more samples, {_MORE}"),
    "within_s": (f"in a shorter time, {_LESS}", f"in a longer time, {_MORE}"),
    "cooldown_s": ("it may act again sooner", "it may act again only later"),
}
_SAID: Final = frozenset(
    {"name", "match", "rules", "unknown", "stale_after_s", "dry_run"}
)
_UNITS: Final = {"within_s": " s", "cooldown_s": " s"}


class Change(BaseModel):
    """One number of one rule, as it is to be."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )

    policy: Name
    rule: Name
    key: Literal["enter", "exit", "hits", "of", "within_s", "cooldown_s"]
    value: Annotated[float, Field(ge=0, le=86_400)]


def changed(policies: Policies, changes: Iterable[Change]) -> Policies:
    """The policies with `changes` made, checked.

    Raises:
        ConfigError: A change names what is not there, or the numbers disagree.
    """
    plain = {policy.name: policy.model_dump() for policy in policies}
    for change in changes:
        rule = _rule_of(plain.get(change.policy), change)
        whole = change.key in _COUNTS and change.value.is_integer()
        rule[change.key] = int(change.value) if whole else change.value
    try:
        return tuple(PolicyConfig.model_validate(plain[p.name]) for p in policies)
    except ValidationError as exc:
        raise ConfigError(*map(_sentence, exc.errors())) from None


def _rule_of(policy: "dict[str, object] | None", change: Change) -> "dict[str, object]":
    rules = [] if policy is None else policy["rules"]
    assert isinstance(rules, list | tuple)
    for rule in rules:
        if rule["name"] == change.rule:
            found: dict[str, object] = rule
            return found
    raise ConfigError(f"policy {change.policy!r} has no rule {change.rule!r}")


def _sentence(error: object) -> str:
    assert isinstance(error, dict)
    where = ".".join(str(part) for part in error["loc"])
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def in_words(old: Sequence[PolicyConfig], new: Sequence[PolicyConfig]) -> list[str]:
    """What changes from `old` to `new`, a sentence each; empty if nothing does."""
    before, after = {p.name: p for p in old}, {p.name: p for p in new}
    words = [f"Policy {n!r} is removed." for n in before if n not in after]
    words += [f"Policy {n!r} is new." for n in after if n not in before]
    for name in (n for n in after if n in before):
        words += _policy_words(before[name], after[name])
    common = [n for n in before if n in after]
    if common != [n for n in after if n in before]:
        words.append("Policies are tried in another order; the first match holds.")
    return words


def _policy_words(old: PolicyConfig, new: PolicyConfig) -> list[str]:
    name = new.name
    words: list[str] = []
    if old.dry_run != new.dry_run:
        what = "only tells what it would do" if new.dry_run else "acts for real"
        words.append(f"Policy {name!r} {what} from now on.")
    if old.match != new.match:
        words.append(f"Policy {name!r} means other streams.")
    if old.stale_after_s != new.stale_after_s:
        words.append(
            f"Policy {name!r}: stale_after_s {old.stale_after_s:g} s → "
            f"{new.stale_after_s:g} s."
        )
    if old.unknown != new.unknown:
        words.append(f"Policy {name!r}: what UNKNOWN leads to changes.")
    rest = sorted(set(PolicyConfig.model_fields) - _SAID)
    if other := [key for key in rest if getattr(old, key) != getattr(new, key)]:
        words.append(f"Policy {name!r}: {', '.join(other)} changes.")
    before, after = {r.name: r for r in old.rules}, {r.name: r for r in new.rules}
    words += [f"Rule {n!r} of {name!r} is removed." for n in before if n not in after]
    words += [f"Rule {n!r} of {name!r} is new." for n in after if n not in before]
    for rule in (n for n in after if n in before):
        words += _rule_words(name, before[rule], after[rule])
    return words


def _rule_words(policy: str, old: RuleConfig, new: RuleConfig) -> list[str]:
    about = f"Rule {new.name!r} of {policy!r} ({new.action} on {new.category})"
    words = []
    for key, (down, up) in _EFFECTS.items():
        was, becomes = getattr(old, key), getattr(new, key)
        if was != becomes:
            unit, effect = _UNITS.get(key, ""), down if becomes < was else up
            words.append(f"{about}: {key} {was:g}{unit} → {becomes:g}{unit}: {effect}.")
    rest = set(RuleConfig.model_fields) - _EFFECTS.keys() - {"name"}
    other = sorted(k for k in rest if getattr(old, k) != getattr(new, k))
    if other:
        words.append(f"{about}: {', '.join(other)} changes.")
    return words
