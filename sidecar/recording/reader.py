"""Recordings from files and folders; strict, but for what a killed writer leaves."""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from sidecar.errors import RecordingError
from sidecar.recording.entry import Entry
from sidecar.recording.lines import Session
from sidecar.recording.parser import MAX_LINE, Parser, Tally, parse_head

SUFFIXES: Final = (".jsonl", ".jsonl.gz")
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class RecordingFile:
    """A file and what its first line says."""

    path: Path
    session: Session
    number: int


class Recording:
    """Some files, in the order of their sessions; each reading starts anew.

    Attributes:
        files: Sorted by session and number.
        epoch: The wall time of second 0 of every entry: of the first session's start.
        tally: What the last reading came across.

    Raises:
        RecordingError: A file is not there, or no recording. Later, from `__iter__`:
            a line is not of the format; file and line number are named.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        heads = [head_of(path) for path in files_in(paths)]
        found = [head for head in heads if head is not None]
        self._headless = len(heads) - len(found)  # killed before the first line's end
        if not found:
            raise RecordingError("there is no recording (.jsonl or .jsonl.gz) here")
        found.sort(key=lambda f: (f.session.epoch, f.session.id, f.number, f.path))
        self.files: Sequence[RecordingFile] = found
        self.epoch: datetime = found[0].session.epoch.astimezone(UTC)
        self.tally = Tally(truncated=self._headless)

    def __iter__(self) -> Iterator[Entry]:
        self.tally = Tally(truncated=self._headless)
        ids: list[str] = []
        for file in self.files:
            if file.session.id not in ids:
                ids.append(file.session.id)
            offset_s = (file.session.epoch - self.epoch).total_seconds()
            parser = Parser(self.tally, ids.index(file.session.id), offset_s)
            yield from _entries(file.path, parser, self.tally)
            self.tally.files += 1


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The recordings that `paths` name: files, or folders of them."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.iterdir() if is_recording(p))
        else:
            found.append(path)
    return found


def is_recording(path: Path) -> bool:
    """Whether it has the name of one."""
    return path.name.endswith(SUFFIXES)


def head_of(path: Path) -> RecordingFile | None:
    """None if the file ends before its first line does. Raises RecordingError."""
    try:
        with _open(path) as lines:
            line = next(_whole_lines(lines, Tally()), None)
        if line is None:
            return None
        session, number = parse_head(line)
    except (OSError, zlib.error, ValueError) as exc:
        raise RecordingError(f"{path}:1: {_told(exc)}") from exc
    return RecordingFile(path, session, number)


def entries_in(
    file: RecordingFile, tally: Tally, session: int, offset_s: float
) -> Iterator[Entry]:
    """The entries of one file alone. Raises RecordingError, as `Recording` does.

    Args:
        file: Which.
        tally: Counts what it comes across.
        session: The entries' number for their session.
        offset_s: The session's second 0, on the clock of the entries' instants.
    """
    return _entries(file.path, Parser(tally, session, offset_s), tally)


def _entries(path: Path, parser: Parser, tally: Tally) -> Iterator[Entry]:
    number = 2
    try:
        with _open(path) as lines:
            lines.readline(MAX_LINE)
            for line in _whole_lines(lines, tally):
                entry = parser.take(line)
                if entry is not None:
                    yield entry
                number += 1
    except (OSError, zlib.error, ValueError) as exc:
        raise RecordingError(f"{path}:{number}: {_told(exc)}") from exc


def _whole_lines(lines: TextIO, tally: Tally) -> Iterator[str]:
    """Each line with its end; what a killed writer left of the last is counted."""
    while True:
        try:
            line = lines.readline(MAX_LINE)
        except EOFError:
            tally.truncated += 1  # compressed data breaks off: nothing follows
            return
        if not line:
            return
        if line.endswith("\n"):
            yield line
        elif len(line) >= MAX_LINE:
            raise ValueError(f"the line has more than {MAX_LINE} characters")
        else:
            tally.truncated += 1


def _open(path: Path) -> TextIO:
    raw = path.open("rb")
    try:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        if packed:
            # Closing the outer file closes the inner one too.
            opened = gzip.GzipFile(fileobj=raw, mode="rb")
            opened.myfileobj = raw  # type: ignore[assignment]
            return io.TextIOWrapper(opened, encoding="utf-8", newline="\n")
        return io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
    except BaseException:
        raw.close()
        raise


def _told(exc: BaseException) -> str:
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    if isinstance(exc, UnicodeDecodeError):
        return "not UTF-8 text"
    return str(exc) or "it breaks off"
