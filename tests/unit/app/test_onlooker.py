"""Who looks on hears what went out, and a paused stream is judged but left alone."""

import pytest

from sidecar.decide.onlooker import Onlooker
from sidecar.decide.policyset import Policy
from sidecar.decide.state import Step
from sidecar.domain import Scores, Stream, UnknownReason
from sidecar.errors import EngineError
from tests.unit.app.test_pipeline import POLICY, Bench

pytestmark = pytest.mark.anyio


class Diary(Onlooker):
    """Notes what it is told, with the kinds of the actions."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def _note(self, what: str, step: Step | None = None) -> None:
        kinds = () if step is None else tuple(action.kind for action in step.actions)
        self.told.append((what, *kinds))

    def began(self, stream: Stream, policy: Policy, now: float) -> None:
        """Notes it."""
        assert (stream.id, policy) == ("s", POLICY)
        self._note(f"began {now:g}")

    def scored(
        self, stream: Stream, policy: Policy, scores: Scores, step: Step, now: float
    ) -> None:
        """Notes it."""
        assert (stream.id, policy, scores.stream_id) == ("s", POLICY, "s")
        self._note(f"scored {now:g}", step)

    def unseen(
        self,
        stream: Stream,
        policy: Policy,
        reason: UnknownReason,
        step: Step,
        now: float,
    ) -> None:
        """Notes it."""
        assert (stream.id, policy) == ("s", POLICY)
        self._note(f"unseen {reason} {now:g}", step)

    def ticked(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """Notes it."""
        assert (stream.id, policy) == ("s", POLICY)
        self._note(f"ticked {now:g}", step)

    def cleared(self, stream: Stream, policy: Policy, step: Step, now: float) -> None:
        """Notes it."""
        assert (stream.id, policy) == ("s", POLICY)
        self._note(f"cleared {now:g}", step)

    def ended(self, stream: Stream, now: float) -> None:
        """Notes it."""
        assert stream.id == "s"
        self._note(f"ended {now:g}")


async def test_an_onlooker_hears_everything_in_order() -> None:
    """Scores, failures, the passing of time, a reversal and the end, with actions."""
    bench = Bench(0.9, 0.9, EngineError("x"))
    diary = Diary()
    bench.pipeline.add_onlooker(diary)
    bench.pipeline.repolicy(bench.watch, POLICY)
    await bench.run()
    bench.clock.advance(6)
    bench.pipeline.tick(bench.watch)
    await bench.pay()
    await bench.pipeline.reverse(bench.watch)
    bench.pipeline.end(bench.watch)
    assert diary.told == [
        ("began 100",),
        ("scored 101", "flag"),
        ("scored 102", "takedown"),
        ("unseen engine_error 103",),
        ("ticked 109", "escalate"),
        ("cleared 109", "reverse_takedown"),
        ("ended 109",),
    ]


async def test_an_onlooker_does_nothing_unless_it_wants_to() -> None:
    """The methods of the base are there to be inherited."""
    bench = Bench(0.9, EngineError("x"))

    class Idle(Onlooker):
        """Overrides nothing."""

    bench.pipeline.add_onlooker(Idle())
    bench.pipeline.begin(bench.watch.stream, bench.sampler, POLICY)
    await bench.run()
    bench.pipeline.tick(bench.watch)
    bench.watch.cut = True
    await bench.pipeline.reverse(bench.watch)
    bench.pipeline.end(bench.watch)
    assert [action.kind for action in bench.publisher.decided] == [
        "flag",
        "reverse_takedown",
    ]


async def test_the_actions_of_a_paused_stream_are_dry_runs() -> None:
    """They are decided, counted and sent as such; another stream's are not touched."""
    bench = Bench(0.9, 0.9)
    diary = Diary()
    bench.pipeline.add_onlooker(diary)
    bench.pipeline.is_paused = {"s"}.__contains__
    await bench.run()
    assert [action.dry_run for action in bench.publisher.decided] == [True, True]
    assert bench.counted(
        "sidecar_actions_total", action="takedown", category="drugs", dry_run="true"
    )
    bench.pipeline.is_paused = {"other"}.__contains__
    await bench.pipeline.reverse(bench.watch)
    assert bench.publisher.decided[-1].dry_run is False
