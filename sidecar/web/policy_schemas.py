"""What the threshold page takes and gives."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sidecar.web.look_schemas import Reason

Key = Literal["enter", "exit", "hits", "of", "within_s", "cooldown_s"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")]


class RuleForm(BaseModel):
    """One rule, with the numbers that can be changed."""

    name: str
    category: str
    action: str
    enter: float
    exit: float
    hits: int
    of: int
    within_s: float
    cooldown_s: float


class PolicyForm(BaseModel):
    """One policy."""

    name: str
    ids: list[str]
    labels: dict[str, str]
    dry_run: bool
    stale_after_s: float
    rules: list[RuleForm]


class VersionView(BaseModel):
    """One version: who made it, when and why, and what it changed."""

    number: int
    etag: str = Field(description="For If-Match.")
    at: str
    author: str
    reason: str
    words: list[str]
    undoes: int | None = None


class CurrentView(BaseModel):
    """What is in force, and whether it can be changed here."""

    writable: bool
    why_not: str | None = Field(description="Set exactly when it cannot.")
    version: VersionView | None
    policies: list[PolicyForm]
    shadow: list[PolicyForm] | None


class HistoryView(BaseModel):
    """All versions, newest first."""

    versions: list[VersionView]


class _Taken(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )


class ChangeRequest(_Taken):
    """One number of one rule, as it is to be."""

    policy: Name
    rule: Name
    key: Key
    value: Annotated[float, Field(ge=0, le=86_400)]


Changes = Annotated[tuple[ChangeRequest, ...], Field(max_length=200, strict=False)]


class ChangesRequest(_Taken):
    """What is to be tried."""

    changes: Changes = ()


Words = Annotated[
    tuple[Annotated[str, Field(max_length=500)], ...],
    Field(max_length=500, strict=False),
]


class ApplyRequest(_Taken):
    """What is to be done, why, and the sentences that were confirmed."""

    changes: Annotated[Changes, Field(min_length=1)]
    reason: Reason
    confirmed: Words


class UndoRequest(_Taken):
    """Take the last version back; why, and the sentences that were confirmed."""

    reason: Reason
    confirmed: Words


class PreviewView(BaseModel):
    """What would change, a sentence each: what is to be confirmed."""

    etag: str | None = Field(description="The version it rests on.")
    words: list[str]
    restores: int | None = Field(
        default=None, description="Of an undo: the version that would hold again."
    )


class WouldView(BaseModel):
    """An action that would have been decided."""

    stream: str
    at: float
    action: str
    policy: str
    rule: str
    category: str | None
    score: float | None


class MovedView(BaseModel):
    """The same action, at another instant."""

    stream: str
    action: str
    rule: str
    old_at: float
    new_at: float


class WhatIfView(BaseModel):
    """What would have happened to the samples of the last hours."""

    samples: int
    streams: int
    since: float | None = Field(description="The oldest sample, Unix seconds.")
    took_ms: float
    added: list[WouldView] = Field(description="The newest 500.")
    added_total: int
    removed: list[WouldView] = Field(description="The newest 500.")
    removed_total: int
    moved: list[MovedView] = Field(description="The newest 500.")
    moved_total: int
    same: int
