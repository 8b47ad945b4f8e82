"""What the sidecar and its workers say to each other; pure.

A *seat* is one connection of one stream in a worker; a *look* is its sampler at work on
it. Ids are given by the sidecar and used once in a worker's life.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sidecar.ingest.receiver import IceSettings
from sidecar.sample.sampler import SamplerSettings
from sidecar.workers.block import Region
from sidecar.workers.calls import Answer, Call, Fault, Refusal

Place = tuple[int, int]  # of a picture: region and slot


@dataclass(frozen=True, slots=True)
class Setup:
    """The first word to a worker: how it is to work.

    Attributes:
        worker: Its name, for its log lines.
        log_format: As `log.setup` takes it; likewise `log_level`.
        slots: Pictures of each format that the shared block holds.
        near: How many of them are used before the others.
        decoders: Threads to decode in.
        ice: How candidates are gathered.
        packet_timeout_s: Silence after which a stream is given up.
    """

    worker: str
    log_format: Literal["json", "console"]
    log_level: str
    slots: int
    near: int
    decoders: int
    ice: IceSettings = field(repr=False)
    packet_timeout_s: float
    kind: Literal["setup"] = "setup"


@dataclass(frozen=True, slots=True)
class Show:
    """What the models want to see from now on, the first one's first, and where."""

    regions: tuple[Region, ...]
    kind: Literal["show"] = "show"


@dataclass(frozen=True, slots=True)
class NewSampler:
    """A stream's sampler, over all of its connections in this worker."""

    sampler: int
    stream_id: str
    settings: SamplerSettings
    kind: Literal["new_sampler"] = "new_sampler"


@dataclass(frozen=True, slots=True)
class Observe:
    """The highest score of a sample."""

    sampler: int
    score: float
    kind: Literal["observe"] = "observe"


@dataclass(frozen=True, slots=True)
class Burst:
    """Somebody reported the stream."""

    sampler: int
    kind: Literal["burst"] = "burst"


@dataclass(frozen=True, slots=True)
class Pace:
    """Samples no more often than this in the mean; 0: as the settings say."""

    sampler: int
    interval_s: float
    kind: Literal["pace"] = "pace"


@dataclass(frozen=True, slots=True)
class DropSampler:
    """The stream is gone for good."""

    sampler: int
    kind: Literal["drop_sampler"] = "drop_sampler"


@dataclass(frozen=True, slots=True)
class Look:
    """Samples what comes to `seat`, from now on; answered by `Taken` and `Over`."""

    look: int
    seat: int
    sampler: int
    kind: Literal["look"] = "look"


@dataclass(frozen=True, slots=True)
class Next:
    """The sample in flight is decided; the next one may be taken."""

    look: int
    kind: Literal["next"] = "next"


@dataclass(frozen=True, slots=True)
class LookAway:
    """Nobody waits for samples any more."""

    look: int
    kind: Literal["look_away"] = "look_away"


@dataclass(frozen=True, slots=True)
class Release:
    """Nobody refers to the pictures at these places any more."""

    places: tuple[Place, ...]
    kind: Literal["release"] = "release"


@dataclass(frozen=True, slots=True)
class Stop:
    """Leave."""

    kind: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker's first word."""

    version: int
    release: str
    kind: Literal["hello"] = "hello"


@dataclass(frozen=True, slots=True)
class Taken:
    """A sample: its pictures lie at `places`, the first model's first, until `Release`.

    Times as in `Sample`; CLOCK_MONOTONIC is one for all processes of a machine.
    """

    look: int
    places: tuple[Place, ...]
    captured_at: float
    decoded_at: float
    receive_s: float
    decode_s: float
    kind: Literal["taken"] = "taken"


@dataclass(frozen=True, slots=True)
class Over:
    """The connection ended, in order or by a fault."""

    look: int
    fault: Fault | None
    kind: Literal["over"] = "over"


@dataclass(frozen=True, slots=True)
class Change:
    """By how much a sum of `Stats` grew; `metric` is its attribute's name."""

    metric: str
    labels: Mapping[str, str]
    amount: float


@dataclass(frozen=True, slots=True)
class Beat:
    """About once a second: the worker is well.

    Attributes:
        changes: Of its numbers, since its last beat.
        decoding_all: Samplers whose streams are decoded whole at present.
    """

    changes: tuple[Change, ...]
    decoding_all: tuple[int, ...]
    kind: Literal["beat"] = "beat"


ToWorker = (
    Setup
    | Show
    | Call
    | NewSampler
    | Observe
    | Burst
    | Pace
    | DropSampler
    | Look
    | Next
    | LookAway
    | Release
    | Stop
)
FromWorker = Hello | Answer | Refusal | Taken | Over | Beat
Message = ToWorker | FromWorker
