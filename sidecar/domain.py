"""The words of the house: what flows between the stages, as plain frozen values.

`*_at` fields are monotonic seconds of the process's clock; wall time appears only in
published messages. Pictures are `uint8` arrays of shape `(height, width, 3)`, RGB.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

STREAM_ID_PATTERN = r"[A-Za-z0-9._~-]{1,128}"
_STREAM_ID = re.compile(STREAM_ID_PATTERN)


def is_stream_id(text: str) -> bool:
    """Whether `text` may be a stream id: safe in a topic, a path and a log line."""
    return _STREAM_ID.fullmatch(text) is not None


class Codec(StrEnum):
    """Video codecs that can be looked into (aiortc negotiates these two only)."""

    VP8 = "VP8"
    H264 = "H264"


class Want(StrEnum):
    """Which access units are worth delivering; everything else may be dropped."""

    KEYFRAMES = "keyframes"
    ALL = "all"


class Category(StrEnum):
    """The platform's words that model labels map to. `csea.*` is not among them."""

    SAFE = "safe"
    SEXUAL_EXPLICIT = "sexual.explicit"
    SEXUAL_NUDITY = "sexual.nudity"
    SEXUAL_SUGGESTIVE = "sexual.suggestive"
    VIOLENCE_GRAPHIC = "violence.graphic"
    VIOLENCE_THREAT = "violence.threat"
    VIOLENCE_WEAPON = "violence.weapon"
    SELF_HARM_ACT = "self_harm.act"
    SELF_HARM_SUICIDE = "self_harm.suicide"
    TERROR_EXTREMISM = "terror_extremism"
    HATE_SYMBOL = "hate.symbol"
    DRUGS = "drugs"
    OTHER = "other"


class UnknownReason(StrEnum):
    """Why a stream was not seen. No scores is not "clean"."""

    STARTING = "starting"
    NO_FRAMES = "no_frames"
    UNDECODABLE_CODEC = "undecodable_codec"
    END_TO_END_ENCRYPTED = "end_to_end_encrypted"
    ENGINE_ERROR = "engine_error"
    OVERLOADED = "overloaded"
    STALE = "stale"
    UNREACHABLE = "unreachable"
    WORKER_LOST = "worker_lost"


class VerdictState(StrEnum):
    """What is known of a stream at present."""

    CLEAR = "clear"
    VIOLATING = "violating"
    UNKNOWN = "unknown"


class ActionKind(StrEnum):
    """What an enforcer is asked to do, mildest first; `rank` orders the rungs."""

    FLAG = "flag"
    BLUR = "blur"
    INTERRUPT = "interrupt"
    TAKEDOWN = "takedown"
    REVERSE_TAKEDOWN = "reverse_takedown"
    ESCALATE = "escalate"


class Delivery(StrEnum):
    """How far an action got."""

    OWED = "owed"  # decided, not on disk yet
    WAITING = "waiting"  # on disk, not at the broker yet
    REFUSED = "refused"  # by the broker; tried again
    DELIVERED = "delivered"  # the broker has it
    RECEIVED = "received"  # an enforcer has it
    ENFORCED = "enforced"  # an enforcer did it
    FAILED = "failed"  # an enforcer could not
    EXPIRED = "expired"  # it ran out of time


class Outcome(StrEnum):
    """What a reviewer says of an action."""

    CONFIRM = "confirm"  # it was right
    CLEAR = "clear"  # it was not


class StreamState(StrEnum):
    """Where a stream's supervisor stands."""

    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"  # lost; will be tried again
    UNSUPPORTED = "unsupported"  # given up, shown
    ENDED = "ended"


class SourceKind(StrEnum):
    """How a stream's pictures reach the sidecar."""

    WHEP = "whep"
    WHIP = "whip"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Stream:
    """A livestream under watch.

    Attributes:
        id: Checked against `STREAM_ID_PATTERN` before it gets here.
        source: How it is received.
        publisher: The platform's own id of the publisher, if it told us. Never a name.
        track: Which video track.
        labels: The platform's own key-value pairs; policies select by them.
    """

    id: str
    source: SourceKind
    publisher: str | None = None
    track: str = "video0"
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One encoded picture, whole.

    Attributes:
        codec: How it is encoded.
        data: VP8 frame, or H.264 in Annex B with start codes.
        keyframe: Decodable on its own (for H.264: SPS and PPS are inside).
        received_at: When its first packet came, monotonic seconds.
        completed_at: When it was whole, monotonic seconds.
    """

    codec: Codec
    data: bytes
    keyframe: bool
    received_at: float
    completed_at: float


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What a model wants to see.

    Attributes:
        width: Pixels.
        height: Pixels.
        resize: Name of the method, from the manifest: swscale's `area`, `bilinear`,
            `fast_bilinear`, `bicubic`, `point`, `lanczos`, or `bilinear_align_corners`.
        fit: What becomes of the frame's aspect: `squash`, `crop` (its middle), or
            `pad_end` and `pad_center` (bars at the right and bottom, or around it).
        keep: Share of the scaled frame's (with `crop`: of its short) side that is kept,
            from the middle. 1: all.
        pad: Value of the bars, 0…255.
    """

    width: int
    height: int
    resize: str = "bilinear"
    fit: str = "squash"
    keep: float = 1.0
    pad: int = 0


Formats = Callable[[], tuple[PictureFormat, ...]]
"""What the models want to see now, at least one format; it may change at any time."""

NO_OTHERS: Mapping[PictureFormat, Picture] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Sample:
    """The frame chosen for the model.

    Attributes:
        stream_id: Whose.
        picture: `uint8 (height, width, 3)`, RGB, in the model's `PictureFormat`.
        captured_at: When its first packet (or file frame) came, monotonic seconds.
        decoded_at: When `picture` was ready, monotonic seconds.
        receive_s: First packet to whole access unit.
        decode_s: Whole access unit to array.
        fmt: What `picture` is in; None: in whatever the only model wants.
        others: The same frame as further models want to see it.
    """

    stream_id: str
    picture: Picture
    captured_at: float
    decoded_at: float
    receive_s: float = 0.0
    decode_s: float = 0.0
    fmt: PictureFormat | None = None
    others: Mapping[PictureFormat, Picture] = field(default_factory=lambda: NO_OTHERS)

    def seen_as(self, fmt: PictureFormat) -> "Sample | None":
        """The sample with its picture in `fmt`; None if it was not scaled to that."""
        if self.fmt is None or self.fmt == fmt:
            return self
        picture = self.others.get(fmt)
        if picture is None:
            return None
        return replace(self, picture=picture, fmt=fmt, others=NO_OTHERS)


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model said it: name, and sha256 of its file as `sha256:…`."""

    name: str
    hash: str


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What a model runs on here.

    Attributes:
        model: Its name.
        asked: The providers that were wanted, as in the configuration.
        provider: The one it got.
        precision: `fp32` or `fp16`.
        threads: Cores a batch.
        callers: Batches at a time.
        why_not: Why nothing that was wanted more; empty if it got that.
    """

    model: str
    asked: str
    provider: str
    precision: str
    threads: int
    callers: int
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A score of 0…1 and the model label (or `A+B`) that gave it. Not a confidence.

    Attributes:
        model: Whose label it is; None: of the only model, `Scores.model`.
    """

    score: float
    label: str
    model: ModelRef | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """What the models said of one sample.

    Attributes:
        stream_id: Whose.
        by_category: Every category a model's manifest maps a label to, `safe` too.
        model: Who said it; of several models the first.
        captured_at: The sample's, monotonic seconds.
        receive_s: Leg, seconds; likewise `decode_s`, `queue_s`, `inference_s`.
        others: The further models that looked at it.
        unchanged_since: Set if the picture was not classified again: the capture
            instant of the equal one that was, monotonic seconds.
    """

    stream_id: str
    by_category: Mapping[Category, LabelScore]
    model: ModelRef
    captured_at: float
    receive_s: float = 0.0
    decode_s: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0
    others: tuple[ModelRef, ...] = ()
    unchanged_since: float | None = None

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """All who looked at it."""
        return (self.model, *self.others)

    def model_of(self, category: Category) -> ModelRef:
        """Who gave the score of `category`."""
        label = self.by_category.get(category)
        return (label and label.model) or self.model


@dataclass(frozen=True, slots=True)
class Verdict:
    """The present word on one stream.

    Attributes:
        state: CLEAR, VIOLATING or UNKNOWN.
        since: Since when this state (and reason) holds, monotonic seconds.
        seen_at: When the last classified sample was captured; None if never.
        reason: Set exactly when UNKNOWN.
        categories: The categories whose rules are entered, set exactly when VIOLATING.
    """

    state: VerdictState
    since: float
    seen_at: float | None = None
    reason: UnknownReason | None = None
    categories: tuple[Category, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One sample that spoke for an action: numbers, never pictures.

    Attributes:
        captured_at: When, monotonic seconds.
        score: The category's.
        unchanged_since: Set if the score was kept from an equal picture, of then.
    """

    captured_at: float
    score: float
    unchanged_since: float | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an action was decided: by a category's score, or by not having been seen."""

    category: Category | None
    label: str | None
    score: float | None
    enter: float | None
    hits: int
    of: int
    within_s: float
    unknown: UnknownReason | None = None


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """Which policy and rule decided; `hash` is `sha256:…` of its canonical form."""

    name: str
    hash: str
    rule: str


@dataclass(frozen=True, slots=True)
class Action:
    """What the policy wants done, before it has an id or a wall time.

    Attributes:
        kind: What.
        stream_id: To whom.
        reason: Why.
        policy: By which rule.
        model: Whose score decided; None if UNKNOWN led here, or a person.
        dry_run: Enforcers must not act on it.
        captured_at: Capture instant of the newest sample it rests on.
        decided_at: When the policy decided.
        evidence: The samples that spoke for it, oldest first.
        scores: The newest scores, for their legs; None as for `model`.
        expires_s: How long after the decision it is worth delivering.
        require_enforced: Keep it in the outbox until an enforcer says `enforced`.
    """

    kind: ActionKind
    stream_id: str
    reason: Reason
    policy: PolicyRef
    model: ModelRef | None
    dry_run: bool
    captured_at: float
    decided_at: float
    evidence: tuple[Evidence, ...] = ()
    scores: Scores | None = None
    expires_s: float = 3600.0
    require_enforced: bool = False
