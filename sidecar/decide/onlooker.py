"""Who looks on while streams are judged: recorders, the operator's page, a shadow."""

from sidecar.decide.policyset import Policy
from sidecar.decide.state import Step
from sidecar.domain import Scores, Stream, UnknownReason


class Onlooker:
    """Base: is told on the event loop what each watch saw and decided; must not block.

    `step` is what the policy in force decided, as it goes out: the actions of a paused
    stream are dry runs already. `now` is the monotonic instant of the decision. Derive
    from it and override what matters: each method does nothing by itself.
    """

    def began(self, stream: Stream, policy: Policy, now: float) -> None:
        """A watch begins, or goes on under another policy."""

    def scored(
        self, stream: Stream, policy: Policy, scores: Scores, step: Step, now: float
    ) -> None:
        """A sample was classified."""

    def unseen(
        self,
        stream: Stream,
        policy: Policy,
        reason: UnknownReason,
        step: Step,
        now: float,
    ) -> None:
        """A sample, or the whole stream, could not be looked at."""

    def ticked(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """Time has passed; the step has news seldom: staleness, the unknown rule."""

    def cleared(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """A person cleared the case; the step's first action is the reversal."""

    def ended(self, stream: Stream, now: float) -> None:
        """The watch is over."""
