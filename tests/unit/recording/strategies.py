"""Recorded entries, drawn from a seed: hypothesis takes a hundred times as long."""

from random import Random

from hypothesis import strategies as st

from sidecar.domain import (
    ActionKind,
    Category,
    LabelScore,
    ModelRef,
    Scores,
    SourceKind,
    Stream,
    UnknownReason,
    VerdictState,
)
from sidecar.recording.entry import Decision, Entry, EntryKind

STREAMS = tuple(
    Stream(name, kind, labels=labels)
    for name, kind, labels in (
        ("a", SourceKind.WHEP, {"kids": "yes"}),
        ("b~1", SourceKind.WHIP, {}),
        ("c", SourceKind.FILE, {"ü": "\n"}),
    )
)
MODELS = (ModelRef("m", "sha256:1"), ModelRef("n", "sha256:2"))
_WORDS = ("", "a", 'quoted " \\', "line\nbreak", "\u2028", "ü", "\x00", "🂡", "NaN")

seeds = st.integers(0, 2**32).map(Random)


def _share(draw: Random) -> float:
    return draw.choice([0, 1, 10**6, draw.randint(0, 10**6)]) / 10**6


def _instant(draw: Random) -> float:
    return draw.randint(-(10**12), 10**12) / 10**6


def _span(draw: Random) -> float:
    return draw.randint(0, 10**9) / 10**6


def scores(draw: Random, stream: Stream) -> Scores:
    """Of one to a few categories, by either model."""
    categories = draw.sample(list(Category), draw.randint(1, 4))
    return Scores(
        stream.id,
        {
            category: LabelScore(
                _share(draw), draw.choice(_WORDS), draw.choice((None, MODELS[1]))
            )
            for category in categories
        },
        MODELS[0],
        _instant(draw),
        _span(draw),
        _span(draw),
        _span(draw),
        _span(draw),
        others=MODELS[1:],
        unchanged_since=draw.choice([None, _instant(draw)]),
    )


def decision(draw: Random) -> Decision:
    """Of any kind."""
    return Decision(
        action=draw.choice(list(ActionKind)),
        rule=draw.choice(_WORDS),
        policy=draw.choice(_WORDS),
        policy_hash=draw.choice(_WORDS),
        category=draw.choice([None, *Category]),
        score=draw.choice([None, _share(draw)]),
        dry_run=draw.random() < 1 / 2,
    )


def entry(draw: Random) -> Entry:
    """Of any kind."""
    kind = draw.choice(list(EntryKind))
    stream = draw.choice(STREAMS)
    verdict = draw.choice(list(VerdictState))
    unknown = verdict is VerdictState.UNKNOWN
    return Entry(
        kind=kind,
        stream=stream,
        at=_instant(draw),
        verdict=verdict,
        reason=draw.choice(list(UnknownReason)) if unknown else None,
        scores=scores(draw, stream) if kind is EntryKind.SAMPLE else None,
        decisions=tuple(decision(draw) for _ in range(draw.randint(0, 3))),
        shadow=tuple(decision(draw) for _ in range(draw.randint(0, 2))),
    )


def entries(draw: Random) -> list[Entry]:
    """Some, in the order of their instants."""
    found = [entry(draw) for _ in range(draw.randint(0, 12))]
    return sorted(found, key=lambda one: one.at)
