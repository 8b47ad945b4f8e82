"""The rule for not having been seen fires on columns as it does live."""

import pytest

from sidecar.decide.policy import PolicySet
from sidecar.decide.policyset import Policy, Selector
from sidecar.decide.rules import UnknownRule
from sidecar.domain import ActionKind, UnknownReason
from sidecar.recording.absence import absences
from sidecar.recording.column_log import columns_of
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.rerun import Rerun
from tests.unit.recording.test_whatif import A, B, X, sample

RULE = UnknownRule(after_s=2.0, action=ActionKind.INTERRUPT, cooldown_s=5.0)
POLICY = Policy("p", Selector(), (), RULE, stale_after_s=3.0)


def _began(at: float) -> Entry:
    return Entry(EntryKind.BEGAN, A, at)


def _unseen(at: float) -> Entry:
    return Entry(EntryKind.UNSEEN, A, at, reason=UnknownReason.STARTING)


def _ended(at: float) -> Entry:
    return Entry(EntryKind.ENDED, A, at)


def _cleared(at: float) -> Entry:
    return Entry(EntryKind.CLEARED, A, at)


def _seen(at: float) -> Entry:
    return sample(A, at, {X: 0.1}, late=0.0)


UNTIL = Entry(EntryKind.BEGAN, B, 30.0)  # that the recording goes on so long


@pytest.mark.parametrize(
    ("entries", "fired"),
    [
        ([_began(0.0)], [2.0]),
        ([_began(0.0), _unseen(1.0)], [2.0]),
        ([_unseen(1.0)], [3.0]),
        ([_began(0.0), _ended(1.5)], []),
        ([_seen(1.0)], [6.5]),
        ([_seen(1.0), _ended(2.0)], []),
        ([_seen(1.0), _ended(2.0), _seen(3.0)], []),
        ([_seen(1.0), _ended(2.0), _unseen(9.0), _unseen(12.0)], [12.0]),
        ([_began(0.0), _seen(3.0), _seen(4.0), _ended(5.0)], [2.0]),
        ([_began(0.0), _seen(3.0), _unseen(3.5), _ended(8.0)], [2.0, 7.0]),
        ([*map(_seen, (1.0, 2.0, 3.0, 4.0, 20.0)), _ended(21.0)], [9.5]),
        ([_began(0.0), _cleared(1.0), _seen(3.0), _ended(4.0)], [2.0]),
        ([_seen(1.0), _seen(2.0), _cleared(3.0), _seen(4.0), _ended(5.0)], []),
    ],
)
def test_it_fires_once_for_each_absence(
    entries: list[Entry], fired: list[float]
) -> None:
    """At the instants that are written here, and as the live code would."""
    columns = columns_of([*entries, UNTIL])
    names = [stream.id for stream in columns.streams]
    assert [at for _, at in absences(columns, POLICY, [names.index("a")])] == fired
    live = Rerun(PolicySet((POLICY,))).run([*entries, UNTIL])
    told = [action for one in live if one.stream is A for action in one.step.actions]
    interrupts = [one for one in told if one.kind is ActionKind.INTERRUPT]
    assert [one.decided_at for one in interrupts] == fired


def test_nothing_was_recorded() -> None:
    """So nothing fires."""
    assert list(absences(columns_of([]), POLICY, [])) == []
