"""Files and folders become entries in order; damage is told with file and line."""

import gzip
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.errors import RecordingError
from sidecar.recording.lines import Session, Writer, close_line
from sidecar.recording.reader import Recording, files_in
from tests.unit.recording.test_lines import BY, HEAD, SESSION, STREAM

LATER = Session("s2", SESSION.epoch + timedelta(seconds=100))
WHOLE = [HEAD, STREAM, BY]
ENDED = '{{"kind":"ended","stream":"a","at":{},"verdict":"clear"}}'


def _write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_text("\n".join(lines) + end)
    return path


def _read(*paths: Path) -> list[float]:
    return [entry.at for entry in Recording(paths)]


def test_a_folder_is_read_in_the_order_of_its_sessions(tmp_path: Path) -> None:
    """By epoch and number, whatever the names are; each entry on the first's clock."""
    _write(tmp_path / "a.jsonl", Writer(LATER).head(), STREAM, ENDED.format(1))
    _write(tmp_path / "c.jsonl", HEAD, STREAM, ENDED.format(2))
    second = Writer(SESSION, 2).head()
    packed = "\n".join([second, STREAM, ENDED.format(3), close_line("stopped"), ""])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(packed.encode()))
    (tmp_path / "notes.txt").write_text("not one")
    recording = Recording([tmp_path])
    found = list(recording)
    assert [(entry.at, entry.session) for entry in found] == [(2, 0), (3, 0), (101, 1)]
    assert recording.epoch == SESSION.epoch
    assert (recording.tally.files, recording.tally.entries) == (3, 3)
    assert [e.at for e in recording] == [e.at for e in found]
    assert files_in([tmp_path / "c.jsonl"]) == [tmp_path / "c.jsonl"]


def test_the_last_line_of_a_killed_writer_is_passed_over(tmp_path: Path) -> None:
    """And counted; all lines before it are good."""
    path = _write(tmp_path / "a.jsonl", *WHOLE, ENDED.format(1), '{"kind":"en', end="")
    recording = Recording([path])
    assert [entry.at for entry in recording] == [1]
    assert recording.tally.truncated == 1


@given(st.integers(0, 400))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_packed_file_may_end_anywhere(tmp_path: Path, length: int) -> None:
    """Whatever was whole before the end is read, and the end is counted."""
    lines = "\n".join([*WHOLE, *(ENDED.format(at) for at in range(9)), ""])
    data = gzip.compress(lines.encode())
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(data[: min(length, len(data) - 1)])
    second = _write(tmp_path / "b.jsonl", Writer(SESSION, 2).head())
    recording = Recording([path, second])
    found = [entry.at for entry in recording]
    assert found == list(range(len(found)))
    assert recording.tally.truncated == 1


def test_a_damaged_line_is_told_with_its_number(tmp_path: Path) -> None:
    """And so is a damaged packed file."""
    path = _write(tmp_path / "a.jsonl", *WHOLE, ENDED.format(1), "nonsense", "{}")
    with pytest.raises(RecordingError, match=r"a\.jsonl:5: not JSON"):
        _read(path)
    data = bytearray(gzip.compress("\n".join([*WHOLE, ""]).encode()))
    data[-6] ^= 1  # of its checksum
    (tmp_path / "b.jsonl.gz").write_bytes(data)
    with pytest.raises(RecordingError, match=r"b\.jsonl\.gz:4: CRC"):
        _read(tmp_path / "b.jsonl.gz")
    data[12] ^= 255  # of its contents
    (tmp_path / "b.jsonl.gz").write_bytes(data)
    with pytest.raises(RecordingError, match=r"b\.jsonl\.gz:1: "):
        _read(tmp_path / "b.jsonl.gz")


def test_what_is_no_recording_is_told(tmp_path: Path) -> None:
    """No file, no first line, no text, an endless line, an empty folder."""
    with pytest.raises(RecordingError, match="there is no recording"):
        Recording([tmp_path])
    with pytest.raises(RecordingError, match=r"gone\.jsonl:1: No such file"):
        Recording([tmp_path / "gone.jsonl"])
    with pytest.raises(RecordingError, match=r"a\.jsonl:1: the schema is 'None'"):
        Recording([_write(tmp_path / "a.jsonl", "{}")])
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe\n")
    with pytest.raises(RecordingError, match=r"b\.jsonl:1: not UTF-8"):
        Recording([tmp_path / "b.jsonl"])
    _write(tmp_path / "c.jsonl", HEAD, "x" * (1 << 20))
    with pytest.raises(RecordingError, match=r"c\.jsonl:2: the line has more than"):
        _read(tmp_path / "c.jsonl")


@given(data=st.binary(max_size=200), headed=st.booleans(), packed=st.booleans())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(
    tmp_path: Path, *, data: bytes, headed: bool, packed: bool
) -> None:
    """Nothing but a RecordingError comes of a foreign file."""
    if headed:
        data = "\n".join([*WHOLE, ""]).encode() + data
    path = tmp_path / "a.jsonl"
    path.write_bytes(gzip.compress(data) if packed else data)
    with suppress(RecordingError):
        _read(path)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="Linux only")
def test_a_disk_that_cannot_be_read_is_told() -> None:
    """With the file; the first page of a process's memory is such a place."""
    with pytest.raises(RecordingError, match=r"/proc/self/mem:1: Input/output error"):
        _read(Path("/proc/self/mem"))
