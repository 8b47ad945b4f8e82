"""Files and folders become streams, or a recording."""

from pathlib import Path

import pytest

from sidecar.errors import ConfigError
from sidecar.replay.inputs import inputs
from tests.unit.recording.test_lines import HEAD


def test_videos_are_named_after_their_files(tmp_path: Path) -> None:
    """As stream ids; two of the same name are told apart; other files are left."""
    names = ["b c.mp4", "a.webm", "notes.txt", "a.MKV", "ü.mp4"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "c.mp4").mkdir()
    found = inputs([tmp_path, tmp_path / "notes.txt"])
    assert found.recording is None
    assert {name: path.name for name, path in found.videos.items()} == {
        "a": "a.MKV",
        "a-2": "a.webm",
        "b-c": "b c.mp4",
        "-": "ü.mp4",
        "notes": "notes.txt",
    }


def test_recordings_are_read_together(tmp_path: Path) -> None:
    """Of a folder, or by name."""
    (tmp_path / "a.jsonl").write_text(HEAD + "\n")
    assert inputs([tmp_path]).recording is not None
    assert inputs([tmp_path / "a.jsonl"]).videos == {}


def test_what_cannot_be_replayed_is_told(tmp_path: Path) -> None:
    """Nothing there, nothing in it, both kinds at once."""
    with pytest.raises(ConfigError, match="there is no such file or folder"):
        inputs([tmp_path / "none"])
    with pytest.raises(ConfigError, match="no video"):
        inputs([tmp_path])
    (tmp_path / "a.jsonl").write_text(HEAD + "\n")
    (tmp_path / "a.mp4").touch()
    with pytest.raises(ConfigError, match="one after the other"):
        inputs([tmp_path])
