"""Labels come from a CSV file, or every fault is told with its line."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import Category
from sidecar.errors import ConfigError
from sidecar.replay import labels
from sidecar.replay.labels import Episode, Label, episodes, parse_labels, read_labels

EPOCH = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
X, V = Category.SEXUAL_EXPLICIT, Category.VIOLENCE_GRAPHIC
HEAD = "stream,start,end,category\n"


def test_instants_are_seconds_or_times(tmp_path: Path) -> None:
    """On the recording's clock; comments and empty lines are passed over."""
    path = tmp_path / "labels.csv"
    path.write_bytes(
        b"\xef\xbb\xbfstream, start, end, category\r\n"
        b"a,1.5,2,sexual.explicit\r\n\r\n# by hand\r\n"
        b"b,2026-11-27T10:00:30Z,2026-11-27T11:01:00+01:00,safe\r\n"
    )
    assert read_labels(path, EPOCH) == [
        Label("a", 1.5, 2.0, X),
        Label("b", 30.0, 60.0, Category.SAFE),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: the first line has to be stream,start,end,category"),
        (HEAD + "a,1,2", ":2: 3 columns instead of 4"),
        (HEAD + "a/b,1,2,safe", "'a/b' is no stream id"),
        (HEAD + "a,1,2,csea", "category 'csea' is not known; use safe, "),
        (HEAD + "a,2,2,safe", "the end '2' is not after the start '2'"),
        (HEAD + "a,x,2,safe", "'x' is neither a number of seconds nor a UTC time"),
        (HEAD + "a,2026-11-27T10:00:30,2,safe", "is neither"),
        (HEAD + "a,nan,2,safe", "'nan' is no number of seconds"),
        (HEAD + "a,1,1e99,safe", "'1e99' is no number of seconds"),
        (HEAD + "a,1," + "9" * 200_000, "not CSV"),
    ],
)
def test_faults_are_told(text: str, told: str) -> None:
    """With the file and the line."""
    with pytest.raises(ConfigError) as caught:
        parse_labels("l.csv", text, EPOCH)
    assert told in str(caught.value)
    assert str(caught.value).startswith("l.csv:")


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """And a file that is none."""
    with pytest.raises(ConfigError) as caught:
        parse_labels("l.csv", HEAD + "a,1\nb,2\n", EPOCH)
    assert len(caught.value.faults) == 2
    with pytest.raises(ConfigError, match="cannot be read"):
        read_labels(tmp_path / "none.csv", EPOCH)
    (tmp_path / "b.csv").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_labels(tmp_path / "b.csv", EPOCH)


def test_a_file_beyond_all_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is read as CSV; one that just fits is not."""
    path = tmp_path / "labels.csv"
    path.write_text(HEAD)
    monkeypatch.setattr(labels, "_MOST_BYTES", len(HEAD))
    assert read_labels(path, EPOCH) == []
    path.write_text(HEAD + "\n")
    with pytest.raises(ConfigError, match=f"larger than {len(HEAD)} bytes; split it"):
        read_labels(path, EPOCH)


@given(st.text() | st.text().map(lambda rest: HEAD + rest))
def test_any_text_is_labels_or_faults(text: str) -> None:
    """Nothing else comes of it."""
    with suppress(ConfigError):
        assert all(one.start < one.end for one in parse_labels("l", text, EPOCH))


def test_overlapping_labels_are_one_episode() -> None:
    """Of a stream and category; two people may have labelled it; safe is none."""
    labels = [
        Label("a", 5, 9, X),
        Label("a", 1, 6, X),
        Label("a", 2, 3, X),
        Label("a", 20, 21, X),
        Label("a", 1, 2, V),
        Label("b", 1, 2, X),
        Label("b", 1, 99, Category.SAFE),
    ]
    assert episodes(labels) == [
        Episode("a", 1, 9, X),
        Episode("a", 20, 21, X),
        Episode("a", 1, 2, V),
        Episode("b", 1, 2, X),
    ]
    assert episodes([]) == []
