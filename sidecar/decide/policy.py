"""From scores, or their absence, to a verdict and actions.

Every function takes the state and the time and returns a `Step`; nothing is kept here.
No scores is not "clean": a verdict is UNKNOWN until the first scored sample, after
`unseen`, and when the last scored sample is older than `stale_after_s`.
"""

import math
from dataclasses import replace

from sidecar.decide import order
from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.decide.rules import Rule, UnknownRule
from sidecar.decide.state import Episode, PolicyState, Step, judge
from sidecar.decide.window import Window, cooled, fired, fires, inherit, look
from sidecar.domain import (
    Action,
    Evidence,
    Scores,
    UnknownReason,
    Verdict,
    VerdictState,
)

__all__ = [
    "Policy",
    "PolicySet",
    "PolicyState",
    "Rule",
    "Selector",
    "Step",
    "UnknownRule",
    "carry",
    "comeback",
    "hits_in",
    "initial",
    "observe",
    "reverse",
    "tick",
    "unseen",
]

_ROUNDING = 1e-3  # sums of float32 probabilities end a little above 1
_AWAY = (UnknownReason.STARTING, UnknownReason.UNREACHABLE, UnknownReason.NO_FRAMES)


def initial(policy: Policy, now: float) -> PolicyState:
    """The state of a stream nothing is known of: UNKNOWN(starting)."""
    reason = UnknownReason.STARTING
    return PolicyState(
        verdict=Verdict(VerdictState.UNKNOWN, since=now, reason=reason),
        windows=(Window(),) * len(policy.rules),
        blind=reason,
        episode=Episode(since=now),
    )


def observe(
    policy: Policy, stream_id: str, state: PolicyState, scores: Scores, now: float
) -> Step:
    """Takes the scores of one sample; capture time that goes back is held.

    Scores that are no numbers of 0…1 say nothing: UNKNOWN(engine_error). A rule whose
    category the model does not know is left as it is.
    """
    if not _are_scores(scores):
        return unseen(policy, stream_id, state, UnknownReason.ENGINE_ERROR, now)
    last = state.verdict.seen_at
    seen_at = scores.captured_at if last is None else max(last, scores.captured_at)
    windows: list[Window] = []
    actions: list[Action] = []
    for rule, old in zip(policy.rules, state.windows, strict=True):
        window = _looked(rule, old, scores, seen_at)
        if window is not old and fires(rule, window, now):
            actions.append(order.by_scores(policy, rule, window, scores, now))
            window = fired(window, now)
        windows.append(window)
    seen = replace(
        state,
        verdict=replace(state.verdict, seen_at=seen_at),
        windows=tuple(windows),
        blind=None,
    )
    return _settle(policy, stream_id, seen, now, tuple(actions))


def hits_in(policy: Policy, scores: Scores) -> frozenset[str]:
    """The rungs, `action:category`, that hear a hit in `scores`."""
    return frozenset(
        f"{rule.action}:{rule.category}"
        for rule in policy.rules
        if (label := scores.by_category.get(rule.category)) is not None
        and label.score >= rule.enter
    )


def unseen(
    policy: Policy,
    stream_id: str,
    state: PolicyState,
    reason: UnknownReason,
    now: float,
) -> Step:
    """Takes the news that a sample, or the stream, could not be looked at.

    UNKNOWN at once, until the next scores. Windows stay, so that nobody clears a
    verdict by reconnecting; a stream that was away may be fired upon again.
    """
    windows = state.windows
    if reason in _AWAY:
        windows = tuple(replace(window, armed=True) for window in windows)
    blind = replace(state, blind=reason, windows=windows)
    return _settle(policy, stream_id, blind, now)


def tick(policy: Policy, stream_id: str, state: PolicyState, now: float) -> Step:
    """Takes the passing of time: a stale verdict, an unknown rule that is due."""
    return _settle(policy, stream_id, state, now)


def reverse(policy: Policy, stream_id: str, state: PolicyState, now: float) -> Step:
    """A person has cleared the case: says so, and counts anew, each cooldown too."""
    action = order.by_person(policy, stream_id, state.verdict, now)
    anew = replace(state, windows=(Window(fired_at=now),) * len(policy.rules))
    return _settle(policy, stream_id, anew, now, (action,))


def carry(old: Policy, new: Policy, state: PolicyState, now: float) -> PolicyState:
    """The state under another policy, on reload.

    A rule goes on from its predecessor: the rule of the same category and name, or else
    of the same category and action. One without takes over the category's samples only.
    """
    pairs = tuple(zip(old.rules, state.windows, strict=True))
    windows = tuple(_carried(rule, pairs) for rule in new.rules)
    carried = replace(state, windows=windows)
    return replace(carried, verdict=judge(new, carried, now))


def comeback(old: Policy, new: Policy, state: PolicyState, now: float) -> PolicyState:
    """The state of a stream that ended in `state` under `old` and is back under `new`.

    UNKNOWN(starting) as any new stream, but with the samples seen before: leaving
    between two hits does not make the count begin anew. No cooldown holds, since what
    was fired then was about a session that is over.
    """
    carried = carry(old, new, state, now)
    windows = tuple(replace(w, armed=True, fired_at=None) for w in carried.windows)
    return replace(initial(new, now), windows=windows)


def _are_scores(scores: Scores) -> bool:
    return all(
        math.isfinite(label.score) and -_ROUNDING <= label.score <= 1 + _ROUNDING
        for label in scores.by_category.values()
    )


def _looked(rule: Rule, window: Window, scores: Scores, seen_at: float) -> Window:
    label = scores.by_category.get(rule.category)
    if label is None:
        return window
    return look(rule, window, Evidence(seen_at, label.score, scores.unchanged_since))


def _settle(
    policy: Policy,
    stream_id: str,
    state: PolicyState,
    now: float,
    actions: tuple[Action, ...] = (),
) -> Step:
    """Judges `state` as it is now and sees whether the unknown rule is due."""
    verdict = judge(policy, state, now)
    episode = _lived(state.episode, verdict, now)
    rule = policy.unknown
    if rule is not None and _is_due(rule, episode, now):
        absence = order.by_absence(policy, rule, stream_id, verdict, now)
        actions = (*actions, absence)
        episode = replace(episode, armed=False, fired_at=now)
    state = replace(state, verdict=verdict, episode=episode)
    return Step(state, verdict, actions)


def _lived(episode: Episode, verdict: Verdict, now: float) -> Episode:
    if verdict.reason is None:
        return replace(episode, since=None, armed=True)
    if episode.since is None:
        return replace(episode, since=now)
    return episode


def _is_due(rule: UnknownRule, episode: Episode, now: float) -> bool:
    return (
        rule.action is not None
        and episode.armed
        and episode.since is not None
        and now - episode.since >= rule.after_s
        and cooled(episode.fired_at, rule.cooldown_s, now)
    )


def _carried(rule: Rule, pairs: tuple[tuple[Rule, Window], ...]) -> Window:
    kin = [pair for pair in pairs if pair[0].category is rule.category]
    for before, window in kin:
        if before.name == rule.name:
            return inherit(rule, window, same_action=before.action is rule.action)
    for before, window in kin:
        if before.action is rule.action:
            return inherit(rule, window, same_action=True)
    longest = max((window.seen for _, window in kin), key=len, default=())
    return Window(seen=longest[-rule.of :])
