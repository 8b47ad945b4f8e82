"""Pure: the actions of late, each with how far it got."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.decide.onlooker import Onlooker
from sidecar.decide.policyset import Policy
from sidecar.decide.state import Step
from sidecar.domain import Action, Delivery, Outcome, Scores, Stream, UnknownReason

_MOST: Final = 1000
_Key = tuple[str, str, float]


@dataclass(slots=True)
class Item:
    """One action.

    Attributes:
        action: As it was decided.
        stream: To whom.
        id: Once it is on disk.
        delivery: How far it got.
        moved_at: Since when, monotonic seconds.
        version: Grows with each change of any item.
        outcome: What a reviewer said of it, and who.
    """

    action: Action
    stream: Stream
    id: str | None
    delivery: Delivery
    moved_at: float
    version: int = 0
    outcome: Outcome | None = None
    outcome_by: str | None = None


class ActionFeed(Onlooker):
    """The newest 1,000 actions; also told of each step of their delivery."""

    def __init__(self) -> None:
        self._items: OrderedDict[_Key, Item] = OrderedDict()
        self._by_id: dict[str, Item] = {}
        self.version = 0

    def scored(
        self, stream: Stream, policy: Policy, scores: Scores, step: Step, now: float
    ) -> None:
        """What the scores led to."""
        del policy, scores
        self._decided(stream, step.actions, now)

    def unseen(
        self,
        stream: Stream,
        policy: Policy,
        reason: UnknownReason,
        step: Step,
        now: float,
    ) -> None:
        """What not having been seen led to."""
        del policy, reason
        self._decided(stream, step.actions, now)

    def ticked(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """What the passing of time led to."""
        del policy
        self._decided(stream, step.actions, now)

    def cleared(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """What fell due with a reversal; itself it is known from its way to disk."""
        del policy
        self._decided(stream, step.actions[1:], now)

    def stored(
        self, action_id: str, action: Action, stream: Stream, now: float
    ) -> None:
        """It is on disk, under this id."""
        item = self._items.get(_key(action))
        if item is None:
            item = self._add(action, stream, now)
        item.id = action_id
        self._by_id[action_id] = item
        self._move(item, Delivery.WAITING, now)

    def moved(self, action_id: str, delivery: Delivery, now: float) -> None:
        """It got this far; an action of an earlier process is not known."""
        item = self._by_id.get(action_id)
        if item is None or item.delivery in _LAST or item.delivery is delivery:
            return
        if delivery is Delivery.DELIVERED and item.delivery in _SENT:
            return  # sent once more, because nobody said `enforced`
        self._move(item, delivery, now)

    def reviewed(self, action_id: str, outcome: Outcome, by: str) -> Item | None:
        """What a reviewer said of it; None if it is not known. The last word holds."""
        item = self._by_id.get(action_id)
        if item is not None:
            item.outcome, item.outcome_by = outcome, by
            self._changed(item)
        return item

    def get(self, action_id: str) -> Item | None:
        """One action by its id."""
        return self._by_id.get(action_id)

    def since(self, version: int) -> Sequence[Item]:
        """What has changed since then, oldest change first."""
        found = [item for item in self._items.values() if item.version > version]
        return sorted(found, key=lambda item: item.version)

    def of(self, stream_id: str) -> Sequence[Item]:
        """One stream's actions, newest first."""
        mine = (i for i in self._items.values() if i.stream.id == stream_id)
        return sorted(mine, key=lambda i: i.action.decided_at, reverse=True)

    def _decided(self, stream: Stream, actions: Sequence[Action], now: float) -> None:
        for action in actions:
            if _key(action) not in self._items:
                self._add(action, stream, now)

    def _add(self, action: Action, stream: Stream, now: float) -> Item:
        item = Item(action, stream, None, Delivery.OWED, now)
        self._items[_key(action)] = item
        self._changed(item)
        if len(self._items) > _MOST:
            _, oldest = self._items.popitem(last=False)
            self._by_id.pop(oldest.id or "", None)
        return item

    def _move(self, item: Item, delivery: Delivery, now: float) -> None:
        item.delivery, item.moved_at = delivery, now
        self._changed(item)

    def _changed(self, item: Item) -> None:
        self.version += 1
        item.version = self.version


_LAST: Final = (Delivery.ENFORCED, Delivery.EXPIRED)
_SENT: Final = (Delivery.DELIVERED, Delivery.RECEIVED, Delivery.FAILED)


def _key(action: Action) -> _Key:
    return action.stream_id, action.policy.rule, action.decided_at
