"""A sidecar that is told to records what it sees, and shows when it cannot."""

import asyncio
from pathlib import Path

import pytest

from sidecar.decide.policy import initial, observe
from sidecar.decide.policyset import PolicySet
from sidecar.domain import (
    Category,
    LabelScore,
    ModelRef,
    Scores,
    SourceKind,
    Stream,
    VerdictState,
)
from sidecar.recording.column_log import columns_of
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.reader import Recording
from sidecar.recording.rerun import Rerun
from sidecar.recording.whatif import what_if
from tests.unit.app.app_house import app_house

pytestmark = pytest.mark.anyio


def _read(folder: Path) -> tuple[Recording, list[Entry]]:
    recording = Recording([folder])
    return recording, list(recording)


async def test_a_running_sidecar_records(tmp_path: Path) -> None:
    """A stream's beginning, why it was not seen, and its end; nothing else is kept."""
    folder = tmp_path / "recordings"
    (tmp_path / "a.mp4").touch()
    streams = [{"id": "a", "file": {"path": "a.mp4"}}]
    record = {"folder": "recordings"}
    async with app_house(tmp_path, record=record, streams=streams) as app:
        app.add_configured()
        task = next(iter(app.streams._tasks.values()))
        await task  # it is no video
    recording, entries = await asyncio.to_thread(_read, folder)
    kinds = [entry.kind for entry in entries]
    unseen = EntryKind.UNSEEN
    assert kinds == [EntryKind.BEGAN, unseen, unseen, EntryKind.ENDED]
    assert all(0 <= entry.at < 60 for entry in entries)
    assert recording.files[0].session.site == "default"


async def test_what_a_shadow_would_do_is_recorded_as_that(tmp_path: Path) -> None:
    """Apart from what was decided, and nobody who judges takes it for that."""
    rule = {"name": "cut", "category": "sexual.explicit", "action": "takedown"}
    numbers = {"enter": 0.5, "exit": 0.4, "hits": 2, "of": 3, "within_s": 5}
    shadow = [{"name": "stricter", "rules": [{**rule, **numbers}]}]
    folder = tmp_path / "recordings"
    record = {"folder": "recordings"}
    async with app_house(tmp_path, record=record, shadow=shadow) as app:
        stream = Stream("room-1", SourceKind.WHIP)
        policy = app.streams.policy_of(stream)
        state = initial(policy, app.factory.clock.monotonic())
        onlookers = app.pipeline._onlookers
        for onlooker in onlookers:
            onlooker.began(stream, policy, app.factory.clock.monotonic())
        for _ in range(2):
            at = app.factory.clock.monotonic()
            by = {Category.SEXUAL_EXPLICIT: LabelScore(0.7, "x")}
            scores = Scores(stream.id, by, ModelRef("m", "sha256:0"), at)
            step = observe(policy, stream.id, state, scores, at)
            state = step.state
            for onlooker in onlookers:
                onlooker.scored(stream, policy, scores, step, at)
    recording, entries = await asyncio.to_thread(_read, folder)
    *_, sample, last = entries
    (would,) = last.shadow
    assert (sample.kind, last.kind) == (EntryKind.SAMPLE, EntryKind.TICK)
    assert (would.policy, would.action, would.score) == ("stricter", "takedown", 0.7)
    assert last.at == sample.at
    assert not any(entry.decisions for entry in entries)
    assert recording.tally.shadow == 1
    lenient = PolicySet((policy,))
    assert not any(judged.step.actions for judged in Rerun(lenient).run(entries))
    assert not what_if(columns_of(entries), lenient)


async def test_after_a_restart_what_if_knows_the_runs_before(tmp_path: Path) -> None:
    """From the recordings; without any, it begins with the start."""
    record = {"folder": "recordings"}
    stream = Stream("room-1", SourceKind.WHIP)
    by = {Category.SEXUAL_EXPLICIT: LabelScore(0.7, "x")}
    async with app_house(tmp_path, record=record) as app:
        recorder, now = app.beat._recorder, app.factory.clock.monotonic()
        assert recorder is not None
        for at in (now, now + 0.001, now + 0.002):
            scores = Scores(stream.id, by, ModelRef("m", "sha256:0"), at)
            clear = VerdictState.CLEAR
            recorder.put(Entry(EntryKind.SAMPLE, stream, at, clear, scores=scores))
    async with app_house(tmp_path, record=record) as app:
        past, policies = app.front.desk.past, app.streams.policies
        assert (await past.compare(policies, policies)).samples == 0
        await past.recall()
        found = await past.compare(policies, policies)
        wall = app.factory.clock.wall().timestamp()
    assert (found.samples, found.streams) == (3, 1)
    assert found.since is not None
    assert wall - 60 < found.since <= wall
    async with app_house(tmp_path) as app:
        await app.front.desk.past.recall()
        assert len(app.front.desk.past.log) == 0


async def test_a_failing_recorder_shows_and_stays_ready(tmp_path: Path) -> None:
    """Moderation goes on: the status names it, readiness does not change."""
    (tmp_path / "recordings").write_text("in the way")
    async with app_house(tmp_path, record={"folder": "recordings"}) as app:
        recorder = app.beat._recorder
        assert recorder is not None
        app.beat.beat()
        assert "recording_failing" not in (app.beat._said or ())
        recorder.fault = "No space left on device"
        app.beat.beat()
        assert "recording_failing" in (app.beat._said or ())


async def test_nothing_is_recorded_unless_asked(tmp_path: Path) -> None:
    """Safe by default."""
    async with app_house(tmp_path) as app:
        assert app.beat._recorder is None
    assert not (tmp_path / "recordings").exists()
