"""What the operator's page is given to look at; times are Unix seconds."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sidecar.domain import Delivery, Outcome


class EvidenceView(BaseModel):
    """One sample that spoke for an action."""

    at: float
    score: float


class ActionView(BaseModel):
    """One action, and how far it got."""

    id: str | None = Field(description="null until it is on disk")
    key: str = Field(description="Stays the same while `id` comes.")
    stream: str
    action: str
    policy: str
    rule: str
    category: str | None
    score: float | None
    enter: float | None
    hits: int
    of: int
    within_s: float
    unknown: str | None
    dry_run: bool
    decided_at: float
    captured_at: float
    delivery: Delivery
    moved_at: float
    outcome: Outcome | None = None
    outcome_by: str | None = None
    evidence: list[EvidenceView] = Field(default_factory=list)
    timings_ms: dict[str, float] = Field(default_factory=dict)


class ActionsView(BaseModel):
    """The actions of late, newest first."""

    actions: list[ActionView]


class TurnView(BaseModel):
    """From when on a verdict held."""

    at: float
    verdict: Literal["clear", "violating", "unknown"]
    reason: str | None
    categories: list[str]


class StandingView(BaseModel):
    """Where the stream stands with one rule, and why it acted or not."""

    rule: str
    action: str
    category: str
    enter: float
    exit: float
    hits: int
    of: int
    within_s: float
    standing: Literal["unseen", "below", "too_few", "acted", "cooling", "held"]
    hits_now: int
    highest: float | None
    fired_at: float | None
    cooldown_s: float


class SeriesView(BaseModel):
    """Scores over time; of many samples in a moment the highest."""

    at: list[float]
    scores: dict[str, list[float | None]]


class PauseView(BaseModel):
    """Who paused the stream's automation, until when and why."""

    until: float
    by: str
    reason: str


class ShadowActionView(BaseModel):
    """What a shadow policy would have asked for; it was not sent."""

    stream: str
    action: str
    policy: str
    rule: str
    category: str | None
    score: float | None
    at: float


class StoryView(BaseModel):
    """One stream: what was seen of it, and what was made of that."""

    id: str
    now: float
    live: bool = Field(description="Under watch; else it ended of late.")
    policy: str
    policy_hash: str
    dry_run: bool
    stale_after_s: float
    unknown_action: str | None
    unknown_after_s: float | None
    standings: list[StandingView]
    series: SeriesView
    turns: list[TurnView]
    actions: list[ActionView]
    shadow: list[ShadowActionView]
    legs_ms: dict[str, float]
    pause: PauseView | None = None


class _Taken(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )


Reason = Annotated[str, Field(min_length=3, max_length=500)]
"""Why, in a person's own words; it goes to the audit log."""


class PauseRequest(_Taken):
    """For how long, and why."""

    minutes: Annotated[int, Field(ge=1, le=1440)]
    reason: Reason


class LookRequest(_Taken):
    """Why somebody has to see something of a picture."""

    reason: Reason


class OutcomeRequest(_Taken):
    """A reviewer's word: `confirm` if the action was right, `clear` if not."""

    outcome: Literal["confirm", "clear"]
