"""One stream's samples become verdicts and actions, and nothing owed is forgotten."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from sidecar.clock import ManualClock
from sidecar.decide.policyset import Policy, Selector
from sidecar.decide.rules import Rule, UnknownRule
from sidecar.domain import (
    AccessUnit,
    Action,
    ActionKind,
    Category,
    Codec,
    LabelScore,
    ModelRef,
    PictureFormat,
    PolicyRef,
    Sample,
    Scores,
    SourceKind,
    Stream,
    StreamState,
    UnknownReason,
    Verdict,
    VerdictState,
    Want,
)
from sidecar.errors import (
    EngineError,
    GivenWayReason,
    PublishError,
    SampleGivenWay,
)
from sidecar.ingest.supervisor import StreamStatus
from sidecar.pipeline import Pipeline, Watch, risk_of
from sidecar.publish.owed import Owed
from sidecar.sample.sampler import Sampler, SamplerSettings, Source
from sidecar.stats import Stats
from tests.fakes.publisher import MemoryPublisher

pytestmark = pytest.mark.anyio

MODEL = ModelRef("m", "sha256:0")
POLICY = Policy(
    name="p",
    match=Selector(),
    rules=(
        Rule("flag", Category.DRUGS, ActionKind.FLAG, 0.5, 0.3, 1, 3, 10, 60),
        Rule("cut", Category.DRUGS, ActionKind.TAKEDOWN, 0.8, 0.3, 2, 3, 10, 60),
    ),
    unknown=UnknownRule(after_s=5, action=ActionKind.ESCALATE),
    stale_after_s=3,
)
MORE = Rule("more", Category.DRUGS, ActionKind.BLUR, 0.9, 0.3, 2, 3, 10, 60)
STREAM = Stream("s", SourceKind.WHIP)


class Recorder(MemoryPublisher):
    """Also keeps the verdicts and scores as they were given."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, scores=True)
        self.verdicts: list[Verdict | None] = []
        self.models: list[tuple[ModelRef | None, tuple[ModelRef, ...]]] = []
        self.heard: list[Scores] = []
        self.meanwhile: Callable[[], None] | None = None

    async def publish_action(self, action: Action, stream: Stream) -> str:
        """Lets something happen while it is written."""
        if self.meanwhile is not None:
            self.meanwhile()
        return await super().publish_action(action, stream)

    @property
    def decided(self) -> list[Action]:
        """The actions in order."""
        return list(self.actions.values())

    def set_verdict(
        self,
        stream: Stream,
        verdict: Verdict | None,
        *,
        policy: PolicyRef | None = None,
        model: ModelRef | None = None,
        models: tuple[ModelRef, ...] = (),
    ) -> None:
        """Keeps it."""
        super().set_verdict(stream, verdict, policy=policy, model=model, models=models)
        self.verdicts.append(verdict)
        self.models.append((model, models))

    def publish_scores(self, scores: Scores) -> None:
        """Keeps them."""
        super().publish_scores(scores)
        self.heard.append(scores)


class ScriptedClassifier:
    """Answers each sample with the next score, or raises the next error."""

    def __init__(self, clock: ManualClock, script: list[float | EngineError]) -> None:
        self._clock = clock
        self._script = script
        self.hold: asyncio.Event | None = None
        self.asked = asyncio.Event()
        self.other: ModelRef | None = None  # a second model, which says what is bad

    async def classify(self, sample: Sample) -> Scores:
        """One step of the script, a second later."""
        self._clock.advance(1.0)
        self.asked.set()
        if self.hold is not None:
            await self.hold.wait()
        step = self._script.pop(0)
        if isinstance(step, EngineError):
            raise step
        by = {
            Category.SAFE: LabelScore(1 - step, "ok"),
            Category.DRUGS: LabelScore(step, "bad", self.other),
        }
        scores = Scores(
            sample.stream_id, MappingProxyType(by), MODEL, sample.captured_at
        )
        return replace(scores, others=(self.other,)) if self.other else scores


class EndlessSampler(Sampler):
    """Samples as often as it is asked, without a source; notes what it is told."""

    def __init__(self, clock: ManualClock, stats: Stats, count: int) -> None:
        super().__init__(
            "s",
            SamplerSettings(),
            PictureFormat(2, 2),
            ThreadPoolExecutor(1),
            clock,
            stats,
            lambda: 0.5,
        )
        self.count = count
        self.risks: list[float] = []
        self.closed = False

    async def samples(self, source: Source) -> AsyncGenerator[Sample, None]:
        """`count` black pictures."""
        assert source is not None
        try:
            for _ in range(self.count):
                now = self.clock.monotonic()
                yield Sample("s", np.zeros((2, 2, 3), np.uint8), now, now)
        finally:
            self.closed = True

    def observe(self, score: float) -> None:
        """Notes the risk."""
        self.risks.append(score)


class Bench:
    """A pipeline around scripted neighbours."""

    def __init__(self, *script: float | EngineError) -> None:
        self.clock = ManualClock(100.0)
        self.stats = Stats()
        self.publisher = Recorder(self.clock)
        self.classifier = ScriptedClassifier(self.clock, list(script))
        self.owed = Owed(self.publisher, self.clock, self.stats)
        self.pipeline = Pipeline(
            self.classifier, self.publisher, self.owed, self.clock, self.stats
        )
        self.sampler = EndlessSampler(self.clock, self.stats, len(script))
        self.watch: Watch = self.pipeline.begin(STREAM, self.sampler, POLICY)

    async def run(self) -> None:
        """All samples, one after the other; then what is owed goes to the outbox."""
        await self.pipeline.watch(self.watch, NoSource())
        await self.pay()

    async def pay(self) -> None:
        """Everything that is owed goes to the outbox."""
        async with asyncio.TaskGroup() as group:
            payments = group.create_task(self.owed.run())
            await self.owed.settle()
            payments.cancel()

    def counted(self, name: str, **labels: str) -> float:
        """A counter's value."""
        return self.stats.registry.get_sample_value(name, labels) or 0.0


class NoSource:
    """Stands where the sampler's source would; this sampler asks it for nothing."""

    codec = Codec.VP8

    def want(self, want: Want) -> None:
        """Nothing is delivered either way."""

    def rest(self, until: float) -> None:
        """There is nothing to leave out."""

    def request_keyframe(self) -> None:
        """There are none."""

    async def __aiter__(self) -> AsyncGenerator[AccessUnit, None]:
        """Ends at once."""
        units: tuple[AccessUnit, ...] = ()
        for unit in units:
            yield unit


async def test_a_new_watch_is_unknown_and_says_so() -> None:
    """Before the first look the verdict is UNKNOWN(starting), published."""
    bench = Bench()
    (verdict,) = bench.publisher.verdicts
    assert verdict is not None
    assert (verdict.state, verdict.reason) == (
        VerdictState.UNKNOWN,
        UnknownReason.STARTING,
    )


async def test_scores_lead_to_verdicts_and_actions_in_order() -> None:
    """Clear, then a flag at the first hit, then the takedown at the second."""
    bench = Bench(0.1, 0.9, 0.9)
    await bench.run()
    assert [action.kind for action in bench.publisher.decided] == ["flag", "takedown"]
    states = [verdict.state for verdict in bench.publisher.verdicts if verdict]
    assert states == ["unknown", "clear", "violating"]
    assert bench.sampler.risks == [0.1, 0.9, 0.9]
    assert bench.sampler.closed
    assert bench.watch.cut
    assert len(bench.publisher.heard) == 3
    assert (
        bench.counted(
            "sidecar_actions_total", action="flag", category="drugs", dry_run="false"
        )
        == 1
    )


async def test_a_sample_the_engine_failed_is_not_clear() -> None:
    """An engine's error makes the verdict UNKNOWN at once."""
    bench = Bench(0.1, EngineError("boom"))
    await bench.run()
    assert bench.watch.verdict.state is VerdictState.UNKNOWN
    assert bench.watch.verdict.reason is UnknownReason.ENGINE_ERROR


@pytest.mark.parametrize("reason", list(GivenWayReason))
async def test_samples_left_out_do_not_make_the_verdict_flap(
    reason: GivenWayReason,
) -> None:
    """Every other sample gives way: CLEAR holds, for it is young enough."""
    lost = SampleGivenWay("s", reason)
    bench = Bench(0.1, lost, 0.1, lost, 0.1)
    await bench.run()
    states = [verdict.state for verdict in bench.publisher.verdicts if verdict]
    assert states == [VerdictState.UNKNOWN, VerdictState.CLEAR]


@pytest.mark.parametrize("reason", list(GivenWayReason))
async def test_samples_left_out_for_long_make_the_stream_unknown(
    reason: GivenWayReason,
) -> None:
    """Once the last look is older than the policy allows, the reason is told."""
    bench = Bench(0.1, *[SampleGivenWay("s", reason)] * 5)
    await bench.run()
    assert bench.watch.verdict.state is VerdictState.UNKNOWN
    assert bench.watch.verdict.reason is UnknownReason(reason.value)


async def test_a_stream_never_looked_at_says_why_at_once() -> None:
    """Its first sample gave way: UNKNOWN for that reason."""
    bench = Bench(SampleGivenWay("s", GivenWayReason.OVERLOADED))
    await bench.run()
    assert bench.watch.verdict.reason is UnknownReason.OVERLOADED


async def test_silence_becomes_stale_and_then_what_the_policy_says() -> None:
    """Ticks alone turn CLEAR into UNKNOWN(stale), and fail closed after a while."""
    bench = Bench(0.1)
    await bench.run()
    bench.clock.advance(4.0)
    bench.pipeline.tick(bench.watch)
    assert bench.watch.verdict.reason is UnknownReason.STALE
    bench.clock.advance(5.0)
    bench.pipeline.tick(bench.watch)
    await bench.pay()
    (action,) = bench.publisher.decided
    assert (action.kind, action.reason.unknown) == ("escalate", UnknownReason.STALE)


async def test_time_is_accounted_to_the_verdict_that_held() -> None:
    """Coverage seconds add up to the time watched, by verdict and reason."""
    bench = Bench(0.1)
    bench.clock.advance(2.0)
    await bench.run()
    bench.clock.advance(2.0)
    bench.pipeline.tick(bench.watch)
    name = "sidecar_coverage_seconds_total"
    assert bench.counted(name, verdict="unknown", reason="starting") == 3.0
    assert bench.counted(name, verdict="clear", reason="") == 2.0


async def test_a_lost_stream_is_unknown_at_once() -> None:
    """The supervisor's word is taken without waiting for staleness."""
    bench = Bench(0.1)
    await bench.run()
    now = bench.clock.monotonic()
    bench.pipeline.report_status(
        bench.watch,
        StreamStatus(StreamState.WAITING, now, "gone", UnknownReason.UNREACHABLE),
    )
    assert bench.watch.verdict.reason is UnknownReason.UNREACHABLE
    assert bench.watch.status.message == "gone"


async def test_a_reversal_is_on_disk_before_it_counts() -> None:
    """It has an id of its own; a failing disk leaves everything as it was."""
    bench = Bench(0.9, 0.9)
    await bench.run()
    bench.publisher.failure = PublishError("disk")
    with pytest.raises(PublishError):
        await bench.pipeline.reverse(bench.watch)
    assert bench.watch.cut
    bench.publisher.failure = None
    action_id = await bench.pipeline.reverse(bench.watch)
    assert action_id == list(bench.publisher.actions)[-1]
    assert bench.publisher.decided[-1].kind is ActionKind.REVERSE_TAKEDOWN
    assert not bench.watch.cut


async def test_finish_waits_for_the_sample_in_flight_and_takes_no_more() -> None:
    """At the stop the sample on the engine is still decided; the next is not taken."""
    bench = Bench(0.9, 0.9, 0.9)
    bench.classifier.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.run())
        await bench.classifier.asked.wait()
        finished = group.create_task(bench.pipeline.finish())
        assert not finished.done()
        bench.classifier.hold.set()
    assert bench.watch.samples == 1
    assert len(bench.publisher.decided) == 1


async def test_a_reversal_waits_for_an_earlier_action() -> None:
    """While a takedown is not on disk its reversal is refused, or it would overtake."""
    bench = Bench(0.9, 0.9)
    await bench.pipeline.watch(bench.watch, NoSource())
    with pytest.raises(PublishError, match="try again"):
        await bench.pipeline.reverse(bench.watch)
    await bench.pay()
    await bench.pipeline.reverse(bench.watch)


async def test_a_reversal_bears_what_happens_while_it_is_written() -> None:
    """A reload meanwhile holds: the state is of the new policy, with all its rules."""
    bench = Bench(0.9, 0.9, 0.1)
    bench.sampler.count = 2
    await bench.run()
    longer = Policy("q", Selector(), (*POLICY.rules, MORE), None, 3)
    bench.publisher.meanwhile = lambda: bench.pipeline.repolicy(bench.watch, longer)
    await bench.pipeline.reverse(bench.watch)
    bench.sampler.count = 1
    await bench.run()
    assert len(bench.watch.state.windows) == 3
    assert bench.watch.verdict.state is VerdictState.CLEAR


async def test_a_reversal_loses_no_action_that_falls_due_with_it() -> None:
    """The unknown rule fires at the same instant: both are said."""
    bench = Bench(0.9, 0.9)
    await bench.run()
    bench.pipeline.report_status(
        bench.watch, StreamStatus(StreamState.WAITING, 0.0, "", UnknownReason.NO_FRAMES)
    )
    bench.clock.advance(6.0)
    await bench.pipeline.reverse(bench.watch)
    await bench.pay()
    kinds = [action.kind for action in bench.publisher.decided]
    assert kinds[-2:] == [ActionKind.REVERSE_TAKEDOWN, ActionKind.ESCALATE]


async def test_letting_go_of_a_stream_is_no_reason_to_act_on_it() -> None:
    """While the sidecar stops, neither ticks nor lost connections make UNKNOWN."""
    bench = Bench(0.1)
    await bench.run()
    await bench.pipeline.finish()
    bench.pipeline.report_status(
        bench.watch, StreamStatus(StreamState.WAITING, 0.0, "", UnknownReason.NO_FRAMES)
    )
    bench.clock.advance(60.0)
    bench.pipeline.tick(bench.watch)
    assert bench.watch.verdict.state is VerdictState.CLEAR
    assert not bench.owed


async def test_a_stop_does_not_make_a_stream_unknown() -> None:
    """What the closing engine says to a waiting sample is not published."""
    bench = Bench(EngineError("stopping"))
    await bench.pipeline.finish()
    await bench.run()
    assert bench.watch.verdict.reason is UnknownReason.STARTING


async def test_the_end_empties_the_retained_verdict() -> None:
    """A stream that is gone has no verdict."""
    bench = Bench()
    bench.pipeline.end(bench.watch)
    assert bench.publisher.verdicts[-1] is None


async def test_another_policy_takes_over_the_windows() -> None:
    """On reload an unchanged rule goes on counting."""
    bench = Bench(0.9, 0.9)
    bench.sampler.count = 1
    await bench.run()
    other = Policy("q", Selector(), POLICY.rules, None, 3)
    bench.pipeline.repolicy(bench.watch, other)
    await bench.run()
    assert [action.policy.name for action in bench.publisher.decided] == ["p", "q"]


def test_risk_is_the_highest_score_that_is_not_safe() -> None:
    """`safe` never triggers a burst; no categories are no risk."""
    by = {
        Category.SAFE: LabelScore(0.9, "a"),
        Category.DRUGS: LabelScore(0.2, "b"),
        Category.OTHER: LabelScore(0.3, "c"),
    }
    assert risk_of(Scores("s", by, MODEL, 0.0)) == 0.3
    assert risk_of(Scores("s", {}, MODEL, 0.0)) == 0.0


async def test_a_verdict_names_the_model_that_decided() -> None:
    """Of several models the one whose score was the hit, and all who looked."""
    bench = Bench(0.0, 0.9)
    other = ModelRef("other", "sha256:1")
    bench.classifier.other = other
    await bench.run()
    both = (MODEL, other)
    assert bench.publisher.models == [(None, ()), (MODEL, both), (other, both)]
