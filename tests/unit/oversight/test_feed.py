"""Each action is shown once, with how far it got; the oldest give way."""

from dataclasses import replace

import pytest

from sidecar.decide.state import Step
from sidecar.domain import (
    Action,
    Delivery,
    Outcome,
    SourceKind,
    Stream,
    UnknownReason,
)
from sidecar.oversight.feed import ActionFeed
from tests.fakes.policy_run import CLOSED, POLICY, Run, scores

STREAM = Stream("s", SourceKind.WHIP)


def step_with(*actions: Action) -> Step:
    """A step that led to these actions."""
    state = Run(POLICY).state
    return Step(state, state.verdict, actions)


@pytest.fixture
def action() -> Action:
    """A flag, decided at 1.1."""
    run = Run(POLICY)
    run.saw(1.0, 0.9)
    return run.actions[0]


def test_an_action_goes_its_way(action: Action) -> None:
    """Owed, on disk under its id, at the broker, enforced: one item all along."""
    feed = ActionFeed()
    feed.scored(STREAM, POLICY, scores(1.0, 0.9), step_with(action), 1.1)
    (item,) = feed.since(0)
    assert (item.id, item.delivery) == (None, Delivery.OWED)
    seen = feed.version
    feed.stored("id-1", action, STREAM, 1.2)
    for delivery in (Delivery.DELIVERED, Delivery.RECEIVED, Delivery.ENFORCED):
        feed.moved("id-1", delivery, 2.0)
        assert feed.get("id-1") is item
        assert item.delivery is delivery
    assert item.moved_at == 2.0
    assert feed.since(seen) == [item]
    assert feed.since(feed.version) == []
    assert feed.of("s") == [item]
    assert feed.of("other") == []


def test_what_is_over_stays_so(action: Action) -> None:
    """A repeat to the broker, or a late word, does not take `enforced` back."""
    feed = ActionFeed()
    feed.stored("id-1", action, STREAM, 1.0)
    feed.moved("id-1", Delivery.DELIVERED, 2.0)
    feed.moved("id-1", Delivery.FAILED, 3.0)
    feed.moved("id-1", Delivery.DELIVERED, 4.0)
    (item,) = feed.since(0)
    assert (item.delivery, item.moved_at) == (Delivery.FAILED, 3.0)
    feed.moved("id-1", Delivery.FAILED, 5.0)
    assert item.moved_at == 3.0
    feed.moved("id-1", Delivery.ENFORCED, 6.0)
    feed.moved("id-1", Delivery.EXPIRED, 7.0)
    assert item.delivery is Delivery.ENFORCED
    feed.moved("of an earlier process", Delivery.DELIVERED, 8.0)
    assert len(feed.since(0)) == 1


def test_everything_that_leads_to_actions_is_heard(action: Action) -> None:
    """Absence, time, and what falls due with a reversal; the reversal itself once."""
    feed = ActionFeed()
    run = Run(CLOSED)
    run.waited(31.0)
    (absence,) = run.actions
    feed.ticked(STREAM, CLOSED, step_with(absence), 31.0)
    feed.ticked(STREAM, CLOSED, step_with(absence), 31.0)
    later = replace(action, decided_at=40.0)
    feed.unseen(STREAM, CLOSED, UnknownReason.STALE, step_with(later), 40.0)
    (reversal,) = run.reversed(50.0).actions
    feed.stored("id-r", reversal, STREAM, 50.0)
    along = replace(action, decided_at=50.5)
    anew = replace(reversal, decided_at=50.5)
    feed.cleared(STREAM, CLOSED, step_with(anew, along), 50.5)
    assert [item.action for item in feed.of("s")] == [along, reversal, later, absence]


def test_a_reviewers_last_word_holds(action: Action) -> None:
    """What is not known is not reviewed."""
    feed = ActionFeed()
    feed.stored("id-1", action, STREAM, 1.0)
    assert feed.reviewed("id-2", Outcome.CLEAR, "r-1") is None
    before = feed.version
    feed.reviewed("id-1", Outcome.CONFIRM, "r-1")
    item = feed.reviewed("id-1", Outcome.CLEAR, "r-2")
    assert item is not None
    assert (item.outcome, item.outcome_by) == (Outcome.CLEAR, "r-2")
    assert feed.since(before) == [item]


def test_the_oldest_give_way(action: Action) -> None:
    """A thousand are kept; of those before nothing is known."""
    feed = ActionFeed()
    for number in range(1002):
        one = replace(action, decided_at=float(number))
        if number:
            feed.stored(f"id-{number}", one, STREAM, float(number))
        else:
            feed.scored(STREAM, POLICY, scores(1.0, 0.9), step_with(one), 0.0)
    assert len(feed.since(0)) == 1000
    assert feed.get("id-1") is None
    assert feed.get("id-2") is not None
