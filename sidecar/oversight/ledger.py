"""Pure: the scores of all streams of the last hours, in columns; bounded."""

from collections import deque
from collections.abc import Sequence
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
    at: NDArray[np.float64]
    stream: NDArray[np.int32]
    scores: NDArray[np.float32]
    ids: dict[str, int] = field(default_factory=dict)
    used: int = 0


class Ledger:
    """Keeps the last samples; about 12 bytes and 4 for each category a row.

    Args:
        categories: Which are kept; `safe` need not be.
        rows: How many samples at least; the oldest give way, some thousand at a time.
    """

    def __init__(
        self, categories: Sequence[Category], rows: int = DEFAULT_ROWS
    ) -> None:
        self._categories = tuple(categories)
        self._chunk_rows = min(_CHUNK_ROWS, rows)
        most = -(-rows // self._chunk_rows) + 1
        self._chunks: deque[_Chunk] = deque(maxlen=most)

    def __len__(self) -> int:
        return sum(chunk.used for chunk in self._chunks)

    def add(self, scores: Scores) -> None:
        """Takes the scores of one sample."""
        if not self._chunks or self._chunks[-1].used == self._chunk_rows:
            self._chunks.append(self._new())
        chunk = self._chunks[-1]
        row = chunk.used
        chunk.at[row] = scores.captured_at
        chunk.stream[row] = chunk.ids.setdefault(scores.stream_id, len(chunk.ids))
        for column, category in enumerate(self._categories):
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
        return self._joined(list(ids), streams)

    def of(self, stream_id: str, since: float) -> Columns:
        """One stream's samples captured after `since`."""
        at, scores = [np.empty(0)], [np.empty((0, len(self._categories)), np.float32)]
        for chunk in self._chunks:
            index = chunk.ids.get(stream_id)
            if index is not None:
                used = slice(chunk.used)
                rows = (chunk.stream[used] == index) & (chunk.at[used] > since)
                at.append(chunk.at[used][rows])
                scores.append(chunk.scores[used][rows])
        whole = np.concatenate(at)
        return Columns(
            [stream_id],
            np.zeros(len(whole), np.int32),
            whole,
            self._by_category(np.concatenate(scores)),
        )

    def _joined(self, ids: list[str], streams: list[NDArray[np.int32]]) -> Columns:
        chunks = self._chunks
        empty = np.empty((0, len(self._categories)), np.float32)
        at = np.concatenate([np.empty(0), *(c.at[: c.used] for c in chunks)])
        scores = np.concatenate([empty, *(c.scores[: c.used] for c in chunks)])
        return Columns(ids, np.concatenate(streams), at, self._by_category(scores))

    def _by_category(
        self, scores: NDArray[np.float32]
    ) -> dict[Category, NDArray[np.float32]]:
        return {
            category: scores[:, column]
            for column, category in enumerate(self._categories)
        }

    def _new(self) -> _Chunk:
        rows = self._chunk_rows
        return _Chunk(
            np.empty(rows),
            np.empty(rows, np.int32),
            np.empty((rows, len(self._categories)), np.float32),
        )
