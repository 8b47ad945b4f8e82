"""A sidecar that is told to records what it sees, and shows when it cannot."""

import asyncio
from pathlib import Path

import pytest

from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.reader import Recording
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
