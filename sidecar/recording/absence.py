"""When the rule for not having been seen would have fired, on recorded columns; pure.

Most samples are news of nothing here: they were fresh, and the next one came in time.
Only what begins or ends a time of not having been seen is looked at one by one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.decide.policyset import Policy
from sidecar.decide.rules import UnknownRule
from sidecar.decide.window import cooled
from sidecar.recording.columns import MARKED, Columns
from sidecar.recording.entry import EntryKind
from sidecar.recording.rerun import TICK_S

_SAMPLE: Final = -1
_FRESH: Final = -2  # a sample, the last of a run in which there was no news
_BEGAN: Final = MARKED.index(EntryKind.BEGAN)
_UNSEEN: Final = MARKED.index(EntryKind.UNSEEN)
_ENDED: Final = MARKED.index(EntryKind.ENDED)


@dataclass(frozen=True, slots=True)
class _Event:
    """Something that may begin or end a time of not having been seen.

    Attributes:
        at: When.
        kind: `_SAMPLE`, `_FRESH`, or a mark's.
        seen_at: Of a sample: when it was captured.
    """

    at: float
    kind: int
    seen_at: float = 0.0


@dataclass(slots=True)
class _Watch:
    """What is remembered of a stream: see `decide.state.Episode`."""

    policy: Policy
    rule: UnknownRule
    at: float
    blind: bool = True
    seen_at: float | None = None
    since: float | None = None
    armed: bool = True
    fired_at: float | None = None
    alive: bool = True

    def settle(self, now: float) -> bool:
        """Takes the present instant; whether the rule fires."""
        if not (self.blind or self._stale(now)):
            self.since, self.armed = None, True
            return False
        if self.since is None:
            self.since = now
        due = (
            self.armed
            and now - self.since >= self.rule.after_s
            and cooled(self.fired_at, self.rule.cooldown_s, now)
        )
        if due:
            self.armed, self.fired_at = False, now
        return due

    def _stale(self, now: float) -> bool:
        seen_at = now if self.seen_at is None else self.seen_at
        return now - seen_at > self.policy.stale_after_s

    def next_tick(self, after: float) -> float:
        """The first tick after `after` that can be news; those before it are not."""
        first = (math.floor(after / TICK_S) + 1) * TICK_S
        wait_until = first
        if self.since is not None:
            wait_until = self.since + self.rule.after_s
            if self.fired_at is not None:
                wait_until = max(wait_until, self.fired_at + self.rule.cooldown_s)
            if not self.armed:
                wait_until = math.inf
        else:
            assert self.seen_at is not None  # who was never seen is waited for
            wait_until = self.seen_at + self.policy.stale_after_s
        if math.isinf(wait_until):
            return math.inf
        return max(first, math.floor(wait_until / TICK_S) * TICK_S)


def absences(
    columns: Columns, policy: Policy, streams: list[int]
) -> Iterator[tuple[int, float]]:
    """Each firing of the unknown rule of `policy`: the stream's index, and when."""
    rule = policy.unknown
    assert rule is not None
    news = _news(columns, policy)
    for index in streams:
        watch: _Watch | None = None
        for event in _events(columns, index, news):
            if watch is None or event.kind == _BEGAN:
                watch = _Watch(policy, rule, event.at, since=event.at)
                if event.kind == _BEGAN:
                    continue
            for at in _told(watch, event):
                yield index, at
        if watch is not None and watch.alive:
            for at in _ticks(watch, columns.until, last=True):
                yield index, at


def _told(watch: _Watch, event: _Event) -> Iterator[float]:
    if event.kind == _FRESH:
        watch.at, watch.seen_at = event.at, event.seen_at
        watch.blind, watch.since, watch.armed = False, None, True
        return
    if watch.alive:
        yield from _ticks(watch, event.at)
    watch.at = event.at
    if event.kind == _ENDED:
        watch.alive = False
        return
    if event.kind == _SAMPLE:
        watch.blind, watch.seen_at = False, event.seen_at
    elif event.kind == _UNSEEN:
        watch.blind = True
    if watch.settle(event.at):
        yield event.at


def _ticks(watch: _Watch, until: float, *, last: bool = False) -> Iterator[float]:
    """The firings on ticks after the last event and before `until` (or at it)."""
    now = watch.next_tick(watch.at)
    while now < until or (last and now == until):
        if watch.settle(now):
            yield now
        now = max(now + TICK_S, watch.next_tick(now))


def _news(columns: Columns, policy: Policy) -> NDArray[np.bool_]:
    """Which samples matter here: stale ones, the last before a gap, and the next one.

    The first after a mark, and the last before one, do so too.
    """
    count = len(columns)
    matters = np.zeros(count + 1, bool)
    if count:
        matters[columns.bounds[:-1]] = True
        matters[columns.marks.before] = True
        matters[np.maximum(columns.marks.before - 1, 0)] = True
        matters[np.maximum(columns.bounds[1:] - 1, 0)] = True
        matters[:count] |= columns.at - columns.captured_at > policy.stale_after_s
        gap = columns.at[1:] - columns.captured_at[:-1] > policy.stale_after_s
        matters[: count - 1] |= gap
        matters[1:count] |= gap
    return matters[:count]


def _events(columns: Columns, index: int, news: NDArray[np.bool_]) -> Iterator[_Event]:
    """One stream's samples that matter, and its marks, in order."""
    span = columns.span(index)
    marks = columns.marks
    mark, end = int(marks.bounds[index]), int(marks.bounds[index + 1])
    before = span.start - 1
    for place in (np.flatnonzero(news[span]) + span.start).tolist():
        if place > before + 1:
            yield _sample(columns, place - 1, _FRESH)
        before = place
        while mark < end and marks.before[mark] <= place:
            yield _Event(float(marks.at[mark]), int(marks.kind[mark]))
            mark += 1
        yield _sample(columns, place, _SAMPLE)
    for rest in range(mark, end):
        yield _Event(float(marks.at[rest]), int(marks.kind[rest]))


def _sample(columns: Columns, place: int, kind: int) -> _Event:
    return _Event(float(columns.at[place]), kind, float(columns.captured_at[place]))
