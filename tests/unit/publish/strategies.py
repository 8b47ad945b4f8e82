"""Arbitrary values of the house for the publishing tests."""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from hypothesis import strategies as st

from sidecar.domain import (
    Action,
    ActionKind,
    Category,
    Evidence,
    LabelScore,
    ModelRef,
    PolicyRef,
    Reason,
    Scores,
    SourceKind,
    Stream,
    UnknownReason,
    Verdict,
    VerdictState,
)
from sidecar.publish.entry import Entry

FAR = 1e9
EPOCH = datetime(2026, 11, 23, 22, 14, 3, 120_000, tzinfo=UTC)

ids = st.from_regex(r"[A-Za-z0-9._~-]{1,128}", fullmatch=True)
instants = st.floats(0, 1e6, allow_nan=False)
legs = st.floats(0, 30, allow_nan=False)
shares = st.floats(0, 1, allow_nan=False)
words = st.text(max_size=300)
hashes = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)
models = st.builds(ModelRef, words, hashes)
policies = st.builds(PolicyRef, words, hashes, words)


def wall(monotonic_s: float) -> datetime:
    """The wall time that belongs to a monotonic instant in these tests."""
    return EPOCH + timedelta(seconds=monotonic_s)


reasons = st.builds(
    Reason,
    category=st.none() | st.sampled_from(Category),
    label=st.none() | words,
    score=st.none() | shares,
    enter=st.none() | shares,
    hits=st.integers(0, 100),
    of=st.integers(0, 100),
    within_s=legs,
    unknown=st.none() | st.sampled_from(UnknownReason),
)
streams = st.builds(
    Stream,
    id=ids,
    source=st.sampled_from(SourceKind),
    publisher=st.none() | ids | st.text(max_size=200),
    track=ids | st.text(max_size=20),
)
scores = st.builds(
    Scores,
    stream_id=ids,
    by_category=st.dictionaries(
        st.sampled_from(Category),
        st.builds(
            LabelScore,
            st.floats(-1, 2) | st.just(float("nan")),
            words,
            st.none() | models,
        ),
    ).map(MappingProxyType),
    model=models,
    captured_at=instants,
    receive_s=legs,
    decode_s=legs,
    queue_s=legs,
    inference_s=legs,
    others=st.lists(models, max_size=2).map(tuple),
    unchanged_since=st.none() | instants,
)
actions = st.builds(
    Action,
    kind=st.sampled_from(ActionKind),
    stream_id=ids,
    reason=reasons,
    policy=policies,
    model=st.none() | models,
    dry_run=st.booleans(),
    captured_at=instants,
    decided_at=instants,
    evidence=st.lists(
        st.builds(Evidence, instants, shares, st.none() | instants), max_size=5
    ).map(tuple),
    scores=st.none() | scores,
    expires_s=st.floats(0, 1e6),
    require_enforced=st.booleans(),
)
verdicts = st.builds(
    Verdict,
    state=st.sampled_from(VerdictState),
    since=instants,
    seen_at=st.none() | instants,
    reason=st.none() | st.sampled_from(UnknownReason),
    categories=st.lists(st.sampled_from(Category), max_size=3).map(tuple),
)


def takedown(
    stream_id: str = "studio-7",
    kind: ActionKind = ActionKind.TAKEDOWN,
    *,
    at: float = 0.0,
    expires_s: float = 3600.0,
    require_enforced: bool = False,
) -> Action:
    """An ordinary action captured 50 ms before it was decided at `at`."""
    model = ModelRef("testcard", "sha256:" + "0" * 64)
    captured_at = at - 0.05
    return Action(
        kind=kind,
        stream_id=stream_id,
        reason=Reason(Category.SEXUAL_EXPLICIT, "Porn", 0.97, 0.85, 3, 5, 6.0),
        policy=PolicyRef("default", "sha256:" + "1" * 64, "explicit-takedown"),
        model=model,
        dry_run=False,
        captured_at=captured_at,
        decided_at=at,
        evidence=(Evidence(captured_at, 0.97),),
        scores=Scores(
            stream_id,
            MappingProxyType({Category.SEXUAL_EXPLICIT: LabelScore(0.97, "Porn")}),
            model,
            captured_at,
            receive_s=0.011,
            decode_s=0.003,
            queue_s=0.004,
            inference_s=0.015,
        ),
        expires_s=expires_s,
        require_enforced=require_enforced,
    )


def entry(
    action_id: str,
    stream: str = "a",
    action: ActionKind = ActionKind.TAKEDOWN,
    *,
    expires_at: float = FAR,
    require_enforced: bool = False,
) -> Entry:
    """An action for the outbox."""
    return Entry(
        id=action_id,
        stream=stream,
        action=action.value,
        topic=f"t/{stream}",
        payload=action_id.encode(),
        expires_at=expires_at,
        response_topic="acks",
        user=(("kid", "k"),),
        require_enforced=require_enforced,
    )
