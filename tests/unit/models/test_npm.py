"""The user's own npm brings a tarball; whatever it does is told with the way around."""

import sys
from pathlib import Path

import pytest

from sidecar.errors import ManifestError
from sidecar.models import npm


def program(folder: Path, *lines: str) -> str:
    """A program that stands in for npm: it gets npm's arguments in an empty folder."""
    path = folder / "npm"
    path.write_text("\n".join([f"#!{sys.executable}", "import sys", *lines]))
    path.chmod(0o755)
    return str(path)


def test_the_tarball_comes_back(tmp_path: Path) -> None:
    """What `npm pack --ignore-scripts` leaves in its folder is the answer."""
    found = npm.pack(
        "a@1.0.0",
        program(
            tmp_path,
            "assert sys.argv[1:3] == ['pack', '--ignore-scripts']",
            "assert sys.argv[3:] == ['--silent', 'a@1.0.0']",
            "open('a-1.0.0.tgz', 'wb').write(b'data')",
        ),
    )
    assert found == b"data"


def test_a_failure_is_told_with_the_way_around(tmp_path: Path) -> None:
    """Npm's own first line, and the option that does without it."""
    fails = program(tmp_path, "sys.exit('E404 not there')")
    with pytest.raises(ManifestError, match=r"failed with 1 \(E404 not.*--tarball"):
        npm.pack("a@1.0.0", fails)
    silent = program(tmp_path, "sys.exit(3)")
    with pytest.raises(ManifestError, match=r"failed with 3 \(it said nothing\)"):
        npm.pack("a@1.0.0", silent)


def test_no_file_is_told(tmp_path: Path) -> None:
    """An npm that succeeds and brings nothing is no success."""
    with pytest.raises(ManifestError, match="brought no file"):
        npm.pack("a@1.0.0", program(tmp_path, "pass"))


def test_without_npm_the_way_around_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node.js may be installed, or the file fetched elsewhere."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ManifestError, match=r"npm is not installed: install Node\.js"):
        npm.pack("a@1.0.0")
    with pytest.raises(ManifestError, match="npm did not run"):
        npm.pack("a@1.0.0", str(tmp_path))
