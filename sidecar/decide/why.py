"""Pure: where a stream stands with each rule, for people who ask why."""

from dataclasses import dataclass
from enum import StrEnum

from sidecar.decide.policyset import Policy
from sidecar.decide.rules import Rule
from sidecar.decide.state import PolicyState
from sidecar.decide.window import Window, hits


class Standing(StrEnum):
    """Why a rule has acted, or has not."""

    UNSEEN = "unseen"  # no sample has a score of its category yet
    BELOW = "below"  # no score in the window reaches `enter`
    TOO_FEW = "too_few"  # some do, but fewer than `hits`
    ACTED = "acted"  # entered, and it has acted on that
    COOLING = "cooling"  # entered, and it may act once the cooldown is over
    HELD = "held"  # entered, but the newest sample is no hit


@dataclass(frozen=True, slots=True)
class RuleStanding:
    """Where a stream stands with one rule.

    Attributes:
        rule: Which.
        standing: In a word.
        hits: In the window at present.
        highest: Score in the window; None if it is empty.
        fired_at: When it last acted, monotonic seconds.
        cooldown_s: What is left of its cooldown, seconds.
    """

    rule: Rule
    standing: Standing
    hits: int
    highest: float | None
    fired_at: float | None
    cooldown_s: float


def standings(
    policy: Policy, state: PolicyState, now: float
) -> tuple[RuleStanding, ...]:
    """One for each of the policy's rules, in their order."""
    pairs = zip(policy.rules, state.windows, strict=True)
    return tuple(_standing(rule, window, now) for rule, window in pairs)


def _standing(rule: Rule, window: Window, now: float) -> RuleStanding:
    found = len(hits(rule, window))
    left_s = 0.0
    if window.fired_at is not None:
        left_s = max(0.0, window.fired_at + rule.cooldown_s - now)
    highest = max((sample.score for sample in window.seen), default=None)
    word = _word(window, found, left_s)
    return RuleStanding(rule, word, found, highest, window.fired_at, left_s)


def _word(window: Window, found: int, left_s: float) -> Standing:
    if not window.seen:
        return Standing.UNSEEN
    if window.entered and not window.armed:
        return Standing.ACTED
    if window.entered:
        return Standing.COOLING if left_s else Standing.HELD
    return Standing.TOO_FEW if found else Standing.BELOW
