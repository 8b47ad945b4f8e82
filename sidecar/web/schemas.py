"""What the control API takes and gives, as pydantic models; OpenAPI is made of them."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from sidecar.clock import Clock, wall_at
from sidecar.domain import Scores, Verdict
from sidecar.log import redact_text

_URL: Final = re.compile(r"https?://[^\s/@?#\\]+(/[^\s#\\]*)?", re.ASCII)


def _checked_url(text: str) -> str:
    if not _URL.fullmatch(text) or not text.isascii() or not text.isprintable():
        raise ValueError("use http(s)://host[:port]/path without user, '#' or blanks")
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("the host or the port cannot be understood")
    return text


def _checked_path(text: str) -> str:
    if any(part in {"", ".", ".."} for part in text.split("/")):
        raise ValueError("use a path inside the media directory, without '..'")
    return text


PlainId = Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]
LabelText = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~:/@+-]{1,128}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Taken(BaseModel):
    """Base of what comes in: exact types, no unknown keys, no NaN."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )


class WhepSource(_Taken):
    """Pull from a media server."""

    url: Annotated[str, Field(max_length=2048), AfterValidator(_checked_url)]
    token_file: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$",
            description="Name of a file in the configured secrets directory; a path "
            "would let a caller send any file of this machine to any host.",
        ),
    ] = None
    trickle: bool = False


class FileSource(_Taken):
    """Play a video file of the configured media directory as if it were live."""

    path: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9._~/ -]{1,512}$"),
        AfterValidator(_checked_path),
    ]
    loop: bool = False
    realtime: bool = True


class SamplingRequest(_Taken):
    """Deviations from the configured sampling; what is absent stays as configured."""

    interval_s: Seconds | None = None
    jitter: Annotated[float, Field(ge=0, lt=1)] | None = None
    decode: Literal["auto", "keyframes", "all"] | None = None
    burst_interval_s: Seconds | None = None
    burst_trigger: Fraction | None = None
    burst_s: Seconds | None = None
    audit_every_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    audit_stretch_s: Seconds | None = None


class StreamRequest(_Taken):
    """A stream to watch: exactly one of `whep` and `file`."""

    whep: WhepSource | None = None
    file: FileSource | None = None
    publisher: PlainId | None = Field(
        default=None, description="The platform's own id of the publisher; no name."
    )
    labels: dict[LabelText, LabelText] = Field(default_factory=dict, max_length=32)
    sampling: SamplingRequest = SamplingRequest()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.whep is None) == (self.file is None):
            raise ValueError("give exactly one of 'whep' and 'file'")
        return self


class SourceView(BaseModel):
    """Where a stream comes from; the query of a URL is not shown."""

    kind: Literal["whep", "whip", "file"]
    location: Annotated[str | None, AfterValidator(lambda t: t and redact_text(t))] = (
        None
    )


class VerdictView(BaseModel):
    """The present word on a stream."""

    state: Literal["clear", "violating", "unknown"]
    reason: str | None = Field(description="Set exactly when unknown.")
    categories: list[str] = Field(description="Filled exactly when violating.")
    since: datetime
    age_s: float
    seen_age_s: float | None = Field(
        description="Since the last classified sample was captured; null if never."
    )


class ScoreView(BaseModel):
    """One category's newest score, 0 to 1; a priority for review, nothing more."""

    score: float
    label: str
    model: str | None = Field(default=None, description="Name of the model.")
    model_hash: str | None = Field(default=None, description="sha256 of its file.")


class StreamView(BaseModel):
    """One stream as it stands."""

    id: str
    source: SourceView
    origin: Literal["config", "api", "mqtt", "whip"]
    publisher: str | None = None
    track: str = "video0"
    labels: dict[str, str] = Field(default_factory=dict)
    state: Literal["connecting", "live", "waiting", "unsupported", "ended"]
    state_age_s: float
    message: str | None = None
    retry_in_s: float | None = None
    verdict: VerdictView
    policy: str | None = None
    decode: str | None = Field(default=None, description="As configured.")
    decodes_all: bool = Field(
        default=False, description="At present everything, not keyframes alone."
    )
    interval_s: float | None = Field(
        default=None, description="Between samples, as it holds at present."
    )
    samples: int = 0
    scores: dict[str, ScoreView] = Field(default_factory=dict)
    unchanged_for_s: float | None = Field(
        default=None,
        description="Set while the picture is not classified again because it equals "
        "one that was, so long before it.",
    )


class StreamVerdictView(BaseModel):
    """The verdict of one stream, without the rest."""

    id: str
    policy: str | None
    verdict: VerdictView


class StreamsView(BaseModel):
    """All streams."""

    streams: list[StreamView]


class VerdictsView(BaseModel):
    """All verdicts, with how many there are of each state."""

    counts: dict[str, int]
    verdicts: list[StreamVerdictView]


class PendingView(BaseModel):
    """One action that waits for delivery or for an enforcer."""

    id: str
    action: str
    stream: str
    age_s: float
    attempts: int = 0


class OutboxView(BaseModel):
    """What has been decided and is not yet delivered."""

    connected: bool
    depth: int
    oldest_age_s: float | None = None
    pending: list[PendingView] = Field(
        default_factory=list, description="The oldest; at most 100."
    )


class RuleView(BaseModel):
    """One rung of a policy; `category` is null for what UNKNOWN leads to."""

    name: str
    action: str | None
    category: str | None = None
    enter: float | None = None
    exit: float | None = None
    hits: int | None = None
    of: int | None = None
    within_s: float | None = None
    after_s: float | None = None


class PolicyView(BaseModel):
    """One policy in force."""

    name: str
    hash: str
    dry_run: bool
    ids: list[str]
    labels: dict[str, str] = Field(default_factory=dict)
    rules: list[RuleView]
    streams: int = 0


class PoliciesView(BaseModel):
    """The policies in force, in the order in which they are tried."""

    policies: list[PolicyView]


class ActionAccepted(BaseModel):
    """An action was written to the outbox."""

    id: str


class FaultView(BaseModel):
    """Why a component is not ready; `detail` for authorised callers only."""

    component: str
    reason: str
    detail: str | None = None


class EngineView(BaseModel):
    """What a model runs on, what was asked for, and why it is not that."""

    model: str
    asked: str
    provider: str
    precision: str
    threads: int
    callers: int
    why_not: str


class ReadyView(BaseModel):
    """Whether the sidecar is ready, and if not, why."""

    ready: bool
    reasons: list[FaultView]
    engines: list[EngineView]


class AliveView(BaseModel):
    """Whether the process should be left running."""

    alive: bool
    dead: list[str]


def verdict_view(verdict: Verdict, clock: Clock) -> VerdictView:
    """`verdict` with ages as of now."""
    now = clock.monotonic()
    return VerdictView(
        state=verdict.state.value,
        reason=verdict.reason,
        categories=[category.value for category in verdict.categories],
        since=wall_at(clock, verdict.since),
        age_s=_age(now, verdict.since),
        seen_age_s=None if verdict.seen_at is None else _age(now, verdict.seen_at),
    )


def scores_view(scores: Scores | None) -> Mapping[str, ScoreView]:
    """The scores by category, highest first; empty if there are none yet."""
    if scores is None:
        return {}
    ranked = sorted(scores.by_category.items(), key=lambda item: -item[1].score)
    return {
        category.value: ScoreView(
            score=found.score,
            label=found.label,
            model=scores.model_of(category).name,
            model_hash=scores.model_of(category).hash,
        )
        for category, found in ranked
    }


def _age(now: float, then: float) -> float:
    return round(max(0.0, now - then), 3)
