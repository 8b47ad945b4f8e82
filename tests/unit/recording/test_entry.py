"""What the pipeline tells is noted: everything of a stream but idle ticks."""

import pytest

from sidecar.domain import UnknownReason, VerdictState
from sidecar.errors import EngineError
from sidecar.recording.entry import Entry, EntryKind, Notebook
from tests.unit.app.test_pipeline import POLICY, STREAM, Bench

pytestmark = pytest.mark.anyio


async def test_a_streams_life_is_noted() -> None:
    """From its beginning over scores and failures to its end, with what was decided."""
    bench = Bench(0.9, 0.9, EngineError("x"))
    found: list[Entry] = []
    bench.pipeline.add_onlooker(Notebook(found.append))
    bench.pipeline.begin(STREAM, bench.sampler, POLICY)
    bench.pipeline.repolicy(bench.watch, POLICY)
    bench.pipeline.tick(bench.watch)
    await bench.run()
    bench.pipeline.tick(bench.watch)
    bench.clock.advance(6)
    bench.pipeline.tick(bench.watch)
    await bench.pay()
    await bench.pipeline.reverse(bench.watch)
    bench.pipeline.end(bench.watch)
    told = [(e.kind, e.at, [d.action for d in e.decisions]) for e in found]
    assert told == [
        (EntryKind.BEGAN, 100, []),
        (EntryKind.POLICY, 100, []),
        (EntryKind.SAMPLE, 101, ["flag"]),
        (EntryKind.SAMPLE, 102, ["takedown"]),
        (EntryKind.UNSEEN, 103, []),
        (EntryKind.TICK, 109, ["escalate"]),
        (EntryKind.CLEARED, 109, ["reverse_takedown"]),
        (EntryKind.ENDED, 109, []),
    ]
    assert found[0].reason is UnknownReason.STARTING
    assert found[4].reason is UnknownReason.ENGINE_ERROR
    assert found[3].verdict is VerdictState.VIOLATING
    takedown = found[3].decisions[0]
    assert (takedown.rule, takedown.policy, takedown.policy_hash) == (
        "cut",
        "p",
        POLICY.hash,
    )
    assert (takedown.category, takedown.score) == ("drugs", 0.9)


async def test_a_verdict_that_grows_stale_is_noted_once() -> None:
    """Ticks are noted for their news alone."""
    bench = Bench(0.1)
    found: list[Entry] = []
    bench.pipeline.add_onlooker(Notebook(found.append))
    await bench.run()
    for _ in range(5):
        bench.clock.advance(1)
        bench.pipeline.tick(bench.watch)
    kinds = [e.kind for e in found if not e.decisions]
    assert kinds == [EntryKind.SAMPLE, EntryKind.TICK]
    assert found[1].reason is UnknownReason.STALE


async def test_scores_that_are_none_are_noted_as_unseen() -> None:
    """As the policy takes them; they could not be written either."""
    bench = Bench(float("nan"))
    found: list[Entry] = []
    bench.pipeline.add_onlooker(Notebook(found.append))
    await bench.run()
    assert [(e.kind, e.reason, e.scores) for e in found] == [
        (EntryKind.UNSEEN, UnknownReason.ENGINE_ERROR, None)
    ]


def test_an_end_without_a_beginning_is_noted_all_the_same() -> None:
    """A notebook may be opened while streams are under watch."""
    found: list[Entry] = []
    Notebook(found.append).ended(STREAM, 3.0)
    assert [(e.kind, e.verdict) for e in found] == [
        (EntryKind.ENDED, VerdictState.UNKNOWN)
    ]
