"""Entries of a live sidecar to files, in a thread of its own; never in the way."""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sidecar.clock import Clock
from sidecar.log import get_logger
from sidecar.recording.entry import Entry, Notebook
from sidecar.recording.folder import Folder, FolderSettings
from sidecar.recording.lines import Session, lost_line
from sidecar.recording.past import Reach
from sidecar.stats import Stats

log = get_logger(__name__)

_LIMIT: Final = 20_000  # entries that wait: 500 streams for half a minute
_WAKE_S: Final = 1.0  # how much a killed process loses
_AGAIN_S: Final = 10.0  # after the disk has failed
_PRUNE_S: Final = 60.0
_JOIN_S: Final = 5.0


class Recorder:
    """Takes entries from the event loop and writes them from its thread.

    What cannot be written is counted (`sidecar_lost_total{stage="record"}`), and the
    recording itself says how many entries are missing.

    Args:
        settings: Where, and how much is kept.
        session: Whose; its epoch is now.
        clock: The one that the entries' instants are of.
        stats: Counters.
        limit: How many entries may wait; further ones are lost.
    """

    def __init__(
        self,
        settings: FolderSettings,
        session: Session,
        clock: Clock,
        stats: Stats,
        limit: int = _LIMIT,
    ) -> None:
        self._folder = Folder(settings, session)
        self._clock = clock
        self.session = session
        self.began_at = clock.monotonic()
        self._lost = stats.lost
        self._written = stats.recorded
        self._limit = limit
        self._waiting: deque[Entry] = deque()
        self._news = threading.Event()
        self._closing = False
        self._overflowed = 0  # counted by the event loop alone
        self._failed = 0  # by the thread alone
        self._told = 0  # of both, by lines in the files
        self._failed_at: float | None = None
        self._pruned_at = -_PRUNE_S
        self.notebook = Notebook(self.put)  # for the pipeline to tell
        self.fault: str | None = None  # what the disk said last, while it fails
        self._thread = threading.Thread(target=self._main, name="record", daemon=True)

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Takes an entry; never waits."""
        if len(self._waiting) >= self._limit:
            self._overflowed += 1
            self._lost.labels("record", "overflow").inc()
        else:
            self._waiting.append(entry)

    def before(self, max_age_s: float, max_samples: int) -> Reach:
        """What earlier runs recorded here."""
        folder = self._folder.path
        return Reach(folder, self.session, self.began_at, max_age_s, max_samples)

    def close(self) -> None:
        """Writes what waits and ends the file; blocks, at most five seconds."""
        self._closing = True
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)
        if self._thread.is_alive() or self._waiting:
            self._lost.labels("record", "at_stop").inc(len(self._waiting))
            log.error("recording_cut_short", entries=len(self._waiting))

    def _main(self) -> None:
        while not self._closing:
            self._news.wait(_WAKE_S)
            self._round()
        self._failed_at = None  # one last try
        self._round()
        try:
            self._folder.close("stopped")
        except OSError as exc:
            self._fail(exc)

    def _round(self) -> None:
        """Writes all that waits; after a failure, not for a while."""
        now = self._clock.monotonic()
        if self._failed_at is not None and now - self._failed_at < _AGAIN_S:
            self._lose(len(list(self._taken())))
            return
        try:
            if now - self._pruned_at >= _PRUNE_S:
                self._folder.prune(self._clock.wall())
                self._pruned_at = now
            self._write()
            self._folder.flush()
        except OSError as exc:
            self._fail(exc)
        else:
            if self.fault is not None:
                log.info("recording_again", missing=self._failed)
            self.fault, self._failed_at = None, None

    def _write(self) -> None:
        for entry in self._taken():
            try:
                writer = self._folder.ready(self._clock.wall())
                missing = self._overflowed + self._failed - self._told
                if missing:
                    self._folder.write([lost_line(missing)])
                    self._told += missing
                self._folder.write(writer.lines(self._relative(entry)))
            except OSError:
                self._lose(1)
                raise
            self._written.inc()

    def _taken(self) -> Iterator[Entry]:
        """What waits, at present and not for ever."""
        for _ in range(len(self._waiting)):
            yield self._waiting.popleft()

    def _relative(self, entry: Entry) -> Entry:
        """With seconds since the session began."""
        scores = entry.scores
        if scores is not None:
            since = scores.unchanged_since
            scores = replace(
                scores,
                captured_at=scores.captured_at - self.began_at,
                unchanged_since=None if since is None else since - self.began_at,
            )
        return replace(entry, at=entry.at - self.began_at, scores=scores)

    def _fail(self, exc: OSError) -> None:
        """The disk is full or failing: another file is begun later."""
        if self.fault is None:
            log.error("recording_failing", error=exc.strerror)
        self.fault = exc.strerror or type(exc).__name__
        self._failed_at = self._clock.monotonic()
        self._folder.abandon()

    def _lose(self, entries: int) -> None:
        self._failed += entries
        self._lost.labels("record", "disk").inc(entries)
