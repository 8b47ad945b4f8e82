"""Recent scores of one stream under one rule: k of n with hysteresis."""

from dataclasses import dataclass, replace

from sidecar.decide.rules import Rule
from sidecar.domain import Evidence


@dataclass(frozen=True, slots=True)
class Window:
    """What is remembered for one rule.

    Attributes:
        seen: The last `rule.of` samples, oldest first.
        entered: Whether the rule is entered.
        armed: Whether it may fire: it has not since it was entered.
        fired_at: When it last fired, monotonic seconds; None if never.
    """

    seen: tuple[Evidence, ...] = ()
    entered: bool = False
    armed: bool = True
    fired_at: float | None = None


def look(rule: Rule, window: Window, sample: Evidence) -> Window:
    """`window` after one more sample, captured no earlier than those before it."""
    seen = (*window.seen, sample)[-rule.of :]
    grown = replace(window, seen=seen)
    if len(hits(rule, grown)) >= rule.hits:
        return replace(grown, entered=True)
    held = sum(old.score >= rule.exit for old in seen) >= rule.hits
    # The newest sample alone can leave only from below `exit`: after a reload the
    # window may be shorter than `hits`, and a high score must not clear then.
    if window.entered and (held or sample.score >= rule.exit):
        return grown
    return replace(grown, entered=False, armed=True)


def hits(rule: Rule, window: Window) -> tuple[Evidence, ...]:
    """The hits within `within_s` of the newest sample, oldest first."""
    if not window.seen:
        return ()
    first = window.seen[-1].captured_at - rule.within_s
    return tuple(
        sample
        for sample in window.seen
        if sample.score >= rule.enter and sample.captured_at >= first
    )


def fires(rule: Rule, window: Window, now: float) -> bool:
    """Whether the rule's action is due: enough hits, the newest one among them."""
    return (
        window.armed
        and bool(window.seen)
        and window.seen[-1].score >= rule.enter
        and len(hits(rule, window)) >= rule.hits
        and cooled(window.fired_at, rule.cooldown_s, now)
    )


def fired(window: Window, now: float) -> Window:
    """`window` after its rule has fired."""
    return replace(window, armed=False, fired_at=now)


def cooled(fired_at: float | None, cooldown_s: float, now: float) -> bool:
    """Whether `cooldown_s` have passed since the last firing."""
    return fired_at is None or now - fired_at >= cooldown_s


def inherit(rule: Rule, old: Window, *, same_action: bool) -> Window:
    """A changed rule's window from its predecessor's: scores stay, thresholds do not.

    Args:
        rule: The rule as it is now.
        old: The predecessor's window.
        same_action: Whether the predecessor asked for the same; what it has fired
            counts only then.
    """
    return Window(
        seen=old.seen[-rule.of :],
        entered=old.entered,
        armed=old.armed or not same_action,
        fired_at=old.fired_at if same_action else None,
    )
