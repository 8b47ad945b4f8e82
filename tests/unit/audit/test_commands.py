"""`sidecar audit verify` tells a log that holds from one that does not."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.audit.chain import Deed
from sidecar.audit.commands import EXIT_BROKEN, audit
from sidecar.audit.journal import Journal
from sidecar.clock import ManualClock
from sidecar.errors import ConfigError


def run(*arguments: str | Path) -> tuple[int, str]:
    """Exit code and all output; a ConfigError is raised as `sidecar` would see it."""
    found = CliRunner().invoke(audit, ["verify", *map(str, arguments)])
    if isinstance(found.exception, ConfigError):
        raise found.exception
    return found.exit_code, found.output


@pytest.fixture
def book(tmp_path: Path) -> tuple[Path, list[str]]:
    """A log of three entries, and their hashes."""
    journal = Journal(tmp_path / "audit.jsonl", ManualClock())
    deed = Deed("desk1", "operator", "login", "", {})
    hashes = [journal.write(deed).hash for _ in range(3)]
    journal.close()
    return journal.path, hashes


def test_a_log_that_holds(book: tuple[Path, list[str]]) -> None:
    """0, with the head to be noted elsewhere; a hash noted earlier is found."""
    path, hashes = book
    assert run(path)[0] == 0
    assert hashes[-1] in run(path)[1]
    assert run(path, "--head", hashes[0])[0] == 0


def test_a_changed_log(book: tuple[Path, list[str]]) -> None:
    """1, and the line is named."""
    path, _ = book
    path.write_bytes(path.read_bytes().replace(b"desk1", b"desk9", 1))
    code, output = run(path)
    assert code == EXIT_BROKEN
    assert "BROKEN: line 1 " in output


def test_a_cut_end_is_found_by_the_head_noted_elsewhere(
    book: tuple[Path, list[str]],
) -> None:
    """The rest is a chain that holds: only the checkpoint tells."""
    path, hashes = book
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert run(path)[0] == 0
    code, output = run(path, "--head", hashes[-1])
    assert code == EXIT_BROKEN
    assert "is missing" in output


def test_wrong_arguments_name_the_mend(tmp_path: Path) -> None:
    """No file, a folder, no hash."""
    for arguments in ([tmp_path / "none"], [tmp_path], [tmp_path, "--head", "abc"]):
        with pytest.raises(ConfigError):
            run(*arguments)
