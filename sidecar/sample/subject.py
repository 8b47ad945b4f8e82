"""One stream as its sampler sees it: what it is sampled from, and by which settings."""

from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

from sidecar.arena import PictureArena
from sidecar.clock import Clock
from sidecar.domain import AccessUnit, Codec, Formats, PictureFormat, Want
from sidecar.sample.audit import Audit, AuditSettings
from sidecar.sample.cadence import Cadence, CadenceSettings
from sidecar.sample.keyframes import DecodeMode
from sidecar.sample.listeners import Listeners
from sidecar.stats import Stats


class Source(Protocol):
    """What a sampler needs of the ingest stage."""

    @property
    def codec(self) -> Codec:
        """How the pictures are encoded."""

    def want(self, want: Want) -> None:
        """Sets what is delivered from now on; `ALL` starts at the next keyframe."""

    def rest(self, until: float) -> None:
        """Nothing is needed before that instant; one that has passed ends a rest."""

    def request_keyframe(self) -> None:
        """Asks the sender for a keyframe, where the source has a way to."""

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        """Yields in decoding order; raises StreamError."""


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """How a stream is sampled.

    Attributes:
        cadence: How often.
        decode: Keyframes, everything, or what is needed.
        pli_interval_s: Least time between requests for a keyframe; None: never ask.
        max_age_s: Older access units are not sampled.
        audit: How often the pictures between keyframes are looked into.
    """

    cadence: CadenceSettings = field(default_factory=CadenceSettings)
    decode: DecodeMode = DecodeMode.AUTO
    pli_interval_s: float | None = 2.0
    max_age_s: float = 2.0
    audit: AuditSettings = field(default_factory=AuditSettings)


@dataclass(frozen=True, slots=True)
class Subject:
    """A stream over all of its connections.

    Attributes:
        stream_id: Whose pictures.
        settings: How they are sampled.
        fmt: What the model wants to see.
        executor: Threads to decode in; it bounds how many decode at once.
        clock: Monotonic seconds.
        stats: Counters.
        cadence: When a sample is due.
        audit: When the pictures between keyframes are looked into.
        arena: Where pictures are put; each in memory of its own if None.
        formats: What all models want to see at present; None: `fmt` alone, for ever.
        listeners: Who may listen; shared with the other streams.
    """

    stream_id: str
    settings: SamplerSettings
    fmt: PictureFormat
    executor: Executor
    clock: Clock
    stats: Stats
    cadence: Cadence
    audit: Audit
    arena: PictureArena | None = None
    formats: Formats | None = None
    listeners: Listeners = field(default_factory=Listeners)
