"""The last hours out of a folder of recordings, newest first; every call blocks."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sidecar.errors import RecordingError
from sidecar.log import get_logger
from sidecar.recording.column_log import ColumnLog
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.lines import Session
from sidecar.recording.parser import Tally
from sidecar.recording.reader import RecordingFile, entries_in, files_in, head_of

log = get_logger(__name__)

_AT_A_TIME: Final = 25  # entries, two milliseconds, between two breaths
Breathe = Callable[[], bool]
"""Lets others run for a moment; True: nobody wants the rest any more."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which part of the past is wanted.

    Attributes:
        folder: Where the recordings are.
        session: The one that runs now: what others of the same sidecar recorded before.
        began_at: Its second 0, on the clock that the answer's instants are on.
        max_age_s: Nothing older than this, by `began_at`.
        max_samples: Of one file no more than about so many, the newest.
    """

    folder: Path
    session: Session
    began_at: float
    max_age_s: float
    max_samples: int


@dataclass(slots=True)
class _Reading:
    """How far the reading has come, from the newest file backwards.

    Attributes:
        ceiling: What was told later than this is of a clock that went back since: the
            next session's second 0.
        lowest: The second 0 of the sessions that were come to.
        sessions: Their ids, the newest first.
        later: By session, from 1: whose entries its files had that were read already.
    """

    ceiling: float
    lowest: float
    sessions: list[str] = field(default_factory=list)
    later: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))


def stretches(reach: Reach, breathe: Breathe) -> Iterator[ColumnLog]:
    """One file's samples after the other's, each before all that came already.

    A file that cannot be read is told in the log, and the one before it comes next.
    """
    reading = _Reading(reach.began_at, reach.began_at)
    for file in _files(reach):
        ago_s = (reach.session.epoch - file.session.epoch).total_seconds()
        offset_s = reach.began_at - ago_s
        if file.session.id not in reading.sessions:
            reading.ceiling = reading.lowest
            reading.lowest = min(reading.lowest, offset_s)
            reading.sessions.append(file.session.id)
        found = ColumnLog(reach.max_samples)
        entries = entries_in(file, Tally(), len(reading.sessions), offset_s)
        enough = _take(found, _told(entries), reading, reach, breathe)
        yield found
        if enough:
            return


def _files(reach: Reach) -> list[RecordingFile]:
    """Those of the same sidecar's earlier runs, newest first."""
    mine = reach.session
    found = []
    for path in files_in([reach.folder]) if reach.folder.is_dir() else ():
        try:
            head = head_of(path)
        except RecordingError as exc:
            log.warning("past_unreadable", error=str(exc))
            continue
        if head is None or head.session.id == mine.id:
            continue
        if (head.session.site, head.session.sidecar) == (mine.site, mine.sidecar):
            found.append(head)
    found.sort(key=lambda f: (f.session.epoch, f.session.id, f.number), reverse=True)
    return found


def _told(entries: Iterable[Entry]) -> Iterator[Entry]:
    """What can be read of them."""
    try:
        yield from entries
    except RecordingError as exc:
        log.warning("past_unreadable", error=str(exc))


def _take(
    found: ColumnLog,
    entries: Iterable[Entry],
    reading: _Reading,
    reach: Reach,
    breathe: Breathe,
) -> bool:
    """Fills `found`; True if nothing before this file is wanted."""
    floor = reach.began_at - reach.max_age_s
    alive: dict[str, Entry] = {}
    session = len(reading.sessions)
    seen = reading.later[session]
    last, old = floor, False
    for number, entry in enumerate(entries):
        if number % _AT_A_TIME == 0 and breathe():
            return True
        if entry.at < floor:
            old = True
            continue
        if entry.at > reading.ceiling:
            continue
        found.add(entry)
        last = max(last, entry.at)
        if entry.kind is EntryKind.ENDED:
            alive.pop(entry.stream.id, None)
            seen.add(entry.stream.id)
        else:
            alive[entry.stream.id] = entry
    for name, one in alive.items():
        if name not in seen:  # its sidecar was killed: nobody looked from then on
            found.add(Entry(EntryKind.ENDED, one.stream, last, session=session))
    seen.update(alive)
    return old
