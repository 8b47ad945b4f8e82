"""A recording is judged anew, in order, by whom its streams belong to."""

import pytest

from sidecar.decide.policy import PolicySet
from sidecar.decide.policyset import Policy, Selector
from sidecar.decide.rules import UnknownRule
from sidecar.domain import ActionKind, UnknownReason, VerdictState
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.rerun import REMEMBERED_S, Rerun
from tests.unit.recording.test_whatif import RULE, A, B, X, sample

ONLY_A = PolicySet((Policy("p", Selector(ids=("a",)), (RULE,), None, 10.0),))
NOBODY = Entry(EntryKind.UNSEEN, B, 1.0, reason=UnknownReason.STARTING)


def test_a_stream_that_no_policy_means_is_left_out() -> None:
    """However much happens to it."""
    entries = [Entry(EntryKind.BEGAN, B, 0.0), NOBODY, sample(B, 2.0, {X: 1.0}, 0.0)]
    assert list(Rerun(ONLY_A).run(entries)) == []


def test_what_is_no_news_to_a_policy_is_passed_over() -> None:
    """Ticks and decisions of the policy that was in force then are not judged."""
    tick = Entry(EntryKind.TICK, A, 1.0)
    assert list(Rerun(ONLY_A).run([Entry(EntryKind.BEGAN, A, 0.0), tick]))[1:] == []


@pytest.mark.parametrize(
    ("away_s", "session", "remembered"),
    [(1.0, 0, True), (REMEMBERED_S + 1, 0, False), (1.0, 1, False)],
)
def test_who_comes_back_soon_is_remembered(
    away_s: float, session: int, *, remembered: bool
) -> None:
    """A hit before a short absence counts with one after it, in the same session."""
    back = 2.0 + away_s
    entries = [
        sample(A, 1.0, {X: 0.9}, 0.0),
        Entry(EntryKind.ENDED, A, 2.0),
        Entry(EntryKind.BEGAN, A, back, session=session),
        sample(A, back + 1, {X: 0.9}, 0.0),
    ]
    actions = [one for j in Rerun(ONLY_A).run(entries) for one in j.step.actions]
    assert bool(actions) == remembered


def test_a_person_clears_and_time_goes_on() -> None:
    """CLEARED sets the windows back; after it a stale stream is UNKNOWN by itself."""
    unknown = UnknownRule(after_s=2.0, action=ActionKind.INTERRUPT)
    policies = PolicySet((Policy("p", Selector(), (RULE,), unknown, 3.0),))
    entries = [
        sample(A, 1.0, {X: 0.9}, 0.0),
        Entry(EntryKind.CLEARED, A, 1.5),
        sample(A, 2.0, {X: 0.9}, 0.0),
        sample(B, 20.0, {X: 0.0}, 0.0),
    ]
    judged = list(Rerun(policies).run(entries))
    kinds = [a.kind for j in judged for a in j.step.actions if j.stream is A]
    assert ActionKind.TAKEDOWN not in kinds
    assert kinds[-1] is ActionKind.INTERRUPT
    last = [j for j in judged if j.stream is A][-1]
    assert last.step.verdict.state is VerdictState.UNKNOWN


@pytest.mark.parametrize(("until", "fired"), [(3.0, []), (4.0, [4.0]), (60.0, [4.0])])
def test_time_passes_to_the_end_of_the_recording(
    until: float, fired: list[float]
) -> None:
    """Up to and with its last instant; nothing passes for a stream that has ended."""
    unknown = UnknownRule(after_s=3.0, action=ActionKind.INTERRUPT)
    policies = PolicySet((Policy("p", Selector(), (RULE,), unknown, 3.0),))
    reason = UnknownReason.NO_FRAMES
    entries = [
        Entry(EntryKind.UNSEEN, A, 1.0, reason=reason),
        Entry(EntryKind.UNSEEN, B, 1.0, reason=reason),
        Entry(EntryKind.ENDED, B, 1.5),
        Entry(EntryKind.ENDED, B, until),
    ]
    judged = Rerun(policies).run(entries)
    assert [(one.stream, one.at) for one in judged if one.step.actions] == [
        (A, at) for at in fired
    ]
