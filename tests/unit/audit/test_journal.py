"""What is written stays, in order; what was meddled with is put aside, loudly."""

import os
import threading
from pathlib import Path

import pytest

from sidecar.audit.chain import Deed
from sidecar.audit.journal import Journal, check
from sidecar.clock import ManualClock
from sidecar.errors import AuditFailed, ConfigError

DEED = Deed("desk1", "operator", "stream.reverse", "room-1", {"reason": "cleared"})


def journal(folder: Path) -> Journal:
    """One in a folder that is made for it."""
    return Journal(folder / "state" / "audit.jsonl", ManualClock())


def test_entries_are_on_disk_and_go_on_after_a_restart(tmp_path: Path) -> None:
    """The next process follows on; the file is the owner's only."""
    first = journal(tmp_path)
    first.write(DEED)
    first.close()
    second = journal(tmp_path)
    entry = second.write(DEED)
    second.close()
    assert entry.seq == 2
    assert entry.at == "2026-01-01T00:00:00.000Z"
    assert [one.seq for one in second.recent()] == [2, 1]
    assert second.head == (2, entry.hash)
    assert second.path.stat().st_mode & 0o777 == 0o600
    found = check(second.path)
    assert found is not None
    assert (found.report.entries, found.report.fault) == (2, None)
    assert entry.hash in found.hashes


def test_threads_do_not_break_the_chain(tmp_path: Path) -> None:
    """Many writers at once: one chain that holds."""
    book = journal(tmp_path)
    threads = [threading.Thread(target=book.write, args=(DEED,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    book.close()
    found = check(book.path)
    assert found is not None
    assert (found.report.entries, found.report.fault) == (16, None)


def test_a_chain_that_does_not_hold_is_kept_and_told(tmp_path: Path) -> None:
    """It is put aside under a free name, and the new chain begins by saying so."""
    for number in (1, 2):
        book = journal(tmp_path)
        book.write(DEED)
        book.close()
        book.path.write_bytes(book.path.read_bytes().replace(b"room-1", b"room-2"))
        after = journal(tmp_path)
        after.close()
        (entry,) = after.recent()
        assert entry.deed.act == "audit.broken"
        assert "was changed" in str(entry.deed.detail["fault"])
        assert after.path.with_name(f"audit.jsonl.broken-{number}").exists()
        after.path.unlink()


def test_what_the_disk_refuses_leaves_the_chain_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line is taken back, and the next entry follows on."""
    book = journal(tmp_path)
    book.write(DEED)
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:10]))
    with pytest.raises(AuditFailed, match="only a part"):
        book.write(DEED)
    monkeypatch.setattr(os, "write", real)
    assert book.write(DEED).seq == 2
    book.close()
    book.close()
    found = check(book.path)
    assert found is not None
    assert (found.report.entries, found.report.fault) == (2, None)


def test_a_place_that_cannot_be_written_names_the_mend(tmp_path: Path) -> None:
    """The operator is told which key to change."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"control\.state_dir"):
        Journal(tmp_path / "file" / "audit.jsonl", ManualClock())
    assert check(tmp_path / "none") is None
