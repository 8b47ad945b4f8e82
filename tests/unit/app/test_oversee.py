"""Looking at a running sidecar's streams and stepping in, by API and by MQTT."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.app.build import App
from sidecar.app.keepsakes import Keepsakes
from sidecar.decide.policy import PolicyState, initial, observe
from sidecar.decide.policyset import PolicySet
from sidecar.domain import (
    Category,
    Delivery,
    LabelScore,
    ModelRef,
    Outcome,
    Scores,
    SourceKind,
    Stream,
    UnknownReason,
)
from sidecar.errors import AuditFailed
from sidecar.oversight.outcomes import Label
from sidecar.publish.inbound import Reviewed
from sidecar.web.look_schemas import PauseRequest
from sidecar.web.problems import RequestRefused, UnknownAction, UnknownStream
from tests.unit.app.app_house import app_house
from tests.unit.publish.strategies import takedown

pytestmark = pytest.mark.anyio
X = Category.SEXUAL_EXPLICIT
STREAM = Stream("room-1", SourceKind.WHIP)


class Told:
    """Tells the onlookers of a stream, as the pipeline would."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.house = app.front.overseer.house
        self.policy = app.streams.policy_of(STREAM)
        self.now = app.factory.clock.monotonic()
        self.state: PolicyState = initial(self.policy, self.now)
        self.onlookers = (self.house.timelines, self.house.feed, self.house.shadow)
        for onlooker in self.onlookers:
            onlooker.began(STREAM, self.policy, self.now)

    def saw(self, score: float, ago_s: float = 0.0) -> None:
        """A sample, captured `ago_s` ago."""
        at = self.now - ago_s
        by = {X: LabelScore(score, "x"), Category.SAFE: LabelScore(1 - score, "ok")}
        scores = Scores(STREAM.id, by, ModelRef("m", "sha256:0"), at, decode_s=0.004)
        step = observe(self.policy, STREAM.id, self.state, scores, at)
        self.state = step.state
        for onlooker in self.onlookers:
            onlooker.scored(STREAM, self.policy, scores, step, at)

    async def taken_down(self) -> str:
        """Two hits; the id of the takedown, which is on disk."""
        self.saw(0.95, ago_s=2.0)
        self.saw(0.97, ago_s=1.0)
        (item,) = self.house.feed.of(STREAM.id)
        publisher = self.app.publisher
        return await publisher.publish_action(item.action, STREAM)


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    """A sidecar under watch of one stream that exists for the onlookers only."""
    async with app_house(tmp_path) as app:
        yield Told(app)


async def test_a_story_says_what_was_seen_and_why(told: Told) -> None:
    """Scores, verdicts, the takedown and its delivery, thresholds and legs."""
    told.saw(0.2, ago_s=5.0)
    action_id = await told.taken_down()
    story = told.app.front.overseer.story("room-1", 10.0)
    assert story.live
    assert (story.policy, story.dry_run) == ("default", False)
    assert story.series.scores == {"sexual.explicit": [0.2, 0.95, 0.97]}
    assert story.series.at[0] == pytest.approx(story.now - 5.0, abs=2.0)
    assert [turn.verdict for turn in story.turns] == ["clear", "violating"]
    (action,) = story.actions
    assert (action.id, action.delivery) == (action_id, Delivery.WAITING)
    assert (action.rule, action.hits, action.score) == ("cut", 2, 0.97)
    assert [e.score for e in action.evidence] == [0.95, 0.97]
    assert story.legs_ms["decode"] == 4.0
    assert story.standings == []  # no watch stands behind these onlookers
    assert story.pause is None


async def test_a_story_of_long_is_thinned_to_its_peaks(told: Told) -> None:
    """However many samples there are, the highest is among the points."""
    for number in range(1500):
        told.saw(0.99 if number == 777 else 0.1, ago_s=1500.0 - number)
    story = told.app.front.overseer.story("room-1", 60.0)
    (scores,) = story.series.scores.values()
    assert len(scores) <= 600
    assert max(score or 0 for score in scores) == 0.99


async def test_what_is_not_known_is_said(told: Told) -> None:
    """No stream, no action, no pause of that name."""
    overseer = told.app.front.overseer
    with pytest.raises(UnknownStream):
        overseer.story("nobody", 1.0)
    with pytest.raises(UnknownStream):
        await overseer.resume("room-1")
    with pytest.raises(UnknownAction):
        await overseer.review("none", Outcome.CLEAR, "r")


async def test_a_pause_holds_over_a_restart(told: Told, tmp_path: Path) -> None:
    """It is on disk, the pipeline knows, and it can be taken back."""
    overseer, pipeline = told.app.front.overseer, told.app.pipeline
    view = await overseer.pause(
        "room-1", PauseRequest(minutes=5, reason="an interview"), "desk1"
    )
    assert view.by == "desk1"
    assert pipeline.is_paused("room-1")
    assert not pipeline.is_paused("room-2")
    value = told.app.factory.stats.registry.get_sample_value
    assert value("sidecar_paused_streams") == 1
    kept = await asyncio.to_thread(Keepsakes(tmp_path, "sidecar").pauses)
    assert [pause.stream_id for pause in kept] == ["room-1"]
    pause = overseer.story("room-1", 1.0).pause
    assert pause is not None
    assert pause.reason == "an interview"
    await overseer.resume("room-1")
    assert not pipeline.is_paused("room-1")
    assert await asyncio.to_thread(Keepsakes(tmp_path, "sidecar").pauses) == []


async def test_a_pause_that_cannot_be_is_refused(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what would be accepted."""
    monkeypatch.setattr("sidecar.oversight.pauses.LONGEST_S", 60.0)
    with pytest.raises(RequestRefused, match="within"):
        await told.app.front.overseer.pause(
            "a", PauseRequest(minutes=5, reason="too long"), "desk1"
        )


async def test_an_outcome_becomes_a_label_and_a_rate(
    told: Told, tmp_path: Path
) -> None:
    """Cleared: `safe` for the stretch of its evidence; the last word holds."""
    action_id = await told.taken_down()
    overseer = told.app.front.overseer
    await overseer.review(action_id, Outcome.CONFIRM, "desk1")
    view = await overseer.review(action_id, Outcome.CLEAR, "desk2")
    assert (view.outcome, view.outcome_by) == (Outcome.CLEAR, "desk2")
    labels = await asyncio.to_thread((tmp_path / "labels-sidecar.csv").read_text)
    header, row = labels.splitlines()
    assert header == "stream,start,end,category"
    assert row.startswith("room-1,")
    assert row.endswith(",safe")
    value = told.app.factory.stats.registry.get_sample_value
    rule = {"policy": "default", "rule": "cut"}
    assert value("sidecar_overturn_ratio", rule) == 1.0
    assert value("sidecar_outcomes_total", {**rule, "outcome": "confirm"}) == 1


async def test_outcomes_come_over_mqtt(told: Told, tmp_path: Path) -> None:
    """Known actions get their label and an audit entry; unknown ones are counted."""
    action_id = await told.taken_down()
    overseer = told.app.front.overseer
    told.app.front.overseer.heard(Reviewed("unknown", Outcome.CLEAR, "r-1"))
    overseer.heard(Reviewed(action_id, Outcome.CONFIRM, "r-1"))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(overseer.run())
        async with asyncio.timeout(30):
            while overseer.deeds.recent()[0].deed.act != "outcome":  # noqa: ASYNC110 a file's turn
                await asyncio.sleep(0.01)
        running.cancel()
    deed = overseer.deeds.recent()[0].deed
    assert (deed.actor, deed.about, deed.detail["by"]) == ("mqtt", action_id, "r-1")
    labels = await asyncio.to_thread((tmp_path / "labels-sidecar.csv").read_text)
    assert ",sexual.explicit" in labels
    lost = {"stage": "oversight", "reason": "unknown_action"}
    stats = told.app.factory.stats
    assert stats.registry.get_sample_value("sidecar_lost_total", lost) == 1


async def test_a_flood_of_outcomes_is_bounded(told: Told) -> None:
    """What does not fit is counted."""
    for _ in range(1003):
        told.app.front.overseer.heard(Reviewed("x", Outcome.CLEAR, "r"))
    lost = {"stage": "oversight", "reason": "outcomes"}
    stats = told.app.factory.stats
    assert stats.registry.get_sample_value("sidecar_lost_total", lost) == 3


async def test_a_shadow_is_shown_and_counted(told: Told) -> None:
    """What it would have done, by stream, in the story and in the metrics."""
    rule = replace(told.policy.rules[0], enter=0.6, hits=2)
    milder = replace(told.policy, name="milder", rules=(rule,))
    told.house.shadow.take(PolicySet((milder,)), told.app.streams, told.now)
    told.saw(0.7, ago_s=2.0)
    told.saw(0.7, ago_s=1.0)
    story = told.app.front.overseer.story("room-1", 1.0)
    assert story.actions == []
    (would,) = story.shadow
    assert (would.policy, would.rule, would.action) == ("milder", "cut", "takedown")
    assert told.house.shadow_count("room-1") == 1
    assert told.house.shadow_head() == {"policies": ["milder"], "actions": 1}
    labels = {"action": "takedown", "category": "sexual.explicit"}
    stats = told.app.factory.stats
    name = "sidecar_shadow_actions_total"
    assert stats.registry.get_sample_value(name, labels) == 1
    for onlooker in told.onlookers:
        step = observe(told.policy, STREAM.id, told.state, _none(told), told.now)
        reason = UnknownReason.STALE
        onlooker.unseen(STREAM, told.policy, reason, step, told.now)
        onlooker.ticked(STREAM, told.policy, step, told.now)
        onlooker.cleared(STREAM, told.policy, step, told.now)
        onlooker.ended(STREAM, told.now)
    assert told.house.shadow_count("room-1") == 0
    told.house.shadow.take(None, told.app.streams, told.now)
    assert told.house.shadow_head() is None


def _none(told: Told) -> Scores:
    return Scores(STREAM.id, {}, ModelRef("m", "sha256:0"), told.now)


async def test_the_feed_tells_of_streams_actions_and_faults(told: Told) -> None:
    """One row a stream, and the state of the whole."""
    rows = told.app.front.live._source
    await told.taken_down()
    assert rows.rows() == {}
    assert rows.spark("room-1") == [0.95, 0.97]
    assert rows.spark("nobody") == []
    version, actions = rows.actions(0)
    assert [action["rule"] for action in actions] == ["cut"]
    assert rows.actions(version) == (version, [])
    head = rows.head()
    assert head["sidecar"] == "sidecar"
    assert "engine" not in [fault["component"] for fault in head["faults"]]
    assert head["shadow"] is None
    json.dumps(head)


def test_pauses_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    """A file that somebody broke stops nothing; it is told in the log."""
    for text in ("", "[", "{}x", '[{"stream_id": "a"}]', "[1]", '[{"until": "x"}]'):
        (tmp_path / "pauses-s.json").write_text(text)
        assert list(Keepsakes(tmp_path, "s").pauses()) == []


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path, told_label: Label) -> None:
    """As an error that says which file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditFailed, match=r"labels-s\.csv"):
        Keepsakes(tmp_path / "file", "s").keep_label(told_label)


@pytest.fixture
def told_label() -> Label:
    """One."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Label("a", at, at, X)


async def test_what_an_earlier_process_left_is_on_the_page(tmp_path: Path) -> None:
    """After a crash: what is still due, under its id, and it goes on from there."""
    async with app_house(tmp_path) as app:
        now = app.publisher._clock.monotonic()
        action_id = await app.publisher.publish_action(takedown(at=now), STREAM)
    async with app_house(tmp_path) as app:
        house = app.front.overseer.house
        (item,) = house.feed.since(0)
        assert (item.id, item.delivery) == (action_id, Delivery.WAITING)
        assert item.stream.id == STREAM.id
        house.feed.moved(action_id, Delivery.DELIVERED, 1.0)
        assert item.delivery is Delivery.DELIVERED
