"""What is on the bus, field by field: the one source of messages and schemas.

Outbound models ignore unknown fields when read (fields are added, never changed,
within a schema version); inbound ones refuse them.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sidecar.domain import STREAM_ID_PATTERN, Category, UnknownReason, VerdictState

Id = Annotated[str, StringConstraints(pattern=f"^{STREAM_ID_PATTERN}$")]
Word = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Text = Annotated[str, StringConstraints(max_length=256)]
Hash = Annotated[str, StringConstraints(max_length=256)]
Stamp = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"),
    Field(description="UTC, RFC 3339, milliseconds"),
]
Uuid = Annotated[str, Field(description="UUIDv7", json_schema_extra={"format": "uuid"})]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
SourceName = Literal["whep", "whip", "file"]
ActionName = Literal[
    "flag", "blur", "interrupt", "takedown", "reverse_takedown", "escalate"
]
ReportCategory = Literal[
    "sexual.explicit",
    "sexual.nudity",
    "sexual.suggestive",
    "violence.graphic",
    "violence.threat",
    "violence.weapon",
    "self_harm.act",
    "self_harm.suicide",
    "terror_extremism",
    "hate.symbol",
    "drugs",
    "other",
]


class Out(BaseModel):
    """A part of a message that the sidecar sends."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class In(BaseModel):
    """A message that the sidecar receives: unknown keys and wrong types refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SidecarPart(Out):
    """Who speaks."""

    id: Id
    version: Text


class SubjectPart(Out):
    """What an action is about."""

    stream: Id
    publisher: Id | None
    source: SourceName
    track: Id


class ReasonPart(Out):
    """Why: a category's scores, or not having been seen (`unknown`)."""

    category: Category | None
    label: Text | None
    score: Share | None
    enter: Share | None
    hits: Count
    of: Count
    within_s: Amount
    unknown: UnknownReason | None = None


class PolicyPart(Out):
    """By which rule."""

    name: Text
    hash: Hash
    rule: Text


class ModelPart(Out):
    """By whose scores."""

    name: Text
    hash: Hash


class EvidencePart(Out):
    """One sample that spoke for the action."""

    captured_at: Stamp
    score: Share
    unchanged_since: Annotated[
        Stamp | None,
        Field(description="if set: the score of an equal picture, captured then"),
    ] = None


class TimingsPart(Out):
    """Milliseconds of each leg from the first packet to the decision."""

    receive: Amount | None = None
    decode: Amount | None = None
    queue: Amount | None = None
    inference: Amount | None = None
    decide: Amount | None = None


class ActionPayload(Out):
    """The signal itself. `id` is the idempotency key: drop repeats."""

    schema_: Literal["moderation.action/1"] = Field(
        default="moderation.action/1", alias="schema"
    )
    id: Uuid
    action: ActionName
    dry_run: Annotated[bool, Field(description="if true, do not act on it")]
    subject: SubjectPart
    reason: ReasonPart
    policy: PolicyPart
    model: ModelPart | None
    evidence: tuple[EvidencePart, ...]
    evidence_ref: None = None
    captured_at: Stamp
    decided_at: Stamp
    expires_at: Stamp
    sidecar: SidecarPart
    timings_ms: TimingsPart


class VerdictPayload(Out):
    """The present word on one stream. UNKNOWN is not clear."""

    schema_: Literal["moderation.verdict/1"] = Field(
        default="moderation.verdict/1", alias="schema"
    )
    stream: Id
    state: VerdictState
    reason: UnknownReason | None
    categories: tuple[Category, ...]
    since: Stamp
    seen_at: Stamp | None
    age_s: Annotated[
        Amount | None,
        Field(description="`at` less `seen_at`, seconds; null if never seen"),
    ]
    at: Stamp
    policy: PolicyPart | None = None
    model: ModelPart | None = None
    models: Annotated[
        tuple[ModelPart, ...],
        Field(
            description="all models that look at the stream; `model` is the one"
            " whose score decided, or the first"
        ),
    ] = ()
    sidecar: SidecarPart


class StatusPayload(Out):
    """What a sidecar is up to; `offline` also comes as its last will."""

    schema_: Literal["moderation.status/1"] = Field(
        default="moderation.status/1", alias="schema"
    )
    state: Literal["online", "degraded", "draining", "offline"]
    reasons: tuple[Word, ...]
    at: Annotated[Stamp | None, Field(description="null in the last will")]
    sidecar: SidecarPart


class LabelScorePart(Out):
    """A score, and the label of the model that gave it."""

    score: Share
    label: Text
    model: ModelPart | None = None


class ScoresPayload(Out):
    """Telemetry: what the models said of one sample."""

    schema_: Literal["moderation.scores/1"] = Field(
        default="moderation.scores/1", alias="schema"
    )
    stream: Id
    captured_at: Stamp
    categories: dict[Category, LabelScorePart]
    model: ModelPart
    models: tuple[ModelPart, ...] = ()
    unchanged_since: Annotated[
        Stamp | None,
        Field(description="if set: the scores of an equal picture, captured then"),
    ] = None
    timings_ms: TimingsPart
    sidecar: SidecarPart


class AckPayload(In):
    """An enforcer's word on one action."""

    schema_: Literal["moderation.ack/1"] = Field(alias="schema")
    state: Literal["received", "enforced", "failed"]
    by: Annotated[Id, Field(description="who enforces")]


class SetPayload(In):
    """Watch this stream from now on. An empty message instead: stop."""

    schema_: Literal["moderation.set/1"] = Field(alias="schema")
    source: Literal["whep"] = "whep"
    url: Annotated[str, StringConstraints(min_length=8, max_length=2048)]
    publisher: Id | None = None
    labels: Annotated[dict[Id, Id], Field(max_length=32)] = Field(default_factory=dict)


class ReportPayload(In):
    """A viewer's or moderator's report: watch this stream closely now."""

    schema_: Literal["moderation.report/1"] = Field(alias="schema")
    kind: Literal["viewer", "moderator"]
    category: ReportCategory | None = None


class OutcomePayload(In):
    """A reviewer's word on one action: it was right, or it was not."""

    schema_: Literal["moderation.outcome/1"] = Field(alias="schema")
    outcome: Literal["confirm", "clear"]
    by: Annotated[Id, Field(description="who reviewed; an id of yours, no name")]
