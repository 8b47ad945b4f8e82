"""What a replay came to, entry by entry."""

from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.domain import ActionKind, UnknownReason, VerdictState
from sidecar.recording.entry import Decision, Entry, EntryKind
from sidecar.replay.outcome import Outcome
from tests.unit.recording.test_whatif import RULE, A, X, sample

POLICIES = PolicySet((Policy("p", Selector(), (RULE,), None, 10.0),))
CUT = Decision(ActionKind.INTERRUPT, "unknown", "p", "sha256:1", None, None)


def _unseen(at: float, *decisions: Decision) -> Entry:
    unknown, reason = VerdictState.UNKNOWN, UnknownReason.NO_FRAMES
    return Entry(EntryKind.UNSEEN, A, at, unknown, reason, decisions=decisions)


def test_what_nothing_was_seen_for_has_no_legs() -> None:
    """An interrupt for not having been seen was not captured at any instant."""
    outcome = Outcome(POLICIES)
    outcome.add(_unseen(0.0))
    outcome.add(_unseen(5.0, CUT))
    (found,) = outcome.streams.values()
    (fired,) = found.actions
    assert (fired.action, fired.at) == (ActionKind.INTERRUPT, 5.0)
    assert fired.captured_at is None
    assert found.legs == {}


def test_time_is_watched_unseen_or_away() -> None:
    """Each second is one of them; a verdict is told when it changes."""
    outcome = Outcome(POLICIES)
    outcome.add(_unseen(0.0))
    clear = sample(A, 2.0, {X: 0.1}, late=0.0)
    outcome.add(Entry(EntryKind.SAMPLE, A, 2.0, VerdictState.CLEAR, None, clear.scores))
    outcome.add(Entry(EntryKind.ENDED, A, 3.0, VerdictState.CLEAR))
    outcome.add(Entry(EntryKind.BEGAN, A, 7.0, VerdictState.CLEAR))
    outcome.add(Entry(EntryKind.ENDED, A, 8.0, VerdictState.CLEAR))
    (found,) = outcome.streams.values()
    assert (found.unseen_s, found.away_s, found.watched_s) == (2.0, 4.0, 4.0)
    assert found.samples == 1
    assert [change.at for change in found.verdicts] == [0.0, 2.0]
