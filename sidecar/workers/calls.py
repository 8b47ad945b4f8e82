"""What a worker is asked to do with a connection, and what comes of it; pure."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sidecar.errors import UnsupportedReason


@dataclass(frozen=True, slots=True)
class Offer:
    """Makes the SDP offer of a connection."""

    kind: Literal["offer"] = "offer"


@dataclass(frozen=True, slots=True)
class AnswerTo:
    """Makes the SDP answer to an offer."""

    sdp: str = field(repr=False)
    kind: Literal["answer_to"] = "answer_to"


@dataclass(frozen=True, slots=True)
class Accept:
    """Takes the SDP answer to the offer."""

    sdp: str = field(repr=False)
    kind: Literal["accept"] = "accept"


@dataclass(frozen=True, slots=True)
class AddCandidates:
    """Adds the other side's candidates."""

    fragment: str = field(repr=False)
    kind: Literal["add_candidates"] = "add_candidates"


@dataclass(frozen=True, slots=True)
class RestartIce:
    """Begins a new ICE session; the answer is our side of it."""

    fragment: str = field(repr=False)
    kind: Literal["restart_ice"] = "restart_ice"


@dataclass(frozen=True, slots=True)
class WaitConnected:
    """Waits until media can flow; the answer is the codec."""

    timeout_s: float
    kind: Literal["wait_connected"] = "wait_connected"


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Opens a video file; the answer is its codec."""

    path: Path
    loop: bool
    realtime: bool
    kind: Literal["open_file"] = "open_file"


@dataclass(frozen=True, slots=True)
class Close:
    """Ends whatever goes on at the seat, closes its connection and frees it."""

    kind: Literal["close"] = "close"


Request = Annotated[
    Offer
    | AnswerTo
    | Accept
    | AddCandidates
    | RestartIce
    | WaitConnected
    | OpenFile
    | Close,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that is answered by `Answer` or `Refusal`.

    Attributes:
        id: Of the call.
        seat: Where; it is there from its first call until `Close`.
        stream_id: Whose connection.
        request: What.
    """

    id: int
    seat: int
    stream_id: str
    request: Request
    kind: Literal["call"] = "call"


@dataclass(frozen=True, slots=True)
class Fault:
    """An error that is no bug, as it crosses.

    Attributes:
        error: `unavailable` and `unsupported` are StreamErrors, `malformed` is a
            ValueError.
        message: What happened, without credentials.
        retry_after_s: The server's own wish.
        reason: Set exactly when `unsupported`.
    """

    error: Literal["unavailable", "unsupported", "malformed"]
    message: str
    retry_after_s: float | None = None
    reason: UnsupportedReason | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to."""

    id: int
    text: str | None = field(repr=False)
    kind: Literal["answer"] = "answer"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a call failed for."""

    id: int
    fault: Fault
    kind: Literal["refusal"] = "refusal"
