"""A reviewer's word becomes a label and counts in its rule's rate."""

import csv
import io
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import Category, Outcome
from sidecar.oversight.outcomes import HEADER, Label, OverturnRates, label_of, to_row
from tests.fakes.policy_run import CLOSED, POLICY, Run, X

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def test_confirmed_is_the_category_and_cleared_is_safe() -> None:
    """An action for not having been seen says nothing of what was shown."""
    run = Run(POLICY)
    run.saw(1.0, 0.9)
    confirmed = label_of(run.actions[0], Outcome.CONFIRM, START, END)
    assert confirmed == Label("s", START, END, X)
    cleared = label_of(run.actions[0], Outcome.CLEAR, START, END)
    assert cleared == Label("s", START, END, Category.SAFE)
    blind = Run(CLOSED)
    blind.waited(31.0)
    assert label_of(blind.actions[0], Outcome.CLEAR, START, END) is None


@given(st.text(max_size=30).filter(lambda t: "\r" not in t and "\n" not in t))
def test_a_row_is_read_as_it_was_written(stream: str) -> None:
    """Whatever the stream is called."""
    row = to_row(Label(stream, START, END, X))
    (found,) = csv.DictReader(io.StringIO(HEADER + row))
    assert found == {
        "stream": stream,
        "start": "2026-01-01T00:00:00.000Z",
        "end": "2026-01-02T00:00:00.001Z",
        "category": "sexual.explicit",
    }


def test_the_rate_is_of_those_that_were_reviewed() -> None:
    """By rule; who changes their mind counts once."""
    run = Run(POLICY)
    for at in range(3):
        run.saw(float(at), 0.9)
    flag, takedown = run.actions
    rates = OverturnRates()
    assert rates.rate("default", "flag") is None
    rates.add(flag, Outcome.CONFIRM, None)
    rates.add(flag, Outcome.CLEAR, None)
    rates.add(takedown, Outcome.CLEAR, None)
    assert rates.rate("default", "flag") == 0.5
    assert rates.rate("default", "takedown") == 1.0
    rates.add(takedown, Outcome.CONFIRM, Outcome.CLEAR)
    assert rates.rate("default", "takedown") == 0.0
