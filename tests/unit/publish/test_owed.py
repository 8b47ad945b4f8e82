"""What is decided reaches the outbox, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from sidecar.clock import ManualClock
from sidecar.domain import (
    Action,
    ActionKind,
    Category,
    PolicyRef,
    Reason,
    SourceKind,
    Stream,
)
from sidecar.errors import OutboxFull
from sidecar.publish import owed as module
from sidecar.publish.owed import Owed
from sidecar.stats import Stats
from tests.fakes.publisher import MemoryPublisher

pytestmark = pytest.mark.anyio


def _action(rule: str, score: float = 0.9, stream: str = "s") -> Action:
    return Action(
        kind=ActionKind.TAKEDOWN,
        stream_id=stream,
        reason=Reason(Category.DRUGS, "bad", score, 0.8, 2, 3, 10.0),
        policy=PolicyRef("p", "sha256:0", rule),
        model=None,
        dry_run=False,
        captured_at=100.0,
        decided_at=100.0,
    )


def _stream(name: str = "s") -> Stream:
    return Stream(name, SourceKind.WHIP)


class SlowPublisher(MemoryPublisher):
    """Takes an action when it is let."""

    def __init__(self) -> None:
        super().__init__(ManualClock(100.0))
        self.asked = asyncio.Event()
        self.let = asyncio.Event()

    async def publish_action(self, action: Action, stream: Stream) -> str:
        """As slow as its disk."""
        self.asked.set()
        await self.let.wait()
        return await super().publish_action(action, stream)


@asynccontextmanager
async def _paying(owed: Owed) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        payments = group.create_task(owed.run())
        yield
        payments.cancel()


async def test_what_the_outbox_refuses_is_tried_again_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full outbox loses nothing; each action is taken once."""
    monkeypatch.setattr(module, "_AGAIN_S", 0.001)
    publisher = SlowPublisher()
    publisher.let.set()
    publisher.failure = OutboxFull("full")
    owed = Owed(publisher, publisher.clock, Stats())
    owed.add(_action("flag"), _stream())
    owed.add(_action("cut"), _stream())
    with capture_logs() as logs:
        async with _paying(owed):
            await publisher.asked.wait()
            publisher.asked.clear()
            await publisher.asked.wait()
            publisher.failure = None
            await owed.settle()
    taken = [action.policy.rule for action in publisher.actions.values()]
    assert taken == ["flag", "cut"]
    assert not owed
    assert logs[0]["event"] == "action_not_on_disk"


async def test_news_of_a_rule_replaces_what_is_still_owed() -> None:
    """So what is owed is bounded by the rules, and the newest evidence is told."""
    publisher = SlowPublisher()
    owed = Owed(publisher, publisher.clock, Stats())
    owed.add(_action("cut", 0.8), _stream())
    async with _paying(owed):
        await publisher.asked.wait()
        owed.add(_action("cut", 0.9), _stream())
        publisher.let.set()
        await owed.settle()
    scores = [action.reason.score for action in publisher.actions.values()]
    assert scores == [0.8, 0.9]


async def test_its_age_and_owners_are_known() -> None:
    """A disk that hangs raises no error: the age alone tells."""
    publisher = SlowPublisher()
    clock = ManualClock(103.0)
    owed = Owed(publisher, clock, Stats())
    assert owed.oldest_s == 0.0
    owed.add(_action("cut"), _stream())
    assert owed.oldest_s == 3.0
    assert owed.has("s")
    assert not owed.has("t")


async def test_the_amount_is_bounded_and_the_overflow_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ids of publishers are without end; memory is not."""
    monkeypatch.setattr(module, "_MOST", 1)
    stats = Stats()
    publisher = MemoryPublisher(ManualClock(100.0))
    owed = Owed(publisher, publisher.clock, stats)
    owed.add(_action("cut", stream="a"), _stream("a"))
    owed.add(_action("cut", stream="b"), _stream("b"))
    assert len(owed) == 1
    labels = {"stage": "publish", "reason": "owed_overflow"}
    assert stats.registry.get_sample_value("sidecar_lost_total", labels) == 1


async def test_at_the_stop_what_is_lost_is_told_one_by_one() -> None:
    """Nobody can deliver it any more, so a person has to know."""
    publisher = MemoryPublisher(ManualClock(100.0))
    stats = Stats()
    owed = Owed(publisher, publisher.clock, stats)
    owed.add(_action("cut", stream="a"), _stream("a"))
    with capture_logs() as logs:
        owed.give_up()
    assert [(line["event"], line["stream"]) for line in logs] == [("action_lost", "a")]
    assert not owed
    labels = {"stage": "publish", "reason": "owed_at_stop"}
    assert stats.registry.get_sample_value("sidecar_lost_total", labels) == 1
