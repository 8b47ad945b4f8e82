"""Streams that have ended, remembered for a while: for mercy and against dodging.

A person may clear a stream after its takedown ended it. And who leaves and comes back
between two hits does not make the count of k in n begin anew.
"""

from dataclasses import dataclass
from typing import Final

from sidecar.decide.policy import Policy, PolicyState
from sidecar.domain import Stream
from sidecar.pipeline import Watch

_MOST: Final = 1000
_SEEN_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Former:
    """A stream as it was when it ended, at `at` (monotonic seconds)."""

    stream: Stream
    policy: Policy
    state: PolicyState
    cut: bool
    at: float


class Gone:
    """The streams that ended last, at most 1,000."""

    def __init__(self) -> None:
        self._former: dict[str, Former] = {}

    def add(self, watch: Watch, now: float) -> None:
        """Takes an ended stream; the one that ended first gives way."""
        stream_id = watch.stream.id
        earlier = self._former.pop(stream_id, None)
        cut = watch.cut or (earlier is not None and earlier.cut)
        self._former[stream_id] = Former(
            watch.stream, watch.policy, watch.state, cut, now
        )
        if len(self._former) > _MOST:
            del self._former[next(iter(self._former))]

    def cut(self, stream_id: str) -> Stream | None:
        """The stream, if a takedown or interrupt of it stands."""
        former = self._former.get(stream_id)
        return former.stream if former is not None and former.cut else None

    def cleared(self, stream_id: str) -> None:
        """A person cleared the case: what was seen counts no more."""
        self._former.pop(stream_id, None)

    def before(self, stream_id: str, now: float) -> Former | None:
        """What is known of a stream that comes back; None after five minutes."""
        former = self._former.get(stream_id)
        return former if former is not None and now - former.at <= _SEEN_S else None
