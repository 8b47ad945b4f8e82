"""Policies as an operator writes them, turned into what the decide stage takes."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from sidecar.config.models import ModelHash
from sidecar.config.section import Section
from sidecar.decide.policyset import Policy, Selector
from sidecar.decide.rules import Rule, UnknownRule
from sidecar.domain import ActionKind, Category

Score = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=1000)]
Span = Annotated[float, Field(gt=0, le=86_400)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")]


class SelectorConfig(Section):
    """Which streams: a glob on the id, and labels that must all be equal."""

    ids: tuple[str, ...] = ("*",)
    labels: dict[str, str] = Field(default_factory=dict)

    def to_selector(self) -> Selector:
        """For the decide stage."""
        return Selector(ids=self.ids, labels=self.labels)


class RuleConfig(Section):
    """One rung: what the scores must do, and what follows."""

    name: Name
    category: Category
    action: ActionKind
    enter: Score
    exit: Score
    hits: Count
    of: Count
    within_s: Span
    cooldown_s: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    expires_s: Span = 3600.0
    require_enforced: bool = False
    allow_single_frame: bool = False

    def to_rule(self) -> Rule:
        """For the decide stage; raises ValueError where the numbers disagree."""
        return Rule(**self.model_dump())

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        self.to_rule()
        return self


class UnknownConfig(Section):
    """What not having been seen leads to; `action: null` fails open, visibly."""

    name: Name = "unknown"
    after_s: Span = 30.0
    action: ActionKind | None = None
    cooldown_s: Annotated[float, Field(ge=0, le=86_400)] = 300.0


class PolicyConfig(Section):
    """One policy for the streams it matches; the first match holds.

    `calibrated_for` lists the models (by hash) whose scores its thresholds were set
    for; with another one the configuration is refused. Empty: any.
    """

    name: Name
    match: SelectorConfig = SelectorConfig()
    rules: Annotated[tuple[RuleConfig, ...], Field(min_length=1)]
    unknown: UnknownConfig | None = None
    stale_after_s: Span = 10.0
    dry_run: bool = False
    calibrated_for: tuple[ModelHash, ...] = ()

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        self.to_policy()
        return self

    def to_policy(self) -> Policy:
        """For the decide stage."""
        return Policy(
            name=self.name,
            match=self.match.to_selector(),
            rules=tuple(rule.to_rule() for rule in self.rules),
            unknown=UnknownRule(**self.unknown.model_dump()) if self.unknown else None,
            stale_after_s=self.stale_after_s,
            dry_run=self.dry_run,
        )
