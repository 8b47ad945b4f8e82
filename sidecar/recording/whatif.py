"""What a policy would have done on recorded samples, by numpy: a million in a second.

The outcome is that of `sidecar.recording.rerun`, which asks the live code one sample at
a time; a law in the tests holds the two together. It rests on this: a rule can only
fire on a hit which is, with those before it, `hits` of the last `of` samples within
`within_s`; it can fire again after a sample that leaves it, or after the stream was
away; and all these instants can be found for all streams at once.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.decide.policyset import Policy, PolicySet
from sidecar.decide.rules import Rule
from sidecar.decide.window import cooled
from sidecar.domain import ActionKind, Category
from sidecar.recording.absence import absences
from sidecar.recording.columns import Columns, Places, Times
from sidecar.recording.lives import Lives

_DECIMALS: Final = 6  # of a recorded score
_Flags = NDArray[np.bool_]
_Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fired:
    """An action as it would have been decided.

    Attributes:
        stream: Whose id.
        at: When, seconds.
        action: What.
        rule: By which rule.
        policy: Of which policy.
        category: None if not having been seen led to it.
        score: Of the sample it was decided on; None as for `category`.
        captured_at: When that sample was captured; None as for `category`.
        dry_run: Nobody was to act on it.
    """

    stream: str
    at: float
    action: ActionKind
    rule: str
    policy: str
    category: Category | None = None
    score: float | None = None
    captured_at: float | None = None
    dry_run: bool = False


def what_if(columns: Columns, policies: PolicySet) -> list[Fired]:
    """Every action that `policies` would have decided, by stream and time."""
    lives = Lives(columns)
    found: list[Fired] = []
    for policy, streams in _shares(columns, policies):
        view = _View(columns, lives, policy, streams)
        for rule in policy.rules:
            found += _by_rule(view, rule)
        if policy.unknown is not None and policy.unknown.action is not None:
            found += _by_absence(columns, policy, streams)
    return sorted(found, key=lambda one: (one.stream, one.at, one.policy, one.rule))


def _shares(
    columns: Columns, policies: PolicySet
) -> Iterator[tuple[Policy, list[int]]]:
    """Each policy that means some stream, and these streams' indices."""
    shares: dict[str, list[int]] = {policy.name: [] for policy in policies.policies}
    for index, stream in enumerate(columns.streams):
        policy = policies.select(stream)
        if policy is not None:
            shares[policy.name].append(index)
    for policy in policies.policies:
        if shares[policy.name]:
            yield policy, shares[policy.name]


class _View:
    """One policy's streams, category by category.

    Attributes:
        owner: For each sample, its stream's index.
    """

    def __init__(
        self, columns: Columns, lives: Lives, policy: Policy, streams: list[int]
    ) -> None:
        self.columns = columns
        self.lives = lives
        self.policy = policy
        self.owner = np.repeat(
            np.arange(len(columns.streams), dtype=np.int32), np.diff(columns.bounds)
        )
        self._streams = streams
        self._places: dict[Category, Places] = {}

    def places(self, category: Category) -> Places:
        """The samples that have a score of `category`."""
        if category not in self._places:
            given = ~np.isnan(self.columns.scores[category])
            if len(self._streams) < len(self.columns.streams):
                mine = np.zeros(len(self.columns.streams), bool)
                mine[self._streams] = True
                given &= mine[self.owner]
            self._places[category] = np.flatnonzero(given)
        return self._places[category]


def _by_rule(view: _View, rule: Rule) -> Iterator[Fired]:
    if rule.category not in view.columns.scores:
        return
    columns = view.columns
    column = columns.scores[rule.category]
    places = view.places(rule.category)
    due = _due(view, rule, places, column)
    if not len(due):
        return
    # Most streams never give a rule cause; the rest is done for the others only.
    places = places[np.isin(view.owner[places], np.unique(view.owner[places[due]]))]
    due = places[_due(view, rule, places, column)]
    leaving = places[_leaving(view, rule, places, column[places])]
    lives = view.lives.cooldown[due]
    firsts = np.flatnonzero(np.diff(lives, prepend=-1)).tolist()
    for first, end in zip(firsts, [*firsts[1:], len(due)], strict=True):
        fired_at = view.lives.fired_at.get(int(lives[first]))
        armings = (leaving, view.lives.rearmed)
        for one in _firings(view, rule, due[first:end], armings, fired_at):
            yield Fired(
                stream=columns.streams[int(view.owner[one])].id,
                at=float(columns.at[one]),
                action=rule.action,
                rule=rule.name,
                policy=view.policy.name,
                category=rule.category,
                score=round(float(column[one]), _DECIMALS),
                captured_at=float(columns.captured_at[one]),
                dry_run=view.policy.dry_run,
            )


def _least(threshold: float) -> np.float32:
    """The lowest recorded score that reaches `threshold`, as the columns hold it."""
    scale = 10**_DECIMALS
    number = math.floor(threshold * scale) - 1
    while number / scale < threshold:
        number += 1
    return np.float32(number / scale)


def _due(view: _View, rule: Rule, places: Places, column: _Scores) -> Places:
    """The hits that are the last of enough; as indices into `places`."""
    hits = np.flatnonzero(column[places] >= _least(rule.enter))
    if len(hits) < rule.hits:
        return hits[:0]
    newest = hits[rule.hits - 1 :]
    first = hits[: len(hits) - rule.hits + 1]
    return newest[_together(view, rule, places, first, newest)]


def _together(
    view: _View, rule: Rule, places: Places, first: Places, newest: Places
) -> _Flags:
    """Whether `first` still counts when `newest` is the newest sample."""
    window, captured_at = view.lives.window, view.columns.captured_at
    near = first > newest - rule.of
    near &= window[places[first]] == window[places[newest]]
    near &= captured_at[places[first]] >= captured_at[places[newest]] - rule.within_s
    return near


def _leaving(view: _View, rule: Rule, places: Places, scores: _Scores) -> Places:
    """The samples on which an entered rule is left; as indices into `places`."""
    high = scores >= _least(rule.exit)
    low = np.flatnonzero(~high)
    entered = _kth_before(np.flatnonzero(scores >= _least(rule.enter)), low, rule.hits)
    good = entered >= 0
    good[good] = _together(view, rule, places, entered[good], low[good])
    held_by = _kth_before(np.flatnonzero(high), low, rule.hits)
    held = held_by >= 0
    window = view.lives.window
    held[held] = (held_by[held] > low[held] - rule.of) & (
        window[places[held_by[held]]] == window[places[low[held]]]
    )
    return low[~(good | held)]


def _kth_before(marked: Places, at: Places, k: int) -> Places:
    """For each of `at` the k-th of `marked` at or before it, newest first; or -1."""
    found = np.searchsorted(marked, at, side="right") - k
    padded = np.concatenate([marked, [-1]])
    return np.where(found >= 0, padded[found], -1)


def _firings(
    view: _View,
    rule: Rule,
    due: Places,
    armings: tuple[Places, Places],
    fired_at: float | None,
) -> Iterator[int]:
    """Which of the `due` samples of one life the rule fires on.

    Args:
        view: Of the policy's streams.
        rule: The rule.
        due: Samples on which it may, sorted.
        armings: Samples, sorted, from which on it may fire again.
        fired_at: When it fired before this life, if that counts.
    """
    times = view.columns.at[due]
    index = 0
    while index < len(due):
        if fired_at is not None and not cooled(
            fired_at, rule.cooldown_s, float(times[index])
        ):
            index += _first_cooled(times[index:], fired_at, rule.cooldown_s)
            continue
        place = int(due[index])
        yield place
        fired_at = float(times[index])
        again = min(_next(armed, place) for armed in armings)
        index = int(np.searchsorted(due, again, side="left"))


def _next(places: Places, after: int) -> int:
    """The first of the sorted `places` beyond `after`; if none, beyond all samples."""
    found = int(np.searchsorted(places, after, side="right"))
    return int(places[found]) if found < len(places) else sys.maxsize


def _first_cooled(times: Times, fired_at: float, cooldown_s: float) -> int:
    """How many of the sorted `times` come before the cooldown is over."""
    return int(np.searchsorted(times - fired_at, cooldown_s, side="left"))


def _by_absence(
    columns: Columns, policy: Policy, streams: list[int]
) -> Iterator[Fired]:
    rule = policy.unknown
    assert rule is not None
    assert rule.action is not None
    for index, at in absences(columns, policy, streams):
        yield Fired(
            stream=columns.streams[index].id,
            at=at,
            action=rule.action,
            rule=rule.name,
            policy=policy.name,
            dry_run=policy.dry_run,
        )
