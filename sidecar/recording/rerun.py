"""A recording under a policy, by the code that judges live streams; pure.

Time passes as it does live: every half second, at whole multiples of it, the policy is
told so. What is not news to it is left out, which changes nothing.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sidecar.decide.policy import (
    Policy,
    PolicySet,
    PolicyState,
    Step,
    comeback,
    initial,
    observe,
    reverse,
    tick,
    unseen,
)
from sidecar.domain import Stream
from sidecar.recording.entry import Entry, EntryKind

TICK_S: Final = 0.5
_NEWS: Final = frozenset(
    {
        EntryKind.BEGAN,
        EntryKind.SAMPLE,
        EntryKind.UNSEEN,
        EntryKind.CLEARED,
        EntryKind.ENDED,
    }
)
REMEMBERED_S: Final = 300.0  # how long what was seen of an ended stream counts


@dataclass(frozen=True, slots=True)
class Judged:
    """What a policy made of one thing that happened.

    Attributes:
        stream: To whom.
        at: When.
        step: What came of it.
        entry: What it was; None: time has passed.
    """

    stream: Stream
    at: float
    step: Step
    entry: Entry | None = None


@dataclass(slots=True)
class _Life:
    """A stream under its policy."""

    stream: Stream
    policy: Policy
    state: PolicyState
    at: float
    session: int
    ended_at: float | None = None


class Rerun:
    """Judges entries anew, in order; streams that no policy matches are left out."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._lives: dict[str, _Life] = {}
        self._until = 0.0

    def run(self, entries: Iterable[Entry]) -> Iterator[Judged]:
        """What the policies make of all that happened, to the recording's end."""
        for entry in entries:
            yield from self.take(entry)
        yield from self.finish()

    def take(self, entry: Entry) -> Iterator[Judged]:
        """One thing that happened, after the time that passed before it."""
        self._until = max(self._until, entry.at)
        life = self._lives.get(entry.stream.id)
        if life is None or entry.kind is EntryKind.BEGAN:
            life = self._begin(entry, life)
        if life is None or entry.kind not in _NEWS:
            return
        if entry.kind is EntryKind.BEGAN:
            yield self._judged(life, _unchanged(life), entry.at, entry)
            return
        yield from self._pass(life, entry.at)
        if entry.kind is EntryKind.ENDED:
            life.ended_at = entry.at
        yield self._judged(life, _told(life, entry), entry.at, entry)

    def finish(self) -> Iterator[Judged]:
        """The time that passes for each stream until the recording ends."""
        for life in self._lives.values():
            yield from self._pass(life, self._until, last=True)

    def _begin(self, entry: Entry, before: _Life | None) -> _Life | None:
        policy = self._policies.select(entry.stream)
        if policy is None:
            return None
        state = initial(policy, entry.at)
        if before is not None and _remembers(before, entry):
            state = comeback(before.policy, policy, before.state, entry.at)
        life = _Life(entry.stream, policy, state, entry.at, entry.session)
        self._lives[entry.stream.id] = life
        return life

    def _pass(
        self, life: _Life, until: float, *, last: bool = False
    ) -> Iterator[Judged]:
        """The ticks after the last thing that happened and before `until`."""
        if life.ended_at is not None:
            return
        number = math.floor(life.at / TICK_S) + 1
        end = math.floor(until / TICK_S) if last else math.ceil(until / TICK_S) - 1
        if end < number or not _matters(life, end * TICK_S):
            return
        for one in range(number, end + 1):
            now = one * TICK_S
            step = tick(life.policy, life.stream.id, life.state, now)
            if step.actions or step.verdict != life.state.verdict:
                yield self._judged(life, step, now)
            else:
                life.state = step.state
            if not _matters(life, end * TICK_S):
                return

    def _judged(
        self, life: _Life, step: Step, at: float, entry: Entry | None = None
    ) -> Judged:
        life.state = step.state
        if entry is not None:
            life.at = at
        return Judged(life.stream, at, step, entry)


def _remembers(before: _Life, entry: Entry) -> bool:
    return (
        before.ended_at is not None
        and before.session == entry.session
        and entry.at - before.ended_at <= REMEMBERED_S
    )


def _unchanged(life: _Life) -> Step:
    return Step(life.state, life.state.verdict, ())


def _told(life: _Life, entry: Entry) -> Step:
    """What the policy says to an entry."""
    policy, state, name = life.policy, life.state, life.stream.id
    if entry.kind is EntryKind.SAMPLE:
        assert entry.scores is not None
        return observe(policy, name, state, entry.scores, entry.at)
    if entry.kind is EntryKind.UNSEEN:
        assert entry.reason is not None
        return unseen(policy, name, state, entry.reason, entry.at)
    if entry.kind is EntryKind.CLEARED:
        return reverse(policy, name, state, entry.at)
    return _unchanged(life)


def _matters(life: _Life, last: float) -> bool:
    """Whether any tick up to `last` can be news; errs towards yes."""
    verdict, rule = life.state.verdict, life.policy.unknown
    if verdict.reason is None:
        seen_at = last if verdict.seen_at is None else verdict.seen_at
        return last - seen_at > life.policy.stale_after_s
    episode = life.state.episode
    return rule is not None and rule.action is not None and episode.armed
