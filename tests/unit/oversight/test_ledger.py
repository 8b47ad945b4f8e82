"""The ledger keeps the newest samples of every stream, and says nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import Category, LabelScore, ModelRef, Scores
from sidecar.oversight.ledger import Ledger

X, V = Category.SEXUAL_EXPLICIT, Category.VIOLENCE_GRAPHIC
MODEL = ModelRef("m", "sha256:0")


def scores(stream: str, at: float, **by: float) -> Scores:
    """Scores of `x` and `v`, as given."""
    names = {"x": X, "v": V}
    given_ = {names[name]: LabelScore(score, name) for name, score in by.items()}
    return Scores(stream, given_, MODEL, at)


def test_an_empty_ledger_has_columns() -> None:
    """Of no rows, for all and for one."""
    ledger = Ledger()
    assert len(ledger) == len(ledger.columns()) == len(ledger.of("a", 0.0)) == 0
    assert ledger.columns().scores == {}


def test_columns_tell_who_when_and_what() -> None:
    """In the order of their coming; what was not given is NaN, not zero."""
    ledger = Ledger()
    ledger.add(scores("a", 1.0, x=0.25))
    ledger.add(scores("b", 1.5, x=0.5, v=1.0))
    ledger.add(scores("a", 2.0, v=0.75))
    columns = ledger.columns()
    assert [columns.streams[index] for index in columns.stream] == ["a", "b", "a"]
    assert columns.at.tolist() == [1.0, 1.5, 2.0]
    np.testing.assert_array_equal(columns.scores[X], [0.25, 0.5, np.nan])
    np.testing.assert_array_equal(columns.scores[V], [np.nan, 1.0, 0.75])
    one = ledger.of("a", since=1.0)
    assert one.at.tolist() == [2.0]
    np.testing.assert_array_equal(one.scores[X], [np.nan])
    assert one.streams == ["a"]
    assert one.stream.tolist() == [0]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1, width=32)), max_size=60),
    st.integers(1, 20),
)
def test_the_newest_rows_are_kept(told: list[tuple[str, float]], rows: int) -> None:
    """At least `rows` of them, at most twice as many and one, each as it was told."""
    ledger = Ledger(rows)
    for at, (stream, score) in enumerate(told):
        ledger.add(scores(stream, float(at), x=score))
    columns = ledger.columns()
    assert min(len(told), rows) <= len(ledger) == len(columns) <= 2 * rows
    kept = list(enumerate(told))[len(told) - len(columns) :]
    assert columns.at.tolist() == [at for at, _ in kept]
    names = [columns.streams[index] for index in columns.stream]
    assert names == [stream for _, (stream, _) in kept]
    found = columns.scores[X].tolist() if told else []
    assert found == pytest.approx([s for _, (_, s) in kept])
    mine = [at for at, (stream, _) in kept if stream == "b" and at > 3]
    assert ledger.of("b", 3.0).at.tolist() == mine
