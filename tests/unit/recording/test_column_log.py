"""Columns grow by entries, are bounded, and come out sorted by stream."""

import numpy as np
import pytest

from sidecar.domain import ModelRef, UnknownReason
from sidecar.recording import column_log
from sidecar.recording.column_log import ColumnLog, columns_of
from sidecar.recording.columns import MARKED, REASONS
from sidecar.recording.entry import Entry, EntryKind
from tests.unit.recording.test_whatif import A, B, V, X, sample

ENTRIES = [
    Entry(EntryKind.BEGAN, B, 0.0),
    sample(B, 1.0, {X: 0.1}, late=0.5),
    Entry(EntryKind.POLICY, A, 1.0),
    sample(A, 2.0, {X: 0.2, V: 0.3}, late=0.5),
    Entry(EntryKind.UNSEEN, B, 3.0, reason=UnknownReason.OVERLOADED, session=2),
    sample(B, 4.0, {V: 0.4}, late=3.5),
    sample(B, 5.0, {}, late=0.0),
    Entry(EntryKind.ENDED, B, 6.0),
]


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_samples_are_sorted_by_stream(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Each stream's in order, with NaN where a category is missing."""
    monkeypatch.setattr(column_log, "_CHUNK", chunk)
    columns = columns_of(ENTRIES)
    assert [stream.id for stream in columns.streams] == ["b", "a"]
    assert (len(columns), columns.until) == (4, 6.0)
    assert (columns.index("a"), columns.index("zzz")) == (1, None)
    assert columns.at[columns.span(0)].tolist() == [1.0, 4.0, 5.0]
    assert columns.captured_at[columns.span(0)].tolist() == [0.5, 0.5, 5.0]
    nan = np.nan
    x, v = columns.scores[X], columns.scores[V]
    np.testing.assert_array_equal(x, np.array([0.1, nan, nan, 0.2], np.float32))
    np.testing.assert_array_equal(v, np.array([nan, 0.4, nan, 0.3], np.float32))
    assert columns.models == dict.fromkeys([X, V], ModelRef("m", "sha256:1"))


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_marks_stand_before_their_samples(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """With kind, reason and session."""
    monkeypatch.setattr(column_log, "_CHUNK", chunk)
    marks = columns_of(ENTRIES).marks
    assert marks.bounds.tolist() == [0, 3, 3]
    assert [MARKED[kind] for kind in marks.kind] == ["began", "unseen", "ended"]
    assert REASONS[marks.reason[1]] is UnknownReason.OVERLOADED
    assert marks.before.tolist() == [0, 1, 3]
    assert marks.session.tolist() == [0, 2, 0]
    assert marks.at.tolist() == [0.0, 3.0, 6.0]


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """By number, or by age; streams that are forgotten leave nothing behind."""
    monkeypatch.setattr(column_log, "_CHUNK", 10)
    few, young = ColumnLog(max_samples=25), ColumnLog(max_age_s=20.0)
    for at in range(100):
        entry = sample(A if at < 50 else B, float(at), {X: 0.5}, late=0.0)
        few.add(entry)
        young.add(entry)
    assert 25 <= len(few) <= 45
    assert 20 <= len(young) <= 40
    for log in (few, young):
        columns = log.snapshot()
        assert [stream.id for stream in columns.streams] == ["b"]
        assert columns.at[-1] == 99.0
        assert len(columns) == len(log)


def test_marks_alone_fill_chunks_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams that come and go without ever being seen cannot fill the memory."""
    monkeypatch.setattr(column_log, "_CHUNK", 10)
    log = ColumnLog(max_age_s=20.0)
    for at in range(1000):
        log.add(Entry(EntryKind.BEGAN, A, float(at)))
    assert len(log.snapshot().marks.at) <= 40


def test_no_entries_make_empty_columns() -> None:
    """Nothing is recorded yet."""
    columns = ColumnLog().snapshot()
    assert (len(columns), columns.streams, columns.until) == (0, (), 0.0)


def test_a_fork_stays_as_it_was() -> None:
    """It can be looked at in a thread while the log grows on."""
    log = ColumnLog()
    for entry in ENTRIES:
        log.add(entry)
    fork = log.fork()
    log.add(sample(A, 7.0, {X: 0.9, V: 0.9}, late=0.0))
    assert (len(fork), len(fork.snapshot())) == (4, 4)
    assert fork.snapshot().until == 6.0
    assert len(log.snapshot()) == 5


def test_after_a_long_silence_everything_before_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was in force before it is too old altogether."""
    monkeypatch.setattr(column_log, "_CHUNK", 10)
    log = ColumnLog(max_age_s=20.0)
    for at in [*range(10), 1000]:
        log.add(sample(A, float(at), {X: 0.5}, late=0.0))
    assert log.snapshot().at.tolist() == [1000.0]
