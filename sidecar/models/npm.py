"""Fetches a package's tarball with the user's own npm; nothing of it is run."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from sidecar.errors import ManifestError

_TIMEOUT_S: Final = 600.0
_MEND: Final = (
    "fetch the package on another machine with `npm pack {package}` and give the file"
    " with --tarball"
)


def pack(package: str, npm: str | None = None) -> bytes:
    """The tarball of `name@version`, as `npm pack` brings it.

    Args:
        package: A name and an exact version.
        npm: The program; by default the one on the PATH.

    Raises:
        ManifestError: There is no npm, or it failed; says what to do instead.
    """
    mend = _MEND.format(package=package)
    program = npm or shutil.which("npm")
    if program is None:
        raise ManifestError(f"npm is not installed: install Node.js, or {mend}")
    with tempfile.TemporaryDirectory(prefix="sidecar-npm-") as name:
        folder = Path(name)
        _run([program, "pack", "--ignore-scripts", "--silent", package], folder, mend)
        found = sorted(folder.glob("*.tgz"))
        if len(found) != 1:
            raise ManifestError(f"npm pack {package} brought no file; {mend}")
        return found[0].read_bytes()


def _run(words: list[str], folder: Path, mend: str) -> None:
    """Runs npm in an empty folder of its own."""
    try:
        done = subprocess.run(  # noqa: S603 fixed words; no shell
            words, cwd=folder, capture_output=True, check=False, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ManifestError(f"npm did not run ({type(exc).__name__}); {mend}") from exc
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[0][:200] if said else "it said nothing"
        raise ManifestError(f"npm failed with {done.returncode} ({why}); {mend}")
