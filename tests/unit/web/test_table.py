"""Whatever a reader has seen, what it is told brings it up to date."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from sidecar.web import table as module
from sidecar.web.table import Row, RowTable

ROWS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(
        lambda lasting, news: Row({"l": lasting}, {"n": news}),
        st.integers(0, 1),
        st.integers(0, 2),
    ),
)


class Reader:
    """Keeps what it is told, as the page does."""

    def __init__(self) -> None:
        self.turn: int | None = None
        self.rows: dict[str, dict[str, int]] = {}

    def read(self, table: RowTable) -> int:
        """Catches up; how many rows it took."""
        changes = table.since(self.turn)
        if changes.full:
            self.rows.clear()
        for key in changes.gone:
            self.rows.pop(key, None)
        for key in changes.fresh:
            self.rows[key] = {**table[key].lasting, **table[key].news}
        for key in changes.changed:
            self.rows[key].update(table[key].news)
        self.turn = table.turn
        return len(changes.fresh) + len(changes.changed)


def whole(rows: Mapping[str, Row]) -> dict[str, dict[str, int]]:
    """What a reader should have."""
    return {key: {**row.lasting, **row.news} for key, row in rows.items()}


@given(st.lists(st.tuples(ROWS, st.booleans()), max_size=12))
def test_a_reader_that_reads_now_and_then_has_it_all(
    turns: list[tuple[Mapping[str, Row], bool]],
) -> None:
    """However many turns it skipped, and whatever came and went meanwhile."""
    table, reader = RowTable(), Reader()
    for rows, reads in turns:
        table.update(rows)
        if reads:
            reader.read(table)
            assert reader.rows == whole(rows)
    reader.read(table)
    assert reader.read(table) == 0


def test_only_what_changed_is_told() -> None:
    """A row as it was costs nothing; one whose news changed, its news."""
    table = RowTable()
    table.update({"a": Row({}, {"n": 1}), "b": Row({}, {"n": 1})})
    seen = table.turn
    table.update({"a": Row({}, {"n": 1}), "b": Row({}, {"n": 2})})
    changes = table.since(seen)
    assert (changes.full, changes.fresh, changes.changed) == (False, [], ["b"])


def test_a_reader_that_was_away_too_long_begins_anew() -> None:
    """What is remembered of the gone is bounded; so is trust in foreign turns."""
    table = RowTable()
    table.update({"x": Row({}, {})})
    early = table.turn
    for number in range(module._MOST_GONE + 2):
        table.update({f"s{number}": Row({}, {})})
    assert table.since(early).full
    assert not table.since(table.turn - 1).full
    assert table.since(table.turn + 1).full
    assert len(table._gone) == module._MOST_GONE
