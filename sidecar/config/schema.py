"""Every key of a configuration file, frozen; unknown keys are refused."""

import sys
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from sidecar.config.bus import MqttConfig, OutboxConfig
from sidecar.config.engine import AUTO, EngineConfig
from sidecar.config.fields import BearerToken, BesideConfig, ExistingFile, HttpUrl
from sidecar.config.listeners import ControlConfig, WebrtcConfig, WhipConfig
from sidecar.config.models import CanaryConfig, SwapConfig, UnchangedConfig
from sidecar.config.policies import PolicyConfig, SelectorConfig
from sidecar.config.section import Fraction, Id, Seconds, Section, checked_id
from sidecar.decide.policyset import PolicySet
from sidecar.domain import SourceKind, Stream

_AUTO_MOST: Final = 4  # more gains nothing on a CPU


class LogConfig(Section):
    """Where lines go is not configured: always stderr."""

    format: Literal["json", "console"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


AuditSeconds = Annotated[float, Field(ge=0, le=86_400 * 30)]  # 0: never


class SamplingConfig(Section):
    """When to look at a stream, and how much to decode for it."""

    interval_s: Seconds = 1.0
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.2
    decode: Literal["auto", "keyframes", "all"] = "auto"
    burst_interval_s: Seconds = 0.2
    burst_trigger: Fraction = 0.5
    burst_s: Seconds = 10.0
    pli_interval_s: Seconds | None = 2.0
    audit_every_s: AuditSeconds = 120.0
    audit_stretch_s: Seconds = 10.0


class SamplingOverride(Section):
    """The same keys, each optional: what is absent stays as it was."""

    interval_s: Seconds | None = None
    jitter: Annotated[float, Field(ge=0, lt=1)] | None = None
    decode: Literal["auto", "keyframes", "all"] | None = None
    burst_interval_s: Seconds | None = None
    burst_trigger: Fraction | None = None
    burst_s: Seconds | None = None
    audit_every_s: AuditSeconds | None = None
    audit_stretch_s: Seconds | None = None

    def over(self, base: SamplingConfig) -> SamplingConfig:
        """`base` with the keys that are set here."""
        return base.model_copy(update=self.model_dump(exclude_none=True))


class GroupConfig(Section):
    """Sampling for a group of streams."""

    match: SelectorConfig
    sampling: SamplingOverride


class BudgetConfig(Section):
    """Samples a second for all streams together, shared out by risk; null: no limit.

    Each stream is sampled every `floor_s` at least, or as seldom as it asks for.
    """

    samples_per_s: Annotated[float, Field(gt=0, le=1e6)] | None = None
    floor_s: Seconds = 5.0


class IngestConfig(Section):
    """Where streams are received and decoded; 1: in the sidecar's own process."""

    workers: Annotated[int, Field(ge=1, le=256, strict=True)] | Literal["auto"] = "auto"

    @field_validator("workers")
    @classmethod
    def _possible(cls, workers: int | str) -> int | str:
        if workers not in {1, "auto"} and sys.platform != "linux":
            raise ValueError("worker processes need Linux; use 1")
        return workers


class BatchConfig(Section):
    """The cross-stream planner; names as Triton's."""

    max_batch_size: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = AUTO
    max_queue_delay_s: Annotated[float, Field(ge=0, le=10)] = 0.005
    max_age_s: Seconds = 2.0
    per_stream: Annotated[int, Field(ge=1)] = 2
    capacity: Annotated[int, Field(ge=1)] = 256

    @property
    def most(self) -> int:
        """The largest batch that there has to be room for, in pictures."""
        return _AUTO_MOST if self.max_batch_size == AUTO else self.max_batch_size


class WhepConfig(Section):
    """Pull from a media server."""

    url: HttpUrl
    token: BearerToken | None = None
    trickle: bool = False


class FileConfig(Section):
    """Play a video file as if it were live."""

    path: ExistingFile
    loop: bool = False
    realtime: bool = True


class StreamConfig(Section):
    """One stream to watch: exactly one of `whep` and `file`."""

    id: Id
    whep: WhepConfig | None = None
    file: FileConfig | None = None
    publisher: Id | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    sampling: SamplingOverride = SamplingOverride()

    _checked_id = field_validator("id")(checked_id)

    @field_validator("publisher")
    @classmethod
    def _publisher(cls, text: str | None) -> str | None:
        return text if text is None else checked_id(text)  # the bus takes no other

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.whep is None) == (self.file is None):
            raise ValueError("give exactly one of 'whep' and 'file'")
        return self


class RecordConfig(Section):
    """What was seen and decided, kept for replay; no pictures."""

    folder: BesideConfig
    max_file_mib: Annotated[float, Field(ge=0.01, le=1024)] = 64.0
    max_file_s: Seconds = 3600.0
    max_total_mib: Annotated[float, Field(ge=0.1, le=1_048_576)] = 2048.0
    max_age_s: Annotated[float, Field(ge=60, le=86_400 * 3660)] = 604_800.0  # a week
    gzip: bool = True

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.max_total_mib < 2 * self.max_file_mib:
            raise ValueError(
                f"max_total_mib is {self.max_total_mib:g} and max_file_mib "
                f"{self.max_file_mib:g}: there must be room for two files; raise the "
                "first or lower the second"
            )
        return self


class Config(Section):
    """A whole configuration file."""

    site: Id = "default"
    sidecar: Id = "sidecar"
    model: str = "testcard"
    models: tuple[str, ...] = ()
    models_dir: BesideConfig | None = None
    log: LogConfig = LogConfig()
    ingest: IngestConfig = IngestConfig()
    engine: EngineConfig = EngineConfig()
    swap: SwapConfig = SwapConfig()
    canary: CanaryConfig | None = None
    unchanged: UnchangedConfig | None = None
    batch: BatchConfig = BatchConfig()
    sampling: SamplingConfig = SamplingConfig()
    groups: tuple[GroupConfig, ...] = ()
    budget: BudgetConfig = BudgetConfig()
    policies: Annotated[tuple[PolicyConfig, ...], Field(min_length=1)]
    shadow: tuple[PolicyConfig, ...] = ()  # judged beside; tells, never acts
    streams: tuple[StreamConfig, ...] = ()
    webrtc: WebrtcConfig = WebrtcConfig()
    whip: WhipConfig | None = None
    mqtt: MqttConfig
    outbox: OutboxConfig
    control: ControlConfig = ControlConfig()
    record: RecordConfig | None = None
    drain_s: Seconds = 8.0

    _checked_ids = field_validator("site", "sidecar")(checked_id)

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models that look at every sample, by name or path; the first leads."""
        return self.models or (self.model,)

    @field_validator("models")
    @classmethod
    def _each_once(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        if not models:
            raise ValueError("name at least one, or leave it out for 'model: testcard'")
        if len(set(models)) != len(models):
            raise ValueError("each model once")
        return models

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        if self.models and "model" in self.model_fields_set:
            raise ValueError(
                "give one of 'model' (a name) and 'models' (a list), not both"
            )
        return self

    @field_validator("streams")
    @classmethod
    def _unique(cls, streams: tuple[StreamConfig, ...]) -> tuple[StreamConfig, ...]:
        seen: set[str] = set()
        for stream in streams:
            if stream.id in seen:
                raise ValueError(f"stream id {stream.id!r} stands here twice")
            seen.add(stream.id)
        return streams

    @field_validator("policies")
    @classmethod
    def _catch_all(cls, policies: tuple[PolicyConfig, ...]) -> tuple[PolicyConfig, ...]:
        if not PolicySet(tuple(p.to_policy() for p in policies)).has_catch_all:
            raise ValueError(
                "no policy matches every stream: give the last one match: {ids: ['*']}"
            )
        return policies

    @field_validator("shadow")
    @classmethod
    def _distinct(cls, shadow: tuple[PolicyConfig, ...]) -> tuple[PolicyConfig, ...]:
        PolicySet(tuple(policy.to_policy() for policy in shadow))
        return shadow

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        """Sampling and policies have to go together, of each stream as well."""
        for policy in self.policies:
            _require_reach(policy, self.sampling, "sampling")
        for stream in self.streams:
            subject = Stream(stream.id, SourceKind.WHEP, labels=stream.labels)
            sampling = stream.sampling.over(self.sampling_of(subject))
            policy = next(
                p for p in self.policies if p.match.to_selector().matches(subject)
            )
            _require_reach(policy, sampling, f"sampling of stream {stream.id!r}")
        return self

    @model_validator(mode="after")
    def _floor_is_fresh(self) -> Self:
        """At the budget's floor a stream must not be stale between two samples."""
        latest_s = self.budget.floor_s * (1 + self.sampling.jitter)
        for policy in self.policies:
            if self.budget.samples_per_s and latest_s >= policy.stale_after_s:
                raise ValueError(
                    f"budget.floor_s allows {latest_s:g} s between two samples, "
                    f"stale_after_s of policy {policy.name!r} is "
                    f"{policy.stale_after_s:g}; lower floor_s or raise stale_after_s"
                )
        return self

    def sampling_of(self, stream: Stream) -> SamplingConfig:
        """Sampling of one stream by the first group that matches it."""
        for group in self.groups:
            if group.match.to_selector().matches(stream):
                return group.sampling.over(self.sampling)
        return self.sampling


def _require_reach(policy: PolicyConfig, sampling: SamplingConfig, key: str) -> None:
    """ValueError if a rule could never act, or every look came too late."""
    latest_s = sampling.interval_s * (1 + sampling.jitter)
    if latest_s >= policy.stale_after_s:
        raise ValueError(
            f"{key}: {latest_s:g} s between two looks, and stale_after_s of policy "
            f"{policy.name!r} is {policy.stale_after_s:g}: the verdict would mostly be "
            "UNKNOWN; raise stale_after_s or sample faster"
        )
    for rule in policy.rules:
        bursts = rule.enter >= sampling.burst_trigger
        fastest_s = sampling.burst_interval_s if bursts else sampling.interval_s
        needed_s = (rule.hits - 1) * min(fastest_s, sampling.interval_s)
        if needed_s > rule.within_s:
            raise ValueError(
                f"{key}: rule {rule.name!r} of policy {policy.name!r} could not act: "
                f"{rule.hits} samples take {needed_s:g} s, within_s is "
                f"{rule.within_s:g}; raise within_s or sample faster"
            )
