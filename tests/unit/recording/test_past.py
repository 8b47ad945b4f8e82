"""What earlier runs recorded comes back, newest first, as if it had been kept."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.decide.rules import UnknownRule
from sidecar.domain import ActionKind, Category, Stream, UnknownReason
from sidecar.recording.column_log import ColumnLog
from sidecar.recording.columns import MARKED
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.lines import Session, Writer
from sidecar.recording.past import Reach, stretches
from sidecar.recording.whatif import what_if
from tests.unit.recording.test_whatif import A, B, X
from tests.unit.recording.test_whatif import sample as sampled

NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
BEGAN_AT = 500.0  # of the clock of now, when this run began
HOUR = 3600.0


def sample(stream: Stream, at: float, scores: dict[Category, float]) -> Entry:
    """Judged as soon as it was captured."""
    return sampled(stream, at, scores, late=0.0)


def session(name: str, ago_s: float, sidecar: str = "edge") -> Session:
    """A run that began so long ago."""
    return Session(name, NOW - timedelta(seconds=ago_s), "site", sidecar)


def write(
    folder: Path, run: Session, entries: Iterable[Entry], number: int = 1
) -> Path:
    """One file of a run."""
    writer = Writer(run, number)
    lines = [writer.head()]
    for entry in entries:
        lines += writer.lines(replace(entry, reason=UnknownReason.STARTING))
    path = folder / f"sidecar-{run.id}-{number}.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def reach(folder: Path, max_age_s: float = HOUR) -> Reach:
    """All of the last hour."""
    return Reach(folder, session("now", 0.0), BEGAN_AT, max_age_s, 1000)


def go_on() -> bool:
    """Nobody stops it."""
    return False


def recalled(wanted: Reach) -> ColumnLog:
    """What stands before one sample of this run."""
    log = ColumnLog()
    log.add(Entry(EntryKind.BEGAN, A, BEGAN_AT))
    log.add(sample(A, BEGAN_AT + 1, {X: 0.9}))
    for older in stretches(wanted, go_on):
        log.precede(older)
    return log


def test_what_was_before_stands_before(tmp_path: Path) -> None:
    """Files of one run, then of the one before it; on the clock of now."""
    run = session("b", 100.0)
    write(tmp_path, session("a", 900.0), [sample(A, 5.0, {X: 0.1})])
    write(tmp_path, run, [sample(B, 2.0, {X: 0.2})])
    write(tmp_path, run, [sample(A, 7.0, {X: 0.3})], number=2)
    log = recalled(reach(tmp_path))
    columns = log.snapshot()
    assert len(log) == len(columns) == 4
    a, b = columns.index("a"), columns.index("b")
    assert a is not None
    assert b is not None
    ago = BEGAN_AT - 900.0
    assert columns.at[columns.span(a)].tolist() == [ago + 5, 407.0, 501.0]
    assert columns.at[columns.span(b)].tolist() == [402.0]
    np.testing.assert_allclose(columns.scores[X][columns.span(a)], [0.1, 0.3, 0.9])


def test_a_killed_run_did_not_look_on(tmp_path: Path) -> None:
    """Its streams end with it, once: their absence until now is nobody's alarm."""
    killed = session("killed", 100.0)
    write(tmp_path, killed, [Entry(EntryKind.BEGAN, A, 0.0), sample(B, 1.0, {X: 0.1})])
    write(tmp_path, killed, [sample(A, 9.0, {X: 0.1})], number=2)
    columns = recalled(reach(tmp_path)).snapshot()
    ended = columns.marks.kind == MARKED.index(EntryKind.ENDED)
    assert columns.marks.at[ended].tolist() == [409.0, 401.0]
    rule = UnknownRule(after_s=20.0, action=ActionKind.FLAG)
    policy = Policy("p", Selector(), (), rule, 10.0)
    assert not what_if(columns, PolicySet((policy,)))


def test_a_stream_that_ended_is_not_ended_again(tmp_path: Path) -> None:
    """Nor by the file before the one in which it ended."""
    run = session("run", 100.0)
    write(tmp_path, run, [sample(A, 1.0, {X: 0.1})])
    write(tmp_path, run, [Entry(EntryKind.ENDED, A, 2.0)], number=2)
    marks = recalled(reach(tmp_path)).snapshot().marks
    ended = marks.kind == MARKED.index(EntryKind.ENDED)
    assert marks.at[ended].tolist() == [402.0]


def test_only_the_last_hours_of_this_sidecar(tmp_path: Path) -> None:
    """Not what is older, nor another's, nor its own run's; reading ends there."""
    late = [sample(A, at, {X: 0.1}) for at in (1.0, 200.0)]
    write(tmp_path, session("old", HOUR + 100), late)
    write(tmp_path, session("older", 2 * HOUR), late)
    write(tmp_path, session("other", 50.0, "another"), late)
    write(tmp_path, session("now", 0.0), late)
    assert len(recalled(reach(tmp_path))) == 2
    assert len(recalled(reach(tmp_path / "nowhere"))) == 1


def test_a_clock_that_went_back_is_not_believed(tmp_path: Path) -> None:
    """What seems to come after the next run's beginning would not be in order."""
    write(tmp_path, session("a", 100.0), [sample(A, at, {X: 0.1}) for at in (1, 99)])
    write(tmp_path, session("b", 50.0), [sample(A, at, {X: 0.1}) for at in (1, 51)])
    columns = recalled(reach(tmp_path)).snapshot()
    assert columns.at.tolist() == [401.0, 451.0, 501.0]


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """What was read of it counts, and so does what others say."""
    write(tmp_path, session("a", 300.0), [sample(A, 1.0, {X: 0.1})])
    broken = write(tmp_path, session("b", 200.0), [sample(A, 1.0, {X: 0.1})])
    broken.write_text(broken.read_text() + "nonsense\n")
    (tmp_path / "sidecar-empty.jsonl").write_text("")
    (tmp_path / "sidecar-foreign.jsonl").write_text('{"schema": "x"}\n')
    assert len(recalled(reach(tmp_path))) == 3


def test_it_stops_when_nobody_wants_it(tmp_path: Path) -> None:
    """Between a few entries; what was read by then is given."""
    many = [sample(A, float(at), {X: 0.1}) for at in range(120)]
    write(tmp_path, session("a", 500.0), many)
    write(tmp_path, session("b", 300.0), many)
    asked: list[bool] = []

    def breathe() -> bool:
        asked.append(True)
        return len(asked) > 2

    (found,) = stretches(reach(tmp_path), breathe)
    assert len(found) == 50
