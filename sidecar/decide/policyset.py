"""Policies as data, and which one holds for a stream."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from sidecar.decide.rules import Rule, UnknownRule
from sidecar.domain import Stream

REVERSE_RULE = "reverse"  # what a person's reversal gives as its rule

_CanonicalValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Selector:
    """Which streams are meant: any of the globs on the id, and all of the labels.

    Attributes:
        ids: Globs (`*`, `?`, `[…]`), case-sensitive; at least one.
        labels: Must all be present and equal.
    """

    ids: tuple[str, ...] = ("*",)
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.ids:
            raise ValueError("a selector needs at least one glob, '*' for all streams")
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    @property
    def is_catch_all(self) -> bool:
        """Whether every stream is meant."""
        return "*" in self.ids and not self.labels

    def matches(self, stream: Stream) -> bool:
        """Whether `stream` is meant."""
        return any(fnmatchcase(stream.id, glob) for glob in self.ids) and all(
            stream.labels.get(key) == value for key, value in self.labels.items()
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules for a group of streams.

    Attributes:
        name: Shown in every action.
        match: For which streams.
        rules: Names differ; actions of one sample come in this order.
        unknown: What not having been seen leads to; None: nothing but the verdict.
        stale_after_s: Age of the last scored sample that makes a verdict UNKNOWN.
        dry_run: Actions are marked so that enforcers do not act.
        hash: `sha256:…` of the canonical JSON of all of the above; computed.

    Raises:
        ValueError: Two rules share a name, or a number makes no sense.
    """

    name: str
    match: Selector
    rules: tuple[Rule, ...]
    unknown: UnknownRule | None
    stale_after_s: float
    dry_run: bool = False
    hash: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.rules] + [REVERSE_RULE]
        if self.unknown is not None:
            names.append(self.unknown.name)
        if len(set(names)) != len(names):
            raise ValueError(
                "rule names must differ within a policy, the unknown rule's too, "
                f"and none may be {REVERSE_RULE!r}"
            )
        if not (math.isfinite(self.stale_after_s) and self.stale_after_s > 0):
            raise ValueError(f"stale_after_s must be above 0, got {self.stale_after_s}")
        object.__setattr__(self, "hash", _hash(self))


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The policies in force, first match first.

    Raises:
        ValueError: Two policies share a name.
    """

    policies: tuple[Policy, ...]

    def __post_init__(self) -> None:
        names = {policy.name for policy in self.policies}
        if len(names) != len(self.policies):
            raise ValueError("policy names must differ")

    @property
    def has_catch_all(self) -> bool:
        """Whether every stream is sure to find a policy."""
        return any(policy.match.is_catch_all for policy in self.policies)

    def select(self, stream: Stream) -> Policy | None:
        """The first policy that means `stream`; None if none does."""
        for policy in self.policies:
            if policy.match.matches(stream):
                return policy
        return None


def _hash(policy: Policy) -> str:
    canonical = {
        "name": policy.name,
        "match": {"ids": policy.match.ids, "labels": dict(policy.match.labels)},
        "rules": [_plain(asdict(rule)) for rule in policy.rules],
        "unknown": _plain(asdict(policy.unknown)) if policy.unknown else None,
        "stale_after_s": float(policy.stale_after_s),
        "dry_run": policy.dry_run,
    }
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _plain(values: Mapping[str, _CanonicalValue]) -> dict[str, _CanonicalValue]:
    """`values` with one spelling of each number: 6 and 6.0 are the same policy."""
    return {
        key: float(value)
        if isinstance(value, int) and not isinstance(value, bool)
        else value
        for key, value in values.items()
    }
