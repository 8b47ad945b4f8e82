"""Pure: policies beside the ones in force; what they would do is told, never done."""

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.decide.onlooker import Onlooker
from sidecar.decide.policy import (
    carry,
    initial,
    observe,
    reverse,
    tick,
    unseen,
)
from sidecar.decide.policyset import Policy, PolicySet
from sidecar.decide.state import PolicyState, Step
from sidecar.domain import Action, Scores, Stream, UnknownReason

Tell = Callable[[Stream, Action], None]
"""Takes what would have been done."""


@dataclass(slots=True)
class _Beside:
    policy: Policy
    state: PolicyState


class Shadow(Onlooker):
    """Judges each stream by other policies too, on the same news.

    Args:
        policies: Those; a stream that none of them means is not judged.
        tell: Is told of every action they would have asked for.
    """

    def __init__(self, policies: PolicySet, tell: Tell) -> None:
        self.policies = policies
        self._tell = tell
        self._beside: dict[str, _Beside] = {}

    def began(self, stream: Stream, policy: Policy, now: float) -> None:
        """A watch begins; one that goes on under another policy is as it was."""
        del policy
        self._of(stream, now)

    def join(
        self, stream: Stream, policy: Policy, state: PolicyState, now: float
    ) -> None:
        """A stream that is under watch already: what was seen of it counts."""
        mine = self.policies.select(stream)
        if mine is not None:
            carried = carry(policy, mine, state, now)
            self._beside[stream.id] = _Beside(mine, carried)

    def scored(
        self, stream: Stream, policy: Policy, scores: Scores, step: Step, now: float
    ) -> None:
        """The same sample, judged by the other policy."""
        del policy, step
        if (mine := self._of(stream, now)) is not None:
            self._take(stream, observe(mine.policy, stream.id, mine.state, scores, now))

    def unseen(
        self,
        stream: Stream,
        policy: Policy,
        reason: UnknownReason,
        step: Step,
        now: float,
    ) -> None:
        """The same absence."""
        del policy, step
        if (mine := self._of(stream, now)) is not None:
            self._take(stream, unseen(mine.policy, stream.id, mine.state, reason, now))

    def ticked(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """The same time."""
        del policy, step
        if (mine := self._of(stream, now)) is not None:
            self._take(stream, tick(mine.policy, stream.id, mine.state, now))

    def cleared(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """A person cleared the case, here too; the reversal itself is not ours."""
        del policy, step
        if (mine := self._of(stream, now)) is not None:
            anew = reverse(mine.policy, stream.id, mine.state, now)
            self._take(stream, Step(anew.state, anew.verdict, anew.actions[1:]))

    def ended(self, stream: Stream, now: float) -> None:
        """Nothing of it is kept."""
        del now
        self._beside.pop(stream.id, None)

    def _of(self, stream: Stream, now: float) -> _Beside | None:
        found = self._beside.get(stream.id)
        if found is None and (policy := self.policies.select(stream)) is not None:
            found = _Beside(policy, initial(policy, now))
            self._beside[stream.id] = found
        return found

    def _take(self, stream: Stream, step: Step) -> None:
        self._beside[stream.id].state = step.state
        for action in step.actions:
            self._tell(stream, action)
