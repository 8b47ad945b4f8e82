"""A stream under a policy, told one thing after another."""

from dataclasses import replace

from sidecar.decide.policy import (
    Policy,
    PolicyState,
    Rule,
    Selector,
    Step,
    UnknownRule,
    initial,
    observe,
    reverse,
    tick,
    unseen,
)
from sidecar.domain import (
    Action,
    ActionKind,
    Category,
    LabelScore,
    ModelRef,
    Scores,
    UnknownReason,
)

X = Category.SEXUAL_EXPLICIT
V = Category.VIOLENCE_GRAPHIC
MODEL = ModelRef("testcard", "sha256:00")


def rule(name: str, action: ActionKind, hits: int, category: Category = X) -> Rule:
    """A rung at 0.8/0.5, `hits` of 5."""
    return Rule(
        name,
        category,
        action,
        enter=0.8,
        exit=0.5,
        hits=hits,
        of=5,
        within_s=30.0,
        cooldown_s=60.0,
    )


FLAG = rule("flag", ActionKind.FLAG, 1)
TAKEDOWN = replace(
    rule("takedown", ActionKind.TAKEDOWN, 3), expires_s=99.0, require_enforced=True
)
POLICY = Policy("default", Selector(), (FLAG, TAKEDOWN), None, stale_after_s=10.0)
CLOSED = replace(POLICY, unknown=UnknownRule(after_s=30.0, action=ActionKind.INTERRUPT))


def scores(at: float, x: float | None, v: float | None = None) -> Scores:
    """Scores of a sample captured at `at`."""
    given_ = {X: x, V: v, Category.SAFE: 0.0}
    by_category = {
        category: LabelScore(score, f"label-{category}")
        for category, score in given_.items()
        if score is not None
    }
    return Scores("s", by_category, MODEL, captured_at=at)


class Run:
    """A stream under a policy, told one thing after another."""

    def __init__(self, policy: Policy, now: float = 0.0) -> None:
        self.policy = policy
        self.state: PolicyState = initial(policy, now)
        self.actions: list[Action] = []

    def saw(
        self, at: float, x: float | None, v: float | None = None, late: float = 0.1
    ) -> Step:
        """A scored sample."""
        return self._take(
            observe(self.policy, "s", self.state, scores(at, x, v), at + late)
        )

    def missed(self, at: float, reason: UnknownReason) -> Step:
        """A sample, or stream, that could not be looked at."""
        return self._take(unseen(self.policy, "s", self.state, reason, at))

    def waited(self, at: float) -> Step:
        """Time has passed."""
        return self._take(tick(self.policy, "s", self.state, at))

    def reversed(self, at: float) -> Step:
        """A person cleared the case."""
        return self._take(reverse(self.policy, "s", self.state, at))

    def _take(self, step: Step) -> Step:
        assert step.verdict is step.state.verdict
        self.state = step.state
        self.actions += step.actions
        return step

    @property
    def fired(self) -> list[str]:
        """Names of the rules that fired."""
        return [action.policy.rule for action in self.actions]
