"""What is kept for people to look at and to step in with, beside the flow."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sidecar.clock import Clock
from sidecar.decide.onlooker import Onlooker
from sidecar.decide.policyset import Policy, PolicySet
from sidecar.decide.shadow import Shadow, Tell
from sidecar.decide.state import Step
from sidecar.domain import Action, Delivery, Outcome, Scores, Stream, UnknownReason
from sidecar.oversight.feed import ActionFeed, Item
from sidecar.oversight.ledger import Ledger
from sidecar.oversight.outcomes import OverturnRates
from sidecar.oversight.pauses import Pause, Pauses
from sidecar.oversight.timelines import Timelines
from sidecar.pipeline import UNKNOWN_LABEL, Pipeline, Watch
from sidecar.publish.entry import Held
from sidecar.stats import Stats

_SHADOW_SHOWN: Final = 500


class ShadowSeat(Onlooker):
    """Where a shadow policy sits, if there is one, and what it would have done."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._shadow: Shadow | None = None
        self.recorded: Tell | None = None  # writes it down, if recordings are made
        self.actions: deque[tuple[Stream, Action]] = deque(maxlen=_SHADOW_SHOWN)
        self.by_stream: Counter[str] = Counter()
        self.by_rule: Counter[tuple[str, str]] = Counter()

    @property
    def policies(self) -> PolicySet | None:
        """The policies in the shadow."""
        return None if self._shadow is None else self._shadow.policies

    def take(
        self, policies: PolicySet | None, watches: Iterable[Watch], now: float
    ) -> None:
        """Others sit here from now on; they begin with what was seen so far."""
        self.actions.clear()
        self.by_stream.clear()
        self.by_rule.clear()
        self._shadow = None if policies is None else Shadow(policies, self._tell)
        if self._shadow is not None:
            for watch in watches:
                self._shadow.join(watch.stream, watch.policy, watch.state, now)

    def _tell(self, stream: Stream, action: Action) -> None:
        self.actions.append((stream, action))
        self.by_stream[stream.id] += 1
        self.by_rule[(action.policy.name, action.policy.rule)] += 1
        category = action.reason.category or UNKNOWN_LABEL
        self._stats.shadow_actions.labels(action.kind, category).inc()
        if self.recorded is not None:
            self.recorded(stream, action)

    def began(self, stream: Stream, policy: Policy, now: float) -> None:
        """Passed on."""
        if self._shadow is not None:
            self._shadow.began(stream, policy, now)

    def scored(
        self, stream: Stream, policy: Policy, scores: Scores, step: Step, now: float
    ) -> None:
        """Passed on."""
        if self._shadow is not None:
            self._shadow.scored(stream, policy, scores, step, now)

    def unseen(
        self,
        stream: Stream,
        policy: Policy,
        reason: UnknownReason,
        step: Step,
        now: float,
    ) -> None:
        """Passed on."""
        if self._shadow is not None:
            self._shadow.unseen(stream, policy, reason, step, now)

    def ticked(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """Passed on."""
        if self._shadow is not None:
            self._shadow.ticked(stream, policy, step, now)

    def cleared(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """Passed on."""
        if self._shadow is not None:
            self._shadow.cleared(stream, policy, step, now)

    def ended(self, stream: Stream, now: float) -> None:
        """Its count goes with it."""
        self.by_stream.pop(stream.id, None)
        if self._shadow is not None:
            self._shadow.ended(stream, now)


class House:
    """Everything people see, in memory and bounded.

    Args:
        pauses: That held when the sidecar was stopped.
    """

    def __init__(
        self,
        pauses: Iterable[Pause],
        clock: Clock,
        stats: Stats,
    ) -> None:
        self._clock = clock
        self._stats = stats
        self.feed = ActionFeed()
        self.timelines = Timelines(Ledger())
        self.pauses = Pauses(pauses)
        self.shadow = ShadowSeat(stats)
        self.rates = OverturnRates()
        stats.paused_streams.set_function(self._paused)

    def _paused(self) -> float:
        """How many streams are paused, as of now: pauses end by themselves."""
        return float(len(self.pauses.all(self._clock.wall().timestamp())))

    def look_on(self, pipeline: Pipeline) -> None:
        """Sees and holds back from now on."""
        for onlooker in (self.timelines, self.feed, self.shadow):
            pipeline.add_onlooker(onlooker)
        pipeline.is_paused = lambda stream_id: self.pause_of(stream_id) is not None

    def recall(self, held: Iterable[Held], now: float) -> None:
        """What earlier processes decided, and has not got to its end yet."""
        for one in held:
            self.feed.stored(one.id, one.action, one.stream, now)
            if one.delivered:
                self.feed.moved(one.id, Delivery.DELIVERED, now)

    def pause_of(self, stream_id: str) -> Pause | None:
        """The pause of one stream that holds now."""
        return self.pauses.get(stream_id, self._clock.wall().timestamp())

    def shadow_count(self, stream_id: str) -> int:
        """How often the shadow would have acted on a stream."""
        return self.shadow.by_stream.get(stream_id, 0)

    def shadow_head(self) -> Mapping[str, Any] | None:
        """What is said of the shadow; None if there is none."""
        policies = self.shadow.policies
        if policies is None:
            return None
        return {
            "policies": [policy.name for policy in policies.policies],
            "actions": self.shadow.by_rule.total(),
        }

    def reviewed(self, action_id: str, outcome: Outcome, by: str) -> Item | None:
        """Notes a reviewer's word; None if the action is not known."""
        known = self.feed.get(action_id)
        before = None if known is None else known.outcome
        item = self.feed.reviewed(action_id, outcome, by)
        if item is None:
            return None
        policy = item.action.policy
        self.rates.add(item.action, outcome, before)
        self._stats.outcomes.labels(policy.name, policy.rule, outcome).inc()
        rate = self.rates.rate(policy.name, policy.rule)
        if rate is not None:
            self._stats.overturn_ratio.labels(policy.name, policy.rule).set(rate)
        return item
