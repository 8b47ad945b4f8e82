"""The fast answer is the live code's, on everything that can be recorded."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.decide.policy import PolicySet, initial, observe, reverse, tick, unseen
from sidecar.decide.policyset import Policy, Selector
from sidecar.decide.rules import Rule, UnknownRule
from sidecar.domain import (
    Action,
    ActionKind,
    Category,
    LabelScore,
    ModelRef,
    Scores,
    SourceKind,
    Stream,
    UnknownReason,
)
from sidecar.recording.column_log import columns_of
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.rerun import TICK_S, Rerun
from sidecar.recording.whatif import Fired, what_if

X, V = Category.SEXUAL_EXPLICIT, Category.VIOLENCE_GRAPHIC
MODEL = ModelRef("m", "sha256:1")
A = Stream("a", SourceKind.WHEP, labels={"kids": "yes"})
B = Stream("b", SourceKind.WHIP)
RULE = Rule("cut", X, ActionKind.TAKEDOWN, 0.8, 0.5, 2, 3, 10.0, 20.0)

_LEVELS = (0.0, 0.3, 0.499999, 0.5, 0.6, 0.799999, 0.8, 0.9, 1.0)
_GAPS = (0.0, 0.1, 0.5, 1.0, 1.0, 1.0, 2.5, 4.0, 11.0, 40.0, 301.0)
_WHAT = ("sample",) * 9 + ("unseen", "cleared", "again")

# Drawn from a seed: hypothesis takes a hundred times as long for as many choices.
seeds = st.integers(0, 2**32).map(Random)


def rules(draw: Random, name: str) -> Rule:
    """Small numbers, so that windows, cooldowns and thresholds meet."""
    low, high = sorted(draw.choices(_LEVELS[1:], k=2))
    of = draw.randint(1, 5)
    return Rule(
        name,
        draw.choice([X, V]),
        draw.choice([ActionKind.FLAG, ActionKind.TAKEDOWN]),
        enter=high,
        exit=low,
        hits=draw.randint(1, of),
        of=of,
        within_s=draw.choice([0.5, 2.0, 5.0, 100.0]),
        cooldown_s=draw.choice([0.0, 1.5, 10.0, 60.0]),
        allow_single_frame=True,
    )


def policies(draw: Random) -> PolicySet:
    """One for all, after one for some streams now and then."""
    made = []
    for name, selector in (
        ("kids", Selector(labels={"kids": "yes"})),
        ("all", Selector()),
    ):
        unknown = UnknownRule(
            after_s=draw.choice([0.0, 0.7, 2.0, 30.0]),
            action=draw.choice([None, ActionKind.INTERRUPT]),
            cooldown_s=draw.choice([0.0, 3.0, 60.0]),
        )
        made.append(
            Policy(
                name,
                selector,
                tuple(rules(draw, f"r{n}") for n in range(draw.randint(1, 2))),
                draw.choice([None, unknown]),
                stale_after_s=draw.choice([0.3, 2.0, 10.0]),
            )
        )
    return PolicySet(tuple(made[draw.randint(0, 1) :]))


def sample(
    stream: Stream, at: float, given: dict[Category, float], late: float
) -> Entry:
    """A sample of `given` scores, decided `late` seconds after its capture."""
    by = {category: LabelScore(score, "l") for category, score in given.items()}
    scores = Scores(stream.id, by, MODEL, captured_at=at - late)
    return Entry(EntryKind.SAMPLE, stream, at, scores=scores)


def lives(draw: Random, stream: Stream) -> list[Entry]:
    """What may happen to one stream, in order."""
    at = draw.choice([0.0, 0.25, 7.0])
    session, born = 0, at
    found: list[Entry] = []
    if draw.random() < 1 / 2:
        found.append(Entry(EntryKind.BEGAN, stream, at))
    for _ in range(draw.randint(0, 25)):
        at += draw.choice(_GAPS)
        what = draw.choice(_WHAT)
        if what == "sample":
            late = min(at - born, draw.choice([0.0, 0.1, 3.0]))
            given = {c: draw.choice(_LEVELS) for c in draw.choice([[X], [V], [X, V]])}
            found.append(replace(sample(stream, at, given, late), session=session))
        elif what == "unseen":
            reason = draw.choice(list(UnknownReason))
            unseen_ = Entry(EntryKind.UNSEEN, stream, at, reason=reason)
            found.append(replace(unseen_, session=session))
        elif what == "cleared":
            found.append(Entry(EntryKind.CLEARED, stream, at, session=session))
        else:
            if draw.random() < 1 / 2:
                found.append(Entry(EntryKind.ENDED, stream, at, session=session))
            session += draw.randint(0, 1)
            born = at = at + draw.choice(_GAPS)
            found.append(Entry(EntryKind.BEGAN, stream, at, session=session))
    if draw.random() < 1 / 2:
        found.append(Entry(EntryKind.ENDED, stream, at + 1, session=session))
    return found


def recordings(draw: Random) -> list[Entry]:
    """Two streams, interleaved by time."""
    return sorted([*lives(draw, A), *lives(draw, B)], key=lambda entry: entry.at)


@dataclass(frozen=True)
class Key:
    """What two ways of finding an action must agree on."""

    stream: str
    at: float
    action: ActionKind
    rule: str
    policy: str
    category: Category | None
    score: float | None


def of_fired(found: Sequence[Fired]) -> list[Key]:
    """Of the fast way."""
    return [
        Key(f.stream, f.at, f.action, f.rule, f.policy, f.category, f.score)
        for f in found
    ]


def of_actions(found: Sequence[Action]) -> list[Key]:
    """Of the live way; a person's reversals are no policy's doing."""
    keys = [
        Key(
            a.stream_id,
            a.decided_at,
            a.kind,
            a.policy.rule,
            a.policy.name,
            a.reason.category,
            a.reason.score,
        )
        for a in found
        if a.kind is not ActionKind.REVERSE_TAKEDOWN
    ]
    return sorted(keys, key=lambda k: (k.stream, k.at, k.policy, k.rule))


@given(seeds)
@settings(max_examples=300, deadline=None)
def test_what_if_is_what_the_live_code_decides(draw: Random) -> None:
    """The same actions at the same instants for the same reasons, for any policy."""
    entries, wanted = recordings(draw), policies(draw)
    live = [a for judged in Rerun(wanted).run(entries) for a in judged.step.actions]
    assert of_fired(what_if(columns_of(entries), wanted)) == of_actions(live)


def _each_tick(entries: list[Entry], policy: Policy) -> list[Action]:
    """One stream without a comeback, told of every tick as it is live."""
    state = initial(policy, entries[0].at)
    found: list[Action] = []
    number = math.floor(entries[0].at / TICK_S) + 1
    for entry in entries:
        while number * TICK_S < entry.at:
            step = tick(policy, "a", state, number * TICK_S)
            state, number = step.state, number + 1
            found += step.actions
        if entry.kind is EntryKind.SAMPLE:
            assert entry.scores is not None
            step = observe(policy, "a", state, entry.scores, entry.at)
        elif entry.kind is EntryKind.CLEARED:
            step = reverse(policy, "a", state, entry.at)
        else:
            assert entry.reason is not None
            step = unseen(policy, "a", state, entry.reason, entry.at)
        state = step.state
        found += step.actions
    return found


@given(seeds)
@settings(deadline=None)
def test_a_rerun_leaves_out_no_tick_that_is_news(draw: Random) -> None:
    """What it skips for speed changes nothing."""
    entries, wanted = lives(draw, A), policies(draw)
    plain = (EntryKind.SAMPLE, EntryKind.CLEARED, EntryKind.UNSEEN)
    entries = [replace(e, session=0) for e in entries if e.kind in plain]
    if not entries:
        return
    judged = [a for j in Rerun(wanted).run(entries) for a in j.step.actions]
    last = entries[-1].at
    every = _each_tick(entries, wanted.policies[0])
    assert [a for a in judged if a.decided_at < last] == [
        a for a in every if a.decided_at < last
    ]


def _policy(*rules: Rule, unknown: UnknownRule | None = None) -> PolicySet:
    return PolicySet((Policy("p", Selector(), rules, unknown, 10.0),))


def test_what_is_said_of_an_action() -> None:
    """Enough to show it: stream, instants, rule, policy, score."""
    entries = [sample(A, at, {X: 0.9}, late=0.25) for at in (1.0, 2.0)]
    (fired,) = what_if(columns_of(entries), _policy(RULE))
    takedown = ActionKind.TAKEDOWN
    assert fired == Fired("a", 2.0, takedown, "cut", "p", X, 0.9, 1.75, dry_run=False)


def test_a_category_the_model_never_gives_fires_nothing() -> None:
    """Nor does an empty recording, nor one that no policy means."""
    entries = [sample(A, at, {V: 0.9}, late=0.0) for at in (1.0, 2.0)]
    assert what_if(columns_of(entries), _policy(RULE)) == []
    assert what_if(columns_of([]), _policy(RULE)) == []
    other = Policy("p", Selector(ids=("zzz",)), (RULE,), None, 10.0)
    assert what_if(columns_of(entries), PolicySet((other,))) == []


@pytest.mark.parametrize("enter", [0.8, 0.8000001, 0.7999999, 0.1 + 0.2, 1.0])
def test_thresholds_are_met_exactly(enter: float) -> None:
    """Though scores are kept in half the bits."""
    rule = replace(RULE, enter=enter, exit=0.1, hits=1, allow_single_frame=True)
    for millionth in range(-2, 3):
        score = min(1.0, round(enter + millionth / 1e6, 6))
        entries = [sample(A, 1.0, {X: score}, late=0.0)]
        assert bool(what_if(columns_of(entries), _policy(rule))) == (score >= enter)
