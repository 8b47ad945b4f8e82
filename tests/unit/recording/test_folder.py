"""Recordings are rotated, and bounded in size and age; nothing else is deleted."""

import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.recording.folder import Folder, FolderSettings
from sidecar.recording.parser import parse_head
from sidecar.recording.reader import Recording
from tests.unit.recording.test_lines import SESSION

NOW = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)


def _folder(path: Path, **keys: float) -> Folder:
    settings = replace(FolderSettings(path, packed=False), **keys)  # type: ignore[arg-type]
    return Folder(settings, SESSION)


def _names(path: Path) -> list[str]:
    return sorted(p.name for p in path.iterdir())


@pytest.mark.parametrize("packed", [False, True])
def test_lines_can_be_read_after_each_flush(tmp_path: Path, *, packed: bool) -> None:
    """Even while the file is open: a killed process loses what came after."""
    folder = Folder(FolderSettings(tmp_path, packed=packed), SESSION)
    folder.ready(NOW)
    folder.write(['{"kind":"lost","entries":1}'])
    folder.flush()
    recording = Recording([tmp_path])
    assert list(recording) == []
    assert recording.tally.lost == 1
    folder.close("stopped")
    folder.close("stopped")
    assert list(recording) == []
    assert recording.tally.truncated == 0


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    """As all that is known of people's streams."""
    folder = _folder(tmp_path / "new")
    folder.ready(NOW)
    folder.close("stopped")
    (path,) = (tmp_path / "new").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_full_or_old_file_is_followed_by_the_next(tmp_path: Path) -> None:
    """Each stands alone: it has a head, and introduces its streams itself."""
    folder = _folder(tmp_path, max_file_bytes=300, max_file_s=60)
    first = folder.ready(NOW)
    assert folder.ready(NOW + timedelta(seconds=59)) is first
    second = folder.ready(NOW + timedelta(seconds=60))
    assert second is not first
    folder.write(["x" * 300])
    assert folder.ready(NOW + timedelta(seconds=61)) is not second
    folder.close("stopped")
    files = sorted(tmp_path.iterdir())
    heads = [parse_head(path.read_text().split("\n")[0]) for path in files]
    assert heads == [(SESSION, 1), (SESSION, 2), (SESSION, 3)]


def test_the_oldest_files_go_first(tmp_path: Path) -> None:
    """Size and age are bounded; the file being written stays, and so do others'."""
    folder = _folder(tmp_path, max_bytes=2500, max_age_s=3600)
    others = ["notes.txt", "sidecar-x.txt", "holiday.jsonl"]
    for name in others:
        (tmp_path / name).write_bytes(b"x" * 9000)
        os.utime(tmp_path / name, (0, 0))
    for hour, age_s in ((1, 0), (2, 0), (3, 0), (4, 4000)):
        path = tmp_path / f"sidecar-2026112{hour}T000000Z-0-00001.jsonl"
        path.write_bytes(b"x" * 1000)
        at = NOW.timestamp() - age_s
        os.utime(path, (at, at))
    folder.ready(NOW)
    kept = [n for n in _names(tmp_path) if n not in others]
    assert [n[:17] for n in kept] == ["sidecar-20261123T", "sidecar-20261127T"]
    folder.prune(NOW + timedelta(days=1))
    assert len(_names(tmp_path)) == len(others) + 1
    folder.close("stopped")
    assert {*others} <= {*_names(tmp_path)}


def test_pruning_needs_no_folder(tmp_path: Path) -> None:
    """Nothing was recorded yet."""
    folder = _folder(tmp_path / "none")
    folder.prune(NOW)
    folder.flush()
    folder.abandon()
    assert not (tmp_path / "none").exists()
