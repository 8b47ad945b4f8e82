"""What is remembered of a stream: its scores, its verdicts, also after its end."""

from sidecar.domain import (
    Category,
    SourceKind,
    Stream,
    UnknownReason,
    VerdictState,
)
from sidecar.oversight.ledger import Ledger
from sidecar.oversight.timelines import SPARK, Timelines, top_of
from tests.fakes.policy_run import CLOSED, POLICY, Run, scores

STREAM = Stream("s", SourceKind.WHIP)


def test_scores_and_turns_are_remembered() -> None:
    """Each verdict once as long as it says the same; the newest scores for the row."""
    timelines, run = Timelines(Ledger()), Run(POLICY)
    timelines.began(STREAM, POLICY, 0.0)
    for at in range(SPARK + 2):
        got, step = scores(float(at), 0.1), run.saw(float(at), 0.1)
        timelines.scored(STREAM, POLICY, got, step, at + 0.1)
    lost = run.missed(99.0, UnknownReason.UNREACHABLE)
    timelines.unseen(STREAM, POLICY, UnknownReason.UNREACHABLE, lost, 99.0)
    timelines.ticked(STREAM, POLICY, run.waited(100.0), 100.0)
    known = timelines.get("s")
    assert known is not None
    assert len(known.spark) == SPARK
    assert known.spark[-1] == (SPARK + 1.0, 0.1)
    assert known.scores == scores(SPARK + 1.0, 0.1)
    states = [turn.state for turn in known.turns]
    assert states == [VerdictState.CLEAR, VerdictState.UNKNOWN]
    assert len(timelines.ledger) == SPARK + 2


def test_a_stream_that_ended_is_still_known() -> None:
    """And goes on where it was if it comes back, under another policy too."""
    timelines, run = Timelines(Ledger()), Run(POLICY)
    timelines.began(STREAM, POLICY, 0.0)
    timelines.scored(STREAM, POLICY, scores(1.0, 0.9), run.saw(1.0, 0.9), 1.0)
    timelines.cleared(STREAM, POLICY, run.reversed(2.0), 2.0)
    timelines.ended(STREAM, 3.0)
    known = timelines.get("s")
    assert known is not None
    ended = [known.ended_at]
    timelines.scored(STREAM, POLICY, scores(4.0, 0.9), run.saw(4.0, 0.9), 4.0)
    timelines.ticked(STREAM, POLICY, run.waited(5.0), 5.0)
    assert len(known.spark) == 1
    timelines.began(STREAM, CLOSED, 6.0)
    assert timelines.get("s") is known
    assert known.policy == CLOSED
    assert [*ended, known.ended_at] == [3.0, None]


def test_a_thousand_ended_streams_are_kept() -> None:
    """One that was never begun is none."""
    timelines = Timelines(Ledger())
    timelines.ended(STREAM, 1.0)
    assert timelines.get("s") is None
    for number in range(1001):
        one = Stream(f"s{number}", SourceKind.WHIP)
        timelines.began(one, POLICY, 0.0)
        timelines.ended(one, 1.0)
    assert timelines.get("s0") is None
    assert timelines.get("s1") is not None


def test_the_highest_score_is_no_safe_one() -> None:
    """`safe` at 1 is no reason to look; without others there is none."""
    assert top_of(scores(0.0, 0.2, 0.3)) == (Category.VIOLENCE_GRAPHIC, 0.3)
    assert top_of(scores(0.0, None)) == (None, 0.0)
