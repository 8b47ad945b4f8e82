"""The columns as they grow; bounded, so that they can run beside the live sidecar."""

from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sidecar.domain import Category, ModelRef, Stream
from sidecar.recording.columns import MARKED, REASONS, Columns, Marks, Places, Times
from sidecar.recording.entry import Entry

_CHUNK: Final = 16_384  # samples, or marks
_BITS: Final = 8  # for a mark's kind, and for its reason


@dataclass(slots=True)
class _Chunk:
    """A stretch of the log; its streams are numbered from 0."""

    names: dict[str, int] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    stream: "array[int]" = field(default_factory=lambda: array("i"))
    at: "array[float]" = field(default_factory=lambda: array("d"))
    captured_at: "array[float]" = field(default_factory=lambda: array("d"))
    scores: dict[Category, "array[float]"] = field(default_factory=dict)
    mark_stream: "array[int]" = field(default_factory=lambda: array("i"))
    mark_at: "array[float]" = field(default_factory=lambda: array("d"))
    mark_what: "array[int]" = field(default_factory=lambda: array("q"))
    mark_before: "array[int]" = field(default_factory=lambda: array("i"))

    @property
    def full(self) -> bool:
        return max(len(self.at), len(self.mark_at)) >= _CHUNK

    @property
    def used(self) -> bool:
        return bool(self.at or self.mark_at)

    @property
    def last_at(self) -> float:
        return max([*self.at[-1:], *self.mark_at[-1:]])

    def twin(self) -> "_Chunk":
        """A copy that does not grow with this one."""
        values = {one.name: copy(getattr(self, one.name)) for one in fields(self)}
        values["scores"] = {key: copy(column) for key, column in self.scores.items()}
        return _Chunk(**values)

    def score(self, entry: Entry) -> None:
        """Adds the sample's row; what the model does not give is NaN."""
        scores = entry.scores
        assert scores is not None
        held = len(self.at)
        self.at.append(entry.at)
        self.captured_at.append(scores.captured_at)
        for category, label in scores.by_category.items():
            column = self.scores.get(category)
            if column is None:
                column = self.scores[category] = array("f", [np.nan]) * held
            column.append(label.score)
        if len(scores.by_category) < len(self.scores):
            for column in self.scores.values():
                if len(column) == held:
                    column.append(np.nan)


class ColumnLog:
    """Grows entry by entry and forgets the oldest.

    Args:
        max_samples: So many are kept, and at most 32,768 more; None: all.
        max_age_s: Older ones than this, by the newest entry, go; None: none do.
    """

    def __init__(
        self, max_samples: int | None = None, max_age_s: float | None = None
    ) -> None:
        self._max_samples = max_samples
        self._max_age_s = max_age_s
        self._chunks: deque[_Chunk] = deque([_Chunk()])
        self._models: dict[Category, ModelRef] = {}
        self._until = 0.0
        self._kept = 0

    def __len__(self) -> int:
        """How many samples are kept."""
        return self._kept

    def add(self, entry: Entry) -> None:
        """Adds one; a stream's come in the order of time. Takes some microseconds."""
        chunk = self._chunks[-1]
        if chunk.full:
            chunk = _Chunk()
            self._chunks.append(chunk)
            self._forget(entry.at)
        self._until = max(self._until, entry.at)
        number = chunk.names.setdefault(entry.stream.id, len(chunk.names))
        chunk.streams[entry.stream.id] = entry.stream
        if entry.scores is not None:
            for category in entry.scores.by_category:
                if category not in self._models:
                    self._models[category] = entry.scores.model_of(category)
            chunk.stream.append(number)
            chunk.score(entry)
            self._kept += 1
        elif entry.kind in MARKED:
            reason = 0 if entry.reason is None else REASONS.index(entry.reason)
            chunk.mark_stream.append(number)
            chunk.mark_at.append(entry.at)
            what = (entry.session << _BITS | reason) << _BITS
            chunk.mark_what.append(what | MARKED.index(entry.kind))
            chunk.mark_before.append(len(chunk.at))

    @property
    def _all(self) -> tuple[Sequence[_Chunk], dict[Category, ModelRef], float]:
        return list(self._chunks), self._models, self._until

    def fork(self) -> "ColumnLog":
        """As it is now, apart from what comes: to be looked at in another thread."""
        twin = ColumnLog(self._max_samples, self._max_age_s)
        *whole, growing = self._chunks
        twin._chunks = deque([*whole, growing.twin()])
        twin._models = dict(self._models)
        twin._until, twin._kept = self._until, self._kept
        return twin

    def precede(self, older: "ColumnLog") -> None:
        """Puts what happened before all of this in front; `older` is used up."""
        chunks, models, until = older._all  # noqa: SLF001 - of this class
        self._chunks.extendleft(reversed([one for one in chunks if one.used]))
        self._models = {**self._models, **models}
        self._until = max(self._until, until)
        self._kept += len(older)
        self._forget(self._until)

    def _forget(self, now: float) -> None:
        while len(self._chunks) > 1:
            oldest = self._chunks[0]
            age_s = now - oldest.last_at
            spare = self._kept - len(oldest.at)
            aged = self._max_age_s is not None and age_s > self._max_age_s
            much = self._max_samples is not None and spare >= self._max_samples
            if not (aged or much):
                return
            self._chunks.popleft()
            self._kept = spare

    def snapshot(self) -> Columns:
        """All that is kept, sorted by stream. Takes 0.2 s for a million samples."""
        chunks = tuple(self._chunks)
        names: dict[str, Stream] = {}
        for chunk in chunks:
            names |= chunk.streams
        numbers = {name: number for number, name in enumerate(names)}
        stream = _renumbered(chunks, numbers, "stream")
        order = np.argsort(stream, kind="stable")
        bounds = np.searchsorted(stream[order], np.arange(len(names) + 1))
        captured = _joined([chunk.captured_at for chunk in chunks], np.float64)[order]
        keys = stream[order] * len(order) + order
        return Columns(
            streams=tuple(names.values()),
            bounds=bounds,
            at=_joined([chunk.at for chunk in chunks], np.float64)[order],
            captured_at=_held(captured, bounds),
            scores={
                category: _column(chunks, category)[order] for category in self._models
            },
            models=dict(self._models),
            marks=_marks(chunks, numbers, keys, len(order)),
            until=self._until,
        )


def columns_of(entries: Iterable[Entry]) -> Columns:
    """The columns of a whole recording."""
    log = ColumnLog()
    for entry in entries:
        log.add(entry)
    return log.snapshot()


def _marks(
    chunks: Sequence[_Chunk], numbers: dict[str, int], keys: Places, count: int
) -> Marks:
    """`keys` are the sorted samples': stream, then place of arrival among `count`."""
    stream = _renumbered(chunks, numbers, "mark_stream")
    order = np.argsort(stream, kind="stable")
    offsets = np.cumsum([0, *(len(chunk.at) for chunk in chunks)])
    pairs = zip(chunks, offsets, strict=False)
    before = _joined([np.array(c.mark_before) + o for c, o in pairs], np.int64)
    what = _joined([chunk.mark_what for chunk in chunks], np.int64)[order]
    mask = (1 << _BITS) - 1
    return Marks(
        bounds=np.searchsorted(stream[order], np.arange(len(numbers) + 1)),
        at=_joined([chunk.mark_at for chunk in chunks], np.float64)[order],
        kind=what & mask,
        reason=what >> _BITS & mask,
        before=np.searchsorted(keys, (stream * count + before)[order]),
        session=what >> 2 * _BITS,
    )


def _renumbered(chunks: Sequence[_Chunk], numbers: dict[str, int], name: str) -> Places:
    parts = []
    for chunk in chunks:
        new = np.array([numbers[name] for name in chunk.names], np.int64)
        parts.append(new[np.array(getattr(chunk, name), np.int64)])
    return _joined(parts, np.int64)


def _column(chunks: Sequence[_Chunk], category: Category) -> NDArray[np.float32]:
    parts = []
    for chunk in chunks:
        column = chunk.scores.get(category)
        missing = np.full(len(chunk.at), np.nan, np.float32)
        parts.append(missing if column is None else np.array(column, np.float32))
    return _joined(parts, np.float32)


def _joined(parts: Sequence[Any], kind: type[Any]) -> NDArray[Any]:
    return np.concatenate([np.asarray(part, kind) for part in parts])


def _held(captured_at: Times, bounds: Places) -> Times:
    """Capture time that goes back is held, as the policy does."""
    held = captured_at.copy()
    for first, end in pairwise(bounds.tolist()):
        np.maximum.accumulate(held[first:end], out=held[first:end])
    return held
