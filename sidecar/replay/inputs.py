"""What a replay is given: video files, folders of them, recordings."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sidecar.errors import ConfigError
from sidecar.recording.reader import Recording, is_recording
from sidecar.replay.virtual import EPOCH

VIDEOS: Final = frozenset({".mp4", ".webm", ".mkv", ".ts", ".mov", ".avi", ".m4v"})
_LONGEST: Final = 100


@dataclass(frozen=True, slots=True)
class Inputs:
    """Either videos, each with the stream id it stands for, or a recording.

    Attributes:
        videos: By stream id, in order.
        recording: None if there are videos.
    """

    videos: dict[str, Path]
    recording: Recording | None = None

    @property
    def epoch(self) -> datetime:
        """The wall time of second 0; videos have none."""
        return EPOCH if self.recording is None else self.recording.epoch


def inputs(paths: Iterable[Path]) -> Inputs:
    """What `paths` name.

    Raises:
        ConfigError: One is not there, there is nothing in them, or both kinds are.
        RecordingError: What looks like a recording is none.
    """
    files = [file for path in paths for file in _files(path)]
    recorded = [file for file in files if is_recording(file)]
    videos = [file for file in files if not is_recording(file)]
    if recorded and videos:
        raise ConfigError(
            f"{recorded[0]} is a recording and {videos[0]} is a video: replay them "
            "one after the other"
        )
    if recorded:
        return Inputs({}, Recording(recorded))
    named: dict[str, Path] = {}
    for video in videos:
        named[_free(_id_of(video), named)] = video
    return Inputs(named)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigError(f"{path}: there is no such file or folder")
    found = sorted(
        file
        for file in path.iterdir()
        if file.is_file() and (file.suffix.lower() in VIDEOS or is_recording(file))
    )
    if not found:
        known = ", ".join(sorted(VIDEOS))
        raise ConfigError(f"{path}: no video ({known}) or recording (.jsonl) in it")
    return found


def _id_of(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._~-]+", "-", path.stem)[:_LONGEST] or "video"


def _free(name: str, taken: dict[str, Path]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free
