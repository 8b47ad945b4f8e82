"""The audit log's file: opened, checked, appended to, never written otherwise."""

import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.audit.chain import (
    START,
    Deed,
    Entry,
    Verified,
    chained,
    from_line,
    to_line,
    verify,
)
from sidecar.clock import Clock
from sidecar.errors import AuditFailed, ConfigError
from sidecar.log import get_logger

log = get_logger(__name__)

_SHOWN: Final = 500


class Journal:
    """Appends entries, each on disk before `write` returns. Thread-safe.

    The hash of each entry goes to the ordinary log too: shipped elsewhere, these are
    the checkpoints that a chain needs outside its machine.

    Args:
        path: For the owner only; a chain that does not hold is put aside, and the new
            one begins by saying so.
        clock: Stamps the entries.

    Raises:
        ConfigError: The file is out of reach.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._recent: deque[Entry] = deque(maxlen=_SHOWN)
        self._seq, self._head = 0, START
        self._file = -1
        try:
            broken = self._adopt()
        except OSError as exc:
            raise ConfigError(
                f"audit log {path}: {exc.strerror}; choose a folder that this user "
                "can write to (control.state_dir)"
            ) from exc
        if broken is not None:
            log.error("audit_broken", fault=broken.fault, entries=broken.entries)
            detail = {"fault": broken.fault or "", "head": broken.head}
            self.write(Deed("sidecar", "sidecar", "audit.broken", "", detail))

    def _adopt(self) -> Verified | None:
        """Takes up what is there; what was found if it does not hold."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        found, broken = check(self.path), None
        if found is not None and found.report.fault is not None:
            self.path.replace(_aside(self.path))
            broken = found.report
        elif found is not None:
            self._seq, self._head = found.report.entries, found.report.head
            self._recent.extend(found.recent)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o600)
        return broken

    def write(self, deed: Deed) -> Entry:
        """Puts `deed` on disk and gives its entry. Blocks: call it off the loop.

        Raises:
            AuditFailed: The disk does not take it; the chain is as it was.
        """
        with self._lock:
            at = _stamp(self._clock)
            entry = chained(deed, at, self._seq + 1, self._head)
            self._append(to_line(entry))
            self._seq, self._head = entry.seq, entry.hash
            self._recent.append(entry)
        log.info(
            "audit", seq=entry.seq, act=deed.act, actor=deed.actor, hash=entry.hash
        )
        return entry

    def _append(self, line: bytes) -> None:
        size = os.fstat(self._file).st_size
        try:
            whole = os.write(self._file, line) == len(line)
            os.fsync(self._file)
        except OSError as exc:
            os.ftruncate(self._file, size)
            raise AuditFailed(f"audit log {self.path}: {exc.strerror}") from exc
        if not whole:
            os.ftruncate(self._file, size)
            raise AuditFailed(f"audit log {self.path}: only a part was written")

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the last entry."""
        return self._seq, self._head

    def recent(self) -> Sequence[Entry]:
        """The last entries, newest first; at most 500."""
        return list(reversed(self._recent))

    def close(self) -> None:
        """Lets go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file holds: the report, the last entries that hold, and every hash."""

    report: Verified
    recent: Sequence[Entry]
    hashes: frozenset[str]


def check(path: Path) -> Checked | None:
    """Follows the chain in a file; None if there is none. Raises OSError."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        lines = file.readlines()
    report = verify(lines)
    good = [from_line(line) for line in lines[: report.entries]]
    return Checked(report, good[-_SHOWN:], frozenset(entry.hash for entry in good))


def _aside(path: Path) -> Path:
    """A name beside `path` that is free."""
    number = 1
    while (found := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    return found


def _stamp(clock: Clock) -> str:
    return clock.wall().isoformat(timespec="milliseconds").replace("+00:00", "Z")
