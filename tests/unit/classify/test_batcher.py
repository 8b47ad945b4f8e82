"""The batcher: every caller is answered exactly once, whatever happens."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.classify.batcher import Batcher
from sidecar.classify.planner import PlannerSettings
from sidecar.domain import Category, UnknownReason
from sidecar.errors import EngineError, SampleGivenWay
from tests.fakes.batcher_bench import AT_ONCE, FULL_ONLY, Bench, running, sample, settle

pytestmark = pytest.mark.anyio


async def test_a_sample_becomes_scores() -> None:
    """Scores by category with their model, and each leg's seconds."""
    bench = Bench(AT_ONCE)
    bench.clock.advance(3.0)
    async with running(bench):
        scores = await bench.batcher.classify(sample("studio", captured_at=1.0))
    assert scores.stream_id == "studio"
    assert scores.model == bench.engine.ref
    assert scores.by_category[Category.VIOLENCE_GRAPHIC].score > 0.9
    assert scores.by_category[Category.VIOLENCE_GRAPHIC].label == "red"
    assert (scores.captured_at, scores.receive_s, scores.decode_s) == (1.0, 0.25, 0.5)
    assert (scores.queue_s, scores.inference_s) == (2.0, 0.0)
    assert bench.outcomes() == {"scored": 1}
    assert bench.count("sidecar_leg_seconds_count", leg="queue") == 1
    assert bench.count("sidecar_leg_seconds_sum", leg="queue") == 2.0
    assert bench.count("sidecar_leg_seconds_count", leg="inference") == 1


async def test_streams_share_a_batch_and_get_their_own_scores() -> None:
    """Four streams, one batch, four different answers."""
    bench = Bench(FULL_ONLY)
    reds = (0, 80, 160, 240)
    async with running(bench) as callers:
        tasks = [
            callers.create_task(bench.batcher.classify(sample(f"s{red}", red)))
            for red in reds
        ]
    assert bench.engine.sizes == [4]
    found = [t.result().by_category[Category.VIOLENCE_GRAPHIC].score for t in tasks]
    assert [t.result().stream_id for t in tasks] == [f"s{red}" for red in reds]
    assert found == sorted(set(found))
    assert bench.count("sidecar_batch_size_sum") == 4


async def test_a_batch_that_does_not_fill_goes_after_the_delay() -> None:
    """A lonely sample is not kept for company for ever."""
    bench = Bench(PlannerSettings(max_queue_delay_s=0.02))
    async with running(bench) as callers:
        callers.create_task(bench.ask(sample()))
        await settle()
        assert bench.engine.sizes == []
        bench.clock.advance(0.02)
    assert bench.engine.sizes == [1]


async def test_the_next_batch_is_collected_while_one_runs() -> None:
    """Samples that come while the engine is busy go together right after."""
    bench = Bench(AT_ONCE)
    bench.engine.gate.clear()
    async with running(bench) as callers:
        callers.create_task(bench.ask(sample("first")))
        await bench.engine.begun.wait()
        for number in range(3):
            callers.create_task(bench.ask(sample(f"s{number}")))
        await settle()
        assert bench.batcher.waiting == 3
        bench.engine.gate.set()
    assert bench.engine.sizes == [1, 3]
    assert bench.outcomes() == {"scored": 4}


async def test_a_batchs_error_answers_each_member() -> None:
    """Each gets an exception of its own; the next batch is served as ever."""
    bench = Bench(FULL_ONLY)
    bench.engine.errors = [EngineError("bad batch")]
    async with running(bench) as callers:
        for number in range(8):
            callers.create_task(bench.ask(sample(f"s{number}")))
    errors = [a for a in bench.answers if isinstance(a, EngineError)]
    assert [str(error) for error in errors] == ["bad batch"] * 4
    assert len({id(error) for error in errors}) == 4
    assert bench.outcomes() == {"error": 4, "scored": 4}
    assert bench.count("sidecar_engine_errors_total") == 1
    assert bench.batcher.failures_in_a_row == 0


async def test_a_success_starts_the_count_again() -> None:
    """Errors now and then are not "in a row"."""
    bench = Bench(AT_ONCE, max_errors=2)
    async with running(bench):
        for _ in range(4):
            bench.engine.errors = [EngineError("now and then")]
            await bench.ask(sample())
            assert bench.batcher.failures_in_a_row == 1
            await bench.ask(sample())
    assert bench.outcomes() == {"error": 4, "scored": 4}


async def test_displaced_samples_are_told_overloaded() -> None:
    """Of one stream the newest waits on; the older caller hears why."""
    bench = Bench(PlannerSettings(max_queue_delay_s=60.0, per_stream=1, max_age_s=9.0))
    async with running(bench) as callers:
        callers.create_task(bench.ask(sample("a", captured_at=0.0)))
        await settle()
        callers.create_task(bench.ask(sample("a", captured_at=1.0)))
        await settle()
        (answer,) = bench.answers
        assert isinstance(answer, SampleGivenWay)
        assert UnknownReason(answer.reason) is UnknownReason.OVERLOADED
        assert answer.stream_id == "a"
        for number in range(3):
            callers.create_task(bench.ask(sample(f"s{number}")))
    assert bench.outcomes() == {"given_way": 1, "scored": 4}
    lost = {"stage": "classify", "reason": "overloaded"}
    assert bench.count("sidecar_lost_total", **lost) == 1


async def test_a_sample_that_grew_stale_is_told_so() -> None:
    """Older than the budget: not classified, and the caller hears it."""
    bench = Bench(AT_ONCE)
    bench.clock.advance(500.0)
    async with running(bench):
        await bench.ask(sample(captured_at=0.0))
    (answer,) = bench.answers
    assert isinstance(answer, SampleGivenWay)
    assert UnknownReason(answer.reason) is UnknownReason.STALE
    assert bench.outcomes() == {"stale": 1}


async def test_a_caller_that_left_takes_no_place() -> None:
    """Cancelled while waiting: gone from the queue, and counted."""
    bench = Bench(FULL_ONLY)
    async with running(bench) as callers:
        leaving = callers.create_task(bench.ask(sample("gone")))
        await settle()
        leaving.cancel()
        await settle()
        assert bench.batcher.waiting == 0
        for number in range(4):
            callers.create_task(bench.ask(sample(f"s{number}")))
    assert bench.engine.sizes == [4]
    lost = {"stage": "classify", "reason": "cancelled"}
    assert bench.count("sidecar_lost_total", **lost) == 1


@pytest.mark.parametrize("errors", [[], [EngineError("bad")]])
async def test_a_caller_that_left_in_flight_is_ignored(
    errors: list[EngineError],
) -> None:
    """Cancelled while its batch runs: the others get their answers."""
    bench = Bench(AT_ONCE)
    bench.engine.gate.clear()
    bench.engine.errors = list(errors)
    async with running(bench) as callers:
        leaving = callers.create_task(bench.ask(sample("gone")))
        callers.create_task(bench.ask(sample("stays")))
        await bench.engine.begun.wait()
        leaving.cancel()
        await settle()
        bench.engine.gate.set()
    assert len(bench.answers) == 1


async def test_leaving_just_as_the_error_comes_is_quiet() -> None:
    """No "exception was never retrieved" for a caller that went in the same turn."""
    bench = Bench(AT_ONCE)
    bench.engine.gate.clear()
    bench.engine.errors = [EngineError("bad")]
    async with running(bench) as callers:
        leaving = callers.create_task(bench.ask(sample()))
        await bench.engine.begun.wait()
        ((member,),) = (run.members for run in bench.batcher._runs)
        member.answer.add_done_callback(lambda _: leaving.cancel())
        bench.engine.gate.set()
    assert bench.batcher.failures_in_a_row == 1


async def test_batches_larger_than_the_engines_are_refused() -> None:
    """A planner that plans more than the arena holds is a mistake of the caller."""
    bench = Bench(AT_ONCE)
    with pytest.raises(ValueError, match="larger than the engine's"):
        Batcher(
            bench.engine, PlannerSettings(max_batch_size=5), bench.clock, bench.stats
        )


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "ask", "leave", "fail", "age", "turn"]),
        st.sampled_from("abc"),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(events=EVENTS)
def test_everybody_is_answered_once(events: list[tuple[str, str]]) -> None:
    """Callers come, leave, age and fail in any order: each gets exactly one answer."""
    with asyncio.Runner() as runner:
        runner.run(_play(events))


async def _play(events: list[tuple[str, str]]) -> None:
    """Acts the events out and balances the books."""
    bounds = PlannerSettings(2, 0.0, max_age_s=5.0, per_stream=2, capacity=3)
    bench = Bench(bounds, max_errors=1000)
    tasks: list[asyncio.Task[None]] = []
    async with running(bench) as callers:
        for what, stream in events:
            if what == "ask":
                one = sample(stream, captured_at=bench.clock.monotonic())
                tasks.append(callers.create_task(bench.ask(one)))
            elif what == "leave" and tasks:
                tasks[len(tasks) // 2].cancel()
            elif what == "fail":
                bench.engine.errors.append(EngineError("bad"))
            elif what == "age":
                bench.clock.advance(3.0)
            else:
                await settle()
    assert all(task.done() for task in tasks)
    assert bench.batcher.waiting == 0
    left = sum(task.cancelled() for task in tasks)
    assert len(bench.answers) == len(tasks) - left
