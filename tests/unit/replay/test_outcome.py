"""What a replay came to, entry by entry."""

from dataclasses import replace

from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.domain import ActionKind, UnknownReason, VerdictState
from sidecar.recording.diff import Difference, Moved
from sidecar.recording.entry import Decision, Entry, EntryKind
from sidecar.recording.whatif import Fired
from sidecar.replay.outcome import Outcome, difference_json
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


def test_machines_are_told_all_of_it() -> None:
    """An action with its score and the legs of its sample; totals over the streams."""
    outcome = Outcome(POLICIES)
    cut = Decision(ActionKind.TAKEDOWN, "cut", "p", "sha256:1", X, 0.9)
    clear = VerdictState.CLEAR
    scores = sample(A, 2.0, {X: 0.9}, late=0.25).scores
    outcome.add(Entry(EntryKind.SAMPLE, A, 2.0, clear, None, scores, (cut,)))
    assert set(outcome.streams["a"].legs[2.0]) == {
        *("receive", "decode", "queue", "inference")
    }
    said = outcome.as_json()
    (stream,) = said["streams"]
    (action,) = stream["actions"]
    assert (action["score"], action["captured_at"]) == (0.9, 1.75)
    assert said["totals"]["actions"] == said["totals"]["samples"] == 1
    assert said["models"] == [{"name": "m", "hash": "sha256:1"}]


def test_a_difference_is_told_by_what_changed() -> None:
    """What came, what went, and what moved by how much."""
    early = Fired("a", 1.0, ActionKind.FLAG, "r", "p", X, 0.9, 0.5, dry_run=False)
    late = replace(early, at=2.5)
    found = Difference([early], [late], [Moved(early, late)], same=3)
    said = difference_json(found, partial=True)
    assert [one["at"] for one in said["added"] + said["removed"]] == [1.0, 2.5]
    assert said["moved"][0]["by_s"] == 1.5
    assert (said["same"], said["partial"]) == (3, True)
