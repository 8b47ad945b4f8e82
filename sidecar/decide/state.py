"""What is remembered of one stream, and the verdict it amounts to."""

from dataclasses import dataclass, replace

from sidecar.decide.policyset import Policy
from sidecar.decide.window import Window
from sidecar.domain import Action, Category, UnknownReason, Verdict, VerdictState


@dataclass(frozen=True, slots=True)
class Episode:
    """A time of not having been seen.

    Attributes:
        since: Its start; None while the stream is seen.
        armed: Whether the unknown rule has not fired in it.
        fired_at: When the unknown rule last fired, in whichever episode.
    """

    since: float | None
    armed: bool = True
    fired_at: float | None = None


@dataclass(frozen=True, slots=True)
class PolicyState:
    """All that is remembered of one stream under its policy; bounded by its rules.

    Attributes:
        verdict: The present one.
        windows: One for each of the policy's rules, in their order.
        blind: Why the last news was not a score; None if it was one.
        episode: The present time of not having been seen.
    """

    verdict: Verdict
    windows: tuple[Window, ...]
    blind: UnknownReason | None
    episode: Episode


@dataclass(frozen=True, slots=True)
class Step:
    """What one piece of news led to.

    Attributes:
        state: To be handed back next time.
        verdict: The same as `state.verdict`.
        actions: What is to be done now; usually nothing.
    """

    state: PolicyState
    verdict: Verdict
    actions: tuple[Action, ...]


def judge(policy: Policy, state: PolicyState, now: float) -> Verdict:
    """The verdict that `state` amounts to at `now`."""
    old = state.verdict
    reason = state.blind or _stale(policy, old, now)
    categories = () if reason else _entered(policy, state)
    if reason is not None:
        word = VerdictState.UNKNOWN
    else:
        word = VerdictState.VIOLATING if categories else VerdictState.CLEAR
    same = (word, reason) == (old.state, old.reason)
    since = old.since if same else max(now, old.since)
    return replace(old, state=word, since=since, reason=reason, categories=categories)


def _stale(policy: Policy, old: Verdict, now: float) -> UnknownReason | None:
    seen_at = now if old.seen_at is None else old.seen_at
    return UnknownReason.STALE if now - seen_at > policy.stale_after_s else None


def _entered(policy: Policy, state: PolicyState) -> tuple[Category, ...]:
    """The categories of the rules entered, in the taxonomy's order."""
    pairs = zip(policy.rules, state.windows, strict=True)
    entered = {rule.category for rule, window in pairs if window.entered}
    return tuple(category for category in Category if category in entered)
