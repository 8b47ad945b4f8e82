"""Streams come and go while the sidecar runs, and leave nothing behind."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sidecar.app.spec import Origin, StreamExists, StreamSpec
from sidecar.app.streams import Spawn, Streams
from sidecar.clock import ManualClock
from sidecar.config.schema import StreamConfig
from sidecar.decide.policy import observe
from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.decide.rules import Rule
from sidecar.domain import (
    AccessUnit,
    ActionKind,
    Category,
    Codec,
    LabelScore,
    ModelRef,
    PictureFormat,
    Sample,
    Scores,
    SourceKind,
    Stream,
    StreamState,
    UnknownReason,
    Want,
)
from sidecar.errors import (
    EngineError,
    StreamUnavailable,
    StreamUnsupported,
    UnsupportedReason,
    WorkerLost,
)
from sidecar.ingest.source import AccessUnitSource
from sidecar.ingest.supervisor import SupervisorSettings
from sidecar.pipeline import Pipeline
from sidecar.publish.owed import Owed
from sidecar.sample.budget import Budget, BudgetSettings
from sidecar.sample.sampler import Sampler, SamplerSettings
from sidecar.stats import Stats
from tests.fakes.publisher import MemoryPublisher

pytestmark = pytest.mark.anyio

URL = "http://127.0.0.1:9/whep"
RULE = Rule("cut", Category.DRUGS, ActionKind.TAKEDOWN, 0.8, 0.3, 2, 3, 10, 60)
POLICIES = PolicySet((Policy("p", Selector(), (RULE,), None, 3),))


class SilentSource:
    """Connected, and nothing comes until it is ended."""

    codec = Codec.VP8

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def want(self, want: Want) -> None:
        """Nothing is delivered either way."""

    def rest(self, until: float) -> None:
        """There is nothing to leave out."""

    def request_keyframe(self) -> None:
        """There are none."""

    async def __aiter__(self) -> AsyncGenerator[AccessUnit, None]:
        """Ends when it is told to."""
        await self._ended.wait()
        units: tuple[AccessUnit, ...] = ()
        for unit in units:
            yield unit


class Door:
    """A connector whose stream lasts until `ended`; may fail instead."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.ended = asyncio.Event()
        self.entered = asyncio.Event()
        self.left = asyncio.Event()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AccessUnitSource]:
        """Counts coming and going."""
        self.entered.set()
        if self.error is not None:
            raise self.error
        try:
            yield SilentSource(self.ended)
        finally:
            self.left.set()


class NoEngine:
    """Never asked here."""

    async def classify(self, sample: Sample) -> Scores:
        """There is no engine."""
        raise EngineError(sample.stream_id)


class House:
    """Streams around a memory publisher."""

    def __init__(self, group: asyncio.TaskGroup, budget: Budget | None = None) -> None:
        self.clock = ManualClock(100.0)
        self.stats = Stats()
        self.publisher = MemoryPublisher(self.clock)
        owed = Owed(self.publisher, self.clock, self.stats)
        pipeline = Pipeline(NoEngine(), self.publisher, owed, self.clock, self.stats)
        self.executor = ThreadPoolExecutor(1)
        self.streams = Streams(
            pipeline, POLICIES, SupervisorSettings(), self.clock, self.stats, budget
        )
        self.tasks: list[asyncio.Task[None]] = []
        self.streams.open(self._spawner(group))

    def _spawner(self, group: asyncio.TaskGroup) -> Spawn:
        def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            self.tasks.append(group.create_task(work, name=name))
            return self.tasks[-1]

        return spawn

    def sampler(self, stream_id: str) -> Sampler:
        """A real one."""
        return Sampler(
            stream_id,
            SamplerSettings(),
            PictureFormat(2, 2),
            self.executor,
            self.clock,
            self.stats,
            lambda: 0.5,
        )

    def spec(
        self, door: Door, name: str = "s", *, reconnect: bool = False
    ) -> StreamSpec:
        """A stream behind `door`."""
        stream = Stream(name, SourceKind.WHEP)
        return StreamSpec(
            stream, door, self.sampler(name), Origin.API, reconnect=reconnect
        )

    def verdict(self, name: str = "s") -> bytes | None:
        """What the broker holds."""
        return self.publisher.retained.get(
            f"moderation/v1/default/streams/{name}/verdict"
        )


@asynccontextmanager
async def house(budget: Budget | None = None) -> AsyncIterator[House]:
    """Streams that are closed at the end, with every task gone."""
    async with asyncio.TaskGroup() as group:
        made = House(group, budget)
        yield made
        await made.streams.close()
    made.executor.shutdown()
    assert all(task.done() for task in made.tasks)


async def test_a_stream_is_added_watched_and_removed() -> None:
    """Removing returns once the connection is closed and the verdict emptied."""
    async with house() as h:
        door = Door()
        h.streams.add(h.spec(door))
        await door.entered.wait()
        assert h.verdict() is not None
        with pytest.raises(StreamExists):
            h.streams.add(h.spec(Door()))
        await h.streams.remove("s")
        assert door.left.is_set()
        assert len(h.streams) == 0
        assert not h.verdict()


async def test_a_stream_that_ends_leaves_by_itself() -> None:
    """Without reconnection the end of the source is the end of the watch."""
    async with house() as h:
        door = Door()
        h.streams.add(h.spec(door))
        await door.entered.wait()
        door.ended.set()
        await asyncio.wait(h.tasks)
        assert h.streams.get("s") is None
        assert not h.verdict()


async def test_a_stream_that_can_never_be_seen_stays_listed_and_says_why() -> None:
    """Unsupported input is UNKNOWN with its reason until somebody removes it."""
    async with house() as h:
        error = StreamUnsupported("s", "AV1", reason=UnsupportedReason.CODEC)
        h.streams.add(h.spec(Door(error)))
        await asyncio.wait(h.tasks)
        watch = h.streams.get("s")
        assert watch is not None
        assert watch.status.state is StreamState.UNSUPPORTED
        assert watch.verdict.reason is UnknownReason.UNDECODABLE_CODEC
        await h.streams.remove("s")
        assert h.streams.get("s") is None


async def test_one_failing_stream_does_not_touch_another() -> None:
    """Each has its own task and its own errors."""
    async with house() as h:
        good = Door()
        h.streams.add(h.spec(Door(StreamUnavailable("a", "gone")), "a"))
        h.streams.add(h.spec(good, "b"))
        await good.entered.wait()
        await asyncio.wait(h.tasks[:1])
        assert [watch.stream.id for watch in h.streams] == ["b"]
        assert not good.left.is_set()


async def test_a_publisher_that_was_turned_away_is_shown_for_a_while() -> None:
    """Its stream is live somewhere and not seen here: UNKNOWN, not absent."""
    async with house() as h:
        stream = Stream("s", SourceKind.WHIP)
        reason = UnknownReason.UNDECODABLE_CODEC
        h.streams.show_refused(stream, h.sampler("s"), reason, "AV1 only")
        watch = h.streams.get("s")
        assert watch is not None
        assert watch.verdict.reason is reason
        h.clock.advance(601)
        h.streams.tick()
        assert h.streams.get("s") is None


async def test_a_turned_away_publisher_may_come_back() -> None:
    """A proper session takes the refused one's place."""
    async with house() as h:
        stream = Stream("s", SourceKind.WHIP)
        reason = UnknownReason.UNDECODABLE_CODEC
        h.streams.show_refused(stream, h.sampler("s"), reason, "AV1 only")
        door = Door()
        h.streams.add(h.spec(door))
        await door.entered.wait()
        h.streams.show_refused(stream, h.sampler("s"), reason, "ignored while watched")
        watch = h.streams.get("s")
        assert watch is not None
        assert watch.status.state is StreamState.LIVE


async def test_a_publisher_whose_worker_is_lost_is_shown_until_it_returns() -> None:
    """It may well be live: UNKNOWN(worker_lost), until its next session."""
    async with house() as h:
        lost = h.spec(Door(WorkerLost("s", "w1 is gone")))
        h.streams.add(replace(lost, origin=Origin.WHIP))
        await asyncio.wait(h.tasks)
        watch = h.streams.get("s")
        assert watch is not None
        assert watch.verdict.reason is UnknownReason.WORKER_LOST
        door = Door()
        h.streams.add(h.spec(door))
        await door.entered.wait()
        back = h.streams.get("s")
        assert back is not None
        assert back.status.state is StreamState.LIVE


async def test_an_exchange_replaces_a_stream_in_order() -> None:
    """The old connection is closed before the new one opens; None only stops."""
    async with house() as h:
        old, new = Door(), Door()
        h.streams.add(h.spec(old))
        await old.entered.wait()
        h.streams.exchange("s", h.spec(new))
        await new.entered.wait()
        assert old.left.is_set()
        h.streams.exchange("s", None)
        await new.left.wait()


async def test_of_many_exchanges_at_once_the_newest_holds() -> None:
    """No stream is left behind that nobody lists and nobody can stop."""
    async with house() as h:
        doors = [Door() for _ in range(4)]
        h.streams.add(h.spec(doors[0]))
        await doors[0].entered.wait()
        for door in doors[1:]:
            h.streams.exchange("s", h.spec(door))
        await doors[-1].entered.wait()
        assert doors[0].left.is_set()
        assert not doors[1].entered.is_set()
        assert not doors[2].entered.is_set()
        assert len(h.streams) == 1
        await h.streams.remove("s")
        assert doors[-1].left.is_set()


async def test_nobody_slips_in_while_a_stream_is_replaced() -> None:
    """Until the new one stands, the id is taken."""
    async with house() as h:
        old, new = Door(), Door()
        h.streams.add(h.spec(old))
        await old.entered.wait()
        exchange = h.streams.exchange("s", h.spec(new))
        assert exchange is not None
        await old.left.wait()
        with pytest.raises(StreamExists):
            h.streams.add(h.spec(Door()))
        await asyncio.wait([exchange])
        assert len(h.streams) == 1


async def test_a_stream_removed_before_it_began_leaves_nothing() -> None:
    """Its task never ran, so it could not tidy up itself."""
    async with house() as h:
        h.streams.add(h.spec(Door()))
        await h.streams.remove("s")
        stream = Stream("s", SourceKind.WHIP)
        reason = UnknownReason.UNDECODABLE_CODEC
        h.streams.show_refused(stream, h.sampler("s"), reason, "AV1 only")
        assert h.streams.get("s") is not None


async def test_a_publisher_that_switched_to_a_bad_codec_may_come_back() -> None:
    """It stays listed as not seen, for a while, and its id stays free for it."""
    async with house() as h:
        error = StreamUnsupported("s", "AV1", reason=UnsupportedReason.CODEC)
        spec = replace(h.spec(Door(error)), origin=Origin.WHIP)
        h.streams.add(spec)
        await asyncio.wait(h.tasks)
        watch = h.streams.get("s")
        assert watch is not None
        assert watch.verdict.reason is UnknownReason.UNDECODABLE_CODEC
        better = Door()
        h.streams.add(h.spec(better))
        await better.entered.wait()


async def test_what_is_being_watched_is_known() -> None:
    """By its settings, also while it is still being exchanged."""
    async with house() as h:
        settings = StreamConfig.model_validate({"id": "s", "whep": {"url": URL}})
        spec = replace(h.spec(Door()), settings=settings)
        assert not h.streams.runs("s", settings)
        h.streams.exchange("s", spec)
        assert h.streams.runs("s", settings)
        assert h.streams.full("t", 1)
        assert not h.streams.full("s", 1)
        h.streams.exchange("s", None)
        assert not h.streams.runs("s", settings)


async def test_gauges_show_every_stream_under_its_state() -> None:
    """A tick fills the gauges from what is there now."""
    async with house() as h:
        door = Door()
        h.streams.add(h.spec(door))
        await door.entered.wait()
        h.clock.advance(7.0)
        h.streams.tick()
        value = h.stats.registry.get_sample_value
        assert value("sidecar_streams", {"state": "live"}) == 1
        labels = {"verdict": "unknown", "reason": "starting"}
        assert value("sidecar_verdict_streams", labels) == 1
        assert value("sidecar_unseen_age_seconds", {}) == 7.0


async def test_a_stream_that_was_cut_can_be_cleared_after_its_end() -> None:
    """It is remembered, up to a limit."""
    async with house() as h:
        door = Door()
        watch = h.streams.add(h.spec(door))
        await door.entered.wait()
        watch.cut = True
        await h.streams.remove("s")
        assert h.streams.gone.cut("s") == watch.stream
        assert h.streams.gone.cut("t") is None
        h.streams.gone.cleared("s")
        assert h.streams.gone.cut("s") is None


async def test_leaving_between_two_hits_does_not_begin_the_count_anew() -> None:
    """A publisher who comes back within minutes brings along what was seen."""
    async with house() as h:
        watch = h.streams.add(h.spec(Door()))
        scores = Scores(
            "s", {Category.DRUGS: LabelScore(0.9, "x")}, ModelRef("m", ""), 100.0
        )
        watch.state = observe(watch.policy, "s", watch.state, scores, 100.0).state
        await h.streams.remove("s")
        back = h.streams.add(h.spec(Door()))
        assert back.verdict.reason is UnknownReason.STARTING
        h.clock.advance(1.0)
        again = replace(scores, captured_at=101.0)
        step = observe(back.policy, "s", back.state, again, 101.0)
        assert [action.kind for action in step.actions] == [ActionKind.TAKEDOWN]
        await h.streams.remove("s")
        h.clock.advance(400.0)
        late = h.streams.add(h.spec(Door()))
        assert late.state.windows[0].seen == ()


async def test_live_streams_share_one_budget() -> None:
    """Each tick paces them; what was wanted and not granted is counted."""
    async with house(Budget(BudgetSettings(0.5, 100.0))) as h:
        doors = {name: Door() for name in "ab"}
        for name, door in doors.items():
            h.streams.add(h.spec(door, name))
            await door.entered.wait()
        intervals = {}
        for _ in range(3):
            h.streams.tick()
            h.clock.advance(1.0)
        for watch in h.streams:
            intervals[watch.stream.id] = watch.sampler.interval_s
        assert intervals == {"a": pytest.approx(4.0), "b": pytest.approx(4.0)}
        labels = {"stage": "sample", "reason": "budget"}
        lost = h.stats.registry.get_sample_value("sidecar_lost_total", labels)
        assert lost == pytest.approx(2 * 1.5)
