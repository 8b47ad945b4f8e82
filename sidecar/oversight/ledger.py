"""Pure: the scores of all streams of the last hours, in columns; bounded."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.domain import Category, Scores

_CHUNK_ROWS: Final = 16_384
DEFAULT_ROWS: Final = 1_000_000  # 9 min of 2,000 streams at 1/s; 4 days of three


@dataclass(frozen=True, slots=True)
class Columns:
    """Samples in the order of their coming.

    Attributes:
        streams: Ids; `stream` says which of them.
        stream: Indices into `streams`, `int32 (n,)`.
        at: Capture instants, monotonic seconds, `float64 (n,)`.
        scores: Of each category, `float32 (n,)`, NaN where none was given.
    """

    streams: Sequence[str]
    stream: NDArray[np.int32]
    at: NDArray[np.float64]
    scores: dict[Category, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.at)


@dataclass(slots=True)
class _Chunk:
    categories: tuple[Category, ...]
    at: NDArray[np.float64]
    stream: NDArray[np.int32]
    scores: NDArray[np.float32]
    ids: dict[str, int] = field(default_factory=dict)
    used: int = 0

    def column(self, category: Category) -> NDArray[np.float32]:
        """Its scores; NaN for a category that nobody gave yet."""
        if category in self.categories:
            return self.scores[: self.used, self.categories.index(category)]
        return np.full(self.used, np.nan, np.float32)


class Ledger:
    """Keeps the last samples; about 12 bytes and 4 for each category a row.

    Args:
        rows: How many samples at least, as long as the models stay the same; the oldest
            give way, some thousand at a time.
    """

    def __init__(self, rows: int = DEFAULT_ROWS) -> None:
        self._chunk_rows = min(_CHUNK_ROWS, rows)
        most = -(-rows // self._chunk_rows) + 1
        self._chunks: deque[_Chunk] = deque(maxlen=most)
        self._categories: tuple[Category, ...] = ()

    def __len__(self) -> int:
        return sum(chunk.used for chunk in self._chunks)

    def add(self, scores: Scores) -> None:
        """Takes the scores of one sample."""
        chunk = self._chunk(scores.by_category)
        row = chunk.used
        chunk.at[row] = scores.captured_at
        chunk.stream[row] = chunk.ids.setdefault(scores.stream_id, len(chunk.ids))
        for column, category in enumerate(chunk.categories):
            found = scores.by_category.get(category)
            chunk.scores[row, column] = np.nan if found is None else found.score
        chunk.used = row + 1

    def columns(self) -> Columns:
        """A copy of everything."""
        ids: dict[str, int] = {}
        streams = [np.empty(0, np.int32)]
        for chunk in self._chunks:
            to = [ids.setdefault(one, len(ids)) for one in chunk.ids]
            streams.append(np.array(to, np.int32)[chunk.stream[: chunk.used]])
        at = np.concatenate([np.empty(0), *(c.at[: c.used] for c in self._chunks)])
        scores = {
            category: np.concatenate(
                [np.empty(0, np.float32), *(c.column(category) for c in self._chunks)]
            )
            for category in self._categories
        }
        return Columns(list(ids), np.concatenate(streams), at, scores)

    def of(self, stream_id: str, since: float) -> Columns:
        """One stream's samples captured after `since`."""
        at = [np.empty(0)]
        scores = {one: [np.empty(0, np.float32)] for one in self._categories}
        for chunk in self._chunks:
            index = chunk.ids.get(stream_id)
            if index is not None:
                used = slice(chunk.used)
                rows = (chunk.stream[used] == index) & (chunk.at[used] > since)
                at.append(chunk.at[used][rows])
                for category, parts in scores.items():
                    parts.append(chunk.column(category)[rows])
        whole = np.concatenate(at)
        return Columns(
            [stream_id],
            np.zeros(len(whole), np.int32),
            whole,
            {category: np.concatenate(parts) for category, parts in scores.items()},
        )

    def _chunk(self, given: Mapping[Category, object]) -> _Chunk:
        """Where the next row goes; a new one if this is full or lacks a column."""
        lacking = given.keys() - self._categories - {Category.SAFE}
        if lacking:
            self._categories = (*self._categories, *sorted(lacking))
        if not self._chunks or self._chunks[-1].used == self._chunk_rows or lacking:
            rows, columns = self._chunk_rows, len(self._categories)
            self._chunks.append(
                _Chunk(
                    self._categories,
                    np.empty(rows),
                    np.empty(rows, np.int32),
                    np.empty((rows, columns), np.float32),
                )
            )
        return self._chunks[-1]
