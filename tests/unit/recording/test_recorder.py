"""Live entries reach the disk from a thread; losses are counted, never in the way."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.clock import ManualClock
from sidecar.domain import Category, LabelScore, ModelRef, Scores, VerdictState
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.folder import Folder, FolderSettings
from sidecar.recording.lines import Session
from sidecar.recording.reader import Recording
from sidecar.recording.recorder import Recorder
from sidecar.stats import Stats
from tests.unit.recording.strategies import STREAMS


class Bench:
    """A recorder over a folder, by a clock that stands still."""

    def __init__(self, path: Path, limit: int = 100) -> None:
        self.clock = ManualClock(50.0)
        self.stats = Stats()
        self.path = path
        session = Session("s1", self.clock.wall())
        settings = FolderSettings(path, packed=False)
        self.recorder = Recorder(settings, session, self.clock, self.stats, limit)

    def put(self, at: float) -> None:
        """A sample of that instant."""
        scores = Scores(
            "a",
            {Category.DRUGS: LabelScore(0.25, "d")},
            ModelRef("m", "sha256:1"),
            captured_at=at - 0.5,
        )
        clear = VerdictState.CLEAR
        entry = Entry(EntryKind.SAMPLE, STREAMS[0], at, clear, None, scores)
        self.recorder.put(entry)

    def lost(self, reason: str) -> float:
        """How many, by that reason."""
        value = self.stats.registry.get_sample_value(
            "sidecar_lost_total", {"stage": "record", "reason": reason}
        )
        return value or 0.0

    @property
    def written(self) -> float | None:
        """How many entries were."""
        return self.stats.registry.get_sample_value("sidecar_recorded_entries_total")

    def read(self) -> tuple[list[float], int]:
        """The entries' instants, and how many are told to be missing."""
        recording = Recording([self.path])
        return [entry.at for entry in recording], recording.tally.lost


@contextmanager
def _failing(
    monkeypatch: pytest.MonkeyPatch, method: str, failed: threading.Event
) -> Iterator[None]:
    """A disk that is full, by one of the folder's methods."""

    def fail(*_: object) -> None:
        failed.set()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, method, fail)
        yield


def _wait(holds: Callable[[], bool], news: threading.Event) -> None:
    """Until the recorder's thread has seen it; wakes the thread meanwhile."""
    for _ in range(500):
        if holds():
            return
        news.wait(0.01)
    raise AssertionError("the recorder did not get there")


def test_what_is_put_is_written_by_the_close(tmp_path: Path) -> None:
    """In order, with seconds since the session began."""
    bench = Bench(tmp_path)
    bench.recorder.start()
    for at in (51.0, 52.0):
        bench.put(at)
    bench.recorder.close()
    assert bench.read() == ([1.0, 2.0], 0)
    (first, _) = Recording([tmp_path])
    assert first.scores is not None
    assert first.scores.captured_at == 0.5
    assert bench.written == 2


def test_what_has_no_scores_is_written_as_well(tmp_path: Path) -> None:
    """On the recording's clock, too; who was looked at or not counts alike."""
    bench = Bench(tmp_path)
    bench.recorder.put(Entry(EntryKind.ENDED, STREAMS[0], 51.0, VerdictState.CLEAR))
    bench.recorder.start()
    bench.recorder.close()
    assert bench.read() == ([1.0], 0)


def test_a_disk_that_stays_full_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end once more, and what is lost is counted."""
    bench = Bench(tmp_path)
    failed = threading.Event()
    with _failing(monkeypatch, "flush", failed):
        bench.recorder.start()
        _wait(lambda: bench.recorder.fault is not None, threading.Event())
        failed.clear()
        bench.recorder.close()
        assert failed.is_set()
    assert bench.recorder.fault == "No space left on device"


def test_too_many_are_counted_and_told(tmp_path: Path) -> None:
    """The queue is bounded; the recording says how many are missing."""
    bench = Bench(tmp_path, limit=2)
    for at in (51.0, 52.0, 53.0, 54.0, 55.0):
        bench.put(at)
    bench.recorder.start()
    bench.recorder.close()
    assert bench.read() == ([1.0, 2.0], 3)
    assert bench.lost("overflow") == 3


@pytest.mark.parametrize("method", ["ready", "write", "flush", "prune"])
def test_a_full_disk_is_shown_and_got_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Nothing is raised; after a while another file is begun."""
    bench = Bench(tmp_path)
    failed = threading.Event()
    with _failing(monkeypatch, method, failed):
        bench.put(51.0)
        bench.recorder.start()
        assert failed.wait(5.0)
        _wait(lambda: bench.recorder.fault is not None, threading.Event())
        assert bench.recorder.fault == "No space left on device"
        bench.put(52.0)
        _wait(lambda: not bench.recorder._waiting, threading.Event())
    lost = bench.lost("disk")
    bench.clock.advance(11.0)
    _wait(lambda: bench.recorder.fault is None, threading.Event())
    bench.put(63.0)
    bench.recorder.close()
    times, told = bench.read()
    assert times[-1] == 13.0
    assert told == lost
    assert len(times) + lost == 3


def test_a_disk_that_fails_at_the_very_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last line is missing, and that is all."""
    bench = Bench(tmp_path)
    bench.put(51.0)
    with _failing(monkeypatch, "close", threading.Event()):
        bench.recorder.start()
        bench.recorder.close()
    assert bench.read() == ([1.0], 0)
    assert bench.recorder.fault == "No space left on device"


def test_what_never_began_counts_as_lost(tmp_path: Path) -> None:
    """A process that ends before its recorder was started."""
    bench = Bench(tmp_path)
    bench.put(51.0)
    bench.recorder.close()
    assert bench.lost("at_stop") == 1
