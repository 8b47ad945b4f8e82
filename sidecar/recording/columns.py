"""Recorded samples as columns: numpy arrays, stream after stream, for what-if.

A million samples of two categories take 24 MB.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.domain import Category, ModelRef, Stream, UnknownReason
from sidecar.recording.entry import EntryKind

Times = NDArray[np.float64]
Places = NDArray[np.int64]

MARKED: Final = (
    EntryKind.BEGAN,
    EntryKind.UNSEEN,
    EntryKind.CLEARED,
    EntryKind.ENDED,
)
REASONS: Final = tuple(UnknownReason)


@dataclass(frozen=True, eq=False)
class Marks:
    """What happened to streams beside their samples; sorted as these are.

    Attributes:
        bounds: Stream `i` has the marks from `bounds[i]` up to `bounds[i + 1]`.
        at: When the policy was told, seconds.
        kind: Which of `MARKED`.
        reason: Which of `REASONS`; of an UNSEEN.
        before: The sample, by its place in all columns, that it stands before.
        session: Which run of a sidecar.
    """

    bounds: Places
    at: Times
    kind: Places
    reason: Places
    before: Places
    session: Places


@dataclass(frozen=True, eq=False)
class Columns:
    """Some streams' samples, each stream's in the order they were classified.

    Attributes:
        streams: Whose.
        bounds: Stream `i` has the samples from `bounds[i]` up to `bounds[i + 1]`.
        at: When the policy was told, seconds.
        captured_at: When it was captured; never goes back within a stream.
        scores: By category, float32; NaN where the model did not give it.
        models: Who gave the first sample's score of each category.
        marks: What else happened.
        until: When the recording ends, seconds.
    """

    streams: tuple[Stream, ...]
    bounds: Places
    at: Times
    captured_at: Times
    scores: Mapping[Category, NDArray[np.float32]]
    models: Mapping[Category, ModelRef]
    marks: Marks
    until: float

    def __len__(self) -> int:
        """How many samples."""
        return len(self.at)

    def span(self, index: int) -> slice:
        """Where the samples of the stream of that index are."""
        return slice(int(self.bounds[index]), int(self.bounds[index + 1]))

    def index(self, stream_id: str) -> int | None:
        """The index of a stream; None if there is nothing of it."""
        return self._indices.get(stream_id)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {stream.id: index for index, stream in enumerate(self.streams)}
