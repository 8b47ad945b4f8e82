"""Recorded entries, drawn by hypothesis."""

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

shares = st.integers(0, 10**6).map(lambda n: n / 10**6)
spans = st.integers(0, 10**9).map(lambda n: n / 10**6)
instants = st.integers(-(10**12), 10**12).map(lambda n: n / 10**6)
words = st.text(max_size=20)


@st.composite
def scores(draw: st.DrawFn, stream: Stream) -> Scores:
    """Of one to a few categories, by either model."""
    given = draw(
        st.dictionaries(
            st.sampled_from(list(Category)),
            st.tuples(shares, words, st.sampled_from((None, MODELS[1]))),
            min_size=1,
        )
    )
    return Scores(
        stream.id,
        {category: LabelScore(*told) for category, told in given.items()},
        MODELS[0],
        draw(instants),
        draw(spans),
        draw(spans),
        draw(spans),
        draw(spans),
        others=MODELS[1:],
        unchanged_since=draw(st.none() | instants),
    )


decisions = st.builds(
    Decision,
    action=st.sampled_from(list(ActionKind)),
    rule=words,
    policy=words,
    policy_hash=words,
    category=st.none() | st.sampled_from(list(Category)),
    score=st.none() | shares,
    dry_run=st.booleans(),
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Of any kind."""
    kind = draw(st.sampled_from(list(EntryKind)))
    stream = draw(st.sampled_from(STREAMS))
    verdict = draw(st.sampled_from(list(VerdictState)))
    unknown = verdict is VerdictState.UNKNOWN
    reasons = st.sampled_from(list(UnknownReason))
    return Entry(
        kind=kind,
        stream=stream,
        at=draw(instants),
        verdict=verdict,
        reason=draw(reasons) if unknown else None,
        scores=draw(scores(stream)) if kind is EntryKind.SAMPLE else None,
        decisions=draw(st.lists(decisions, max_size=3).map(tuple)),
    )


def in_time(found: list[Entry]) -> list[Entry]:
    """In the order of their instants."""
    return sorted(found, key=lambda entry: entry.at)
