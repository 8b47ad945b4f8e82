"""Pure: what reviewers said of actions, as labels and as rates."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sidecar.domain import Action, Category, Outcome

HEADER: Final = "stream,start,end,category\n"


@dataclass(frozen=True, slots=True)
class Label:
    """What a stream showed, by a person's word.

    Attributes:
        stream: Whose.
        start: Capture of the first sample that spoke for the action, UTC.
        end: Capture of the last.
        category: What it showed: the action's category if it was confirmed, `safe` if
            it was cleared.
    """

    stream: str
    start: datetime
    end: datetime
    category: Category


def label_of(
    action: Action, outcome: Outcome, start: datetime, end: datetime
) -> Label | None:
    """The label an outcome amounts to; None where no score was in question."""
    category = action.reason.category
    if category is None:
        return None
    said = category if outcome is Outcome.CONFIRM else Category.SAFE
    return Label(action.stream_id, start, end, said)


def to_row(label: Label) -> str:
    """The label's line in the labels file, under `HEADER`."""
    text = io.StringIO()
    end = label.end + timedelta(milliseconds=1)  # after the start: one sample may do
    csv.writer(text, lineterminator="\n").writerow(
        (label.stream, _stamp(label.start), _stamp(end), label.category.value)
    )
    return text.getvalue()


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class OverturnRates:
    """How often each rule's actions were cleared, of those that were reviewed."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, Outcome]] = Counter()

    def add(self, action: Action, outcome: Outcome, before: Outcome | None) -> None:
        """Counts an outcome; one that was given before is taken back."""
        rule = action.policy.name, action.policy.rule
        if before is not None:
            self._counts[(*rule, before)] -= 1
        self._counts[(*rule, outcome)] += 1

    def rate(self, policy: str, rule: str) -> float | None:
        """Cleared over reviewed; None if none was reviewed."""
        cleared = self._counts[(policy, rule, Outcome.CLEAR)]
        reviewed = cleared + self._counts[(policy, rule, Outcome.CONFIRM)]
        return cleared / reviewed if reviewed else None
