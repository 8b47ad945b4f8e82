"""Reads named files out of a `.tgz` in memory: nothing is unpacked to disk.

So no path, link or device in it can do harm; what it holds is bounded before it is
read, packed or not.
"""

import base64
import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Final, cast

from sidecar.errors import ManifestError

MAX_PACKED: Final = 64 << 20
MAX_UNPACKED: Final = 256 << 20
MAX_FILE: Final = 16 << 20
MAX_MEMBERS: Final = 2000

# What tarfile and gzip let through on hostile bytes.
_ERRORS: Final = (
    *(tarfile.TarError, OSError, EOFError, zlib.error),
    *(ValueError, OverflowError, LookupError, TypeError),
)


def read_tarball(path: Path) -> bytes:
    """The file's bytes, bounded.

    Raises:
        ManifestError: It cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PACKED + 1)
    except OSError as exc:
        raise ManifestError(f"{path}: cannot be read ({exc.strerror})") from exc
    if len(data) > MAX_PACKED:
        raise ManifestError(f"{path}: is larger than {MAX_PACKED >> 20} MiB")
    return data


def require_integrity(data: bytes, integrity: str) -> None:
    """Returns if `data` has the hash `sha512-<base64>` (W3C Subresource Integrity).

    Raises:
        ManifestError: It has another.
    """
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise ManifestError(
            f"has the hash sha512-{digest}, not {integrity}: it is another version, or"
            " has been tampered with; fetch it again"
        )


def read_files(data: bytes, wanted: Collection[str]) -> dict[str, bytes]:
    """The contents of the `wanted` members, by name; other members are passed over.

    Raises:
        ManifestError: Not such an archive, too large, or without one of them.
    """
    try:
        found = _read(data, frozenset(wanted))
    except _ERRORS as exc:
        raise ManifestError(f"is no sound .tgz archive ({type(exc).__name__})") from exc
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise ManifestError(f"lacks {', '.join(missing)}; it is another package")
    return found


def _read(data: bytes, wanted: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    packed = gzip.GzipFile(fileobj=io.BytesIO(data))
    source = cast("IO[bytes]", _Bounded(packed))
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in _members(archive):
            if member.name not in wanted:
                continue
            if not member.isreg() or member.name in found or member.size > MAX_FILE:
                raise ManifestError(
                    f"{member.name}: no plain file, twice, or too large"
                )
            content = archive.extractfile(member)
            assert content is not None  # it is a regular file
            found[member.name] = content.read()
    return found


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members, of which there are not too many."""
    for count, member in enumerate(archive):
        if count >= MAX_MEMBERS:
            raise ManifestError(f"has more than {MAX_MEMBERS} files")
        yield member


class _Bounded:
    """Ends with an error where an archive unpacks to more than is accepted."""

    def __init__(self, source: gzip.GzipFile) -> None:
        self._source = source
        self._left = MAX_UNPACKED

    def read(self, size: int) -> bytes:
        """At most what is left, and then an error."""
        chunk = self._source.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise ManifestError(f"unpacks to more than {MAX_UNPACKED >> 20} MiB")
        return chunk
