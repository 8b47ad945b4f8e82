"""Pure: rows that change, so that a reader gets only what it has not seen."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_MOST_GONE: Final = 2000


@dataclass(frozen=True, slots=True)
class Row:
    """One stream's line.

    Attributes:
        lasting: What stays as it is while the stream is there.
        news: What changes.
    """

    lasting: Mapping[str, Any]
    news: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reader has to be told.

    Attributes:
        full: Everything it knew is void.
        fresh: Rows it does not know, whole.
        changed: Of the others, the news.
        gone: Rows that are no more.
    """

    full: bool
    fresh: Sequence[str]
    changed: Sequence[str]
    gone: Sequence[str]


@dataclass(slots=True)
class _Kept:
    row: Row
    born: int
    changed: int = field(default=0)


class RowTable:
    """The rows of the last turn, and in which turn each came, changed or went."""

    def __init__(self) -> None:
        self.turn = 0
        self._floor = 0
        self._rows: dict[str, _Kept] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()

    def __getitem__(self, key: str) -> Row:
        return self._rows[key].row

    def update(self, rows: Mapping[str, Row]) -> None:
        """One turn: these are the rows now."""
        self.turn += 1
        for key in self._rows.keys() - rows.keys():
            del self._rows[key]
            self._gone[key] = self.turn
            self._gone.move_to_end(key)
        while len(self._gone) > _MOST_GONE:
            _, went = self._gone.popitem(last=False)
            self._floor = max(self._floor, went)
        for key, row in rows.items():
            self._put(key, row)

    def _put(self, key: str, row: Row) -> None:
        kept = self._rows.get(key)
        if kept is None or kept.row.lasting != row.lasting:
            self._rows[key] = _Kept(row, self.turn, self.turn)
            self._gone.pop(key, None)
        elif kept.row.news != row.news:
            kept.row, kept.changed = row, self.turn

    def since(self, turn: int | None) -> Changes:
        """What a reader that saw `turn` does not know; None saw nothing."""
        if turn is None or not self._floor <= turn <= self.turn:
            return Changes(full=True, fresh=list(self._rows), changed=(), gone=())
        fresh = [key for key, kept in self._rows.items() if kept.born > turn]
        changed = [
            key for key, kept in self._rows.items() if kept.born <= turn < kept.changed
        ]
        gone = [key for key, went in self._gone.items() if went > turn]
        return Changes(full=False, fresh=fresh, changed=changed, gone=gone)
