"""A folder of recordings of bounded size and age; every call blocks."""

import io
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from sidecar.recording.entry import Entry
from sidecar.recording.lines import Session, Writer, close_line

_PREFIX: Final = "sidecar-"
_LEVEL: Final = 1
_GZIP: Final = 31  # zlib's number for the container


@dataclass(frozen=True, slots=True)
class FolderSettings:
    """How much is kept.

    Attributes:
        path: The folder; it is made, for the owner only.
        max_file_bytes: A file that has reached this is followed by the next.
        max_file_s: So is one that is this old.
        max_bytes: Of all files together; the oldest go first.
        max_age_s: Files last written to longer ago go.
        packed: By gzip.
    """

    path: Path
    max_file_bytes: int = 64 << 20
    max_file_s: float = 3600.0
    max_bytes: int = 2 << 30
    max_age_s: float = 7 * 86_400.0
    packed: bool = True


class Folder:
    """Writes one session's lines; deletes only files that bear its names.

    Raises:
        OSError: By every method, as the disk says.
    """

    def __init__(self, settings: FolderSettings, session: Session) -> None:
        self._settings = settings
        self._session = session
        self._number = 0
        self._file: _File | None = None
        self._opened_at: datetime | None = None
        self.writer: Writer | None = None

    @property
    def path(self) -> Path:
        """Where they are."""
        return self._settings.path

    def ready(self, now: datetime) -> Writer:
        """The maker of the lines for the file that is open now, or was just opened."""
        if self._file is not None and self._is_full(now):
            self.close("rotated")
        if self._file is None or self.writer is None:
            self._open(now)
        assert self.writer is not None
        return self.writer

    def write(self, lines: Iterable[str]) -> None:
        """Adds lines to the file that is open; they are on their way to the disk."""
        assert self._file is not None
        self._file.write("".join(f"{line}\n" for line in lines))

    def flush(self) -> None:
        """Whatever was written is with the operating system, and can be read."""
        if self._file is not None:
            self._file.flush()

    def close(self, why: str) -> None:
        """Ends the file that is open, if one is, telling why."""
        file, self._file = self._file, None
        self.writer = None
        if file is None:
            return
        try:
            file.write(close_line(why) + "\n")
        finally:
            file.close()

    def abandon(self) -> None:
        """Lets go of the file that is open, however it is."""
        file, self._file = self._file, None
        self.writer = None
        if file is not None:
            file.abandon()

    def prune(self, now: datetime) -> None:
        """Deletes what is too old, then the oldest of what is too much."""
        settings = self._settings
        left = settings.max_bytes
        files = sorted(self._mine(), key=lambda f: f.name, reverse=True)
        for path in files:
            facts = path.stat()
            left -= facts.st_size
            if self._file is not None and path == self._file.path:
                continue
            age_s = now.timestamp() - facts.st_mtime
            if left < 0 or age_s > settings.max_age_s:
                path.unlink(missing_ok=True)

    def _mine(self) -> list[Path]:
        folder = self._settings.path
        if not folder.is_dir():
            return []
        return [
            path
            for path in folder.iterdir()
            if path.name.startswith(_PREFIX)
            and path.name.endswith((".jsonl", ".jsonl.gz"))
        ]

    def _is_full(self, now: datetime) -> bool:
        assert self._file is not None
        assert self._opened_at is not None
        age_s = (now - self._opened_at).total_seconds()
        settings = self._settings
        return (
            self._file.size >= settings.max_file_bytes or age_s >= settings.max_file_s
        )

    def _open(self, now: datetime) -> None:
        settings = self._settings
        settings.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.prune(now)
        self._number += 1
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        suffix = ".jsonl.gz" if settings.packed else ".jsonl"
        name = f"{_PREFIX}{stamp}-{self._session.id[:8]}-{self._number:05}{suffix}"
        self._file = _File(settings.path / name, packed=settings.packed)
        self._opened_at = now
        self.writer = Writer(self._session, self._number)
        self.write([self.writer.head()])


class OneFile:
    """A recording in a single file; made anew, packed if its name ends in `.gz`.

    Raises:
        OSError: By every method, as the disk says.
    """

    def __init__(self, path: Path, session: Session) -> None:
        path.unlink(missing_ok=True)
        self._file = _File(path, packed=path.suffix == ".gz")
        self._writer = Writer(session)
        self._put([self._writer.head()])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.abandon()

    def write(self, entry: Entry) -> None:
        """Adds an entry."""
        self._put(self._writer.lines(entry))

    def close(self, why: str) -> None:
        """Ends it, telling why."""
        self._put([close_line(why)])
        self._file.close()

    def _put(self, lines: Iterable[str]) -> None:
        self._file.write("".join(f"{line}\n" for line in lines))


class _File:
    """A file, readable by its owner only, perhaps packed as it is written."""

    def __init__(self, path: Path, *, packed: bool) -> None:
        self.path = path
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._raw = io.FileIO(number, "w")
        self._packer = zlib.compressobj(_LEVEL, wbits=_GZIP) if packed else None
        self.size = 0

    def write(self, text: str) -> None:
        data = text.encode()
        self._put(data if self._packer is None else self._packer.compress(data))

    def flush(self) -> None:
        if self._packer is not None:
            self._put(self._packer.flush(zlib.Z_SYNC_FLUSH))

    def close(self) -> None:
        try:
            if self._packer is not None:
                self._put(self._packer.flush())
        finally:
            self._raw.close()

    def abandon(self) -> None:
        self._raw.close()

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = self._raw.write(view) or 0
            self.size += written
            view = view[written:]
