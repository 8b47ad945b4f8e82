"""Archives are read in memory, within bounds, and trusted in nothing."""

import gzip
import io
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ManifestError
from sidecar.models import tarball
from sidecar.models.tarball import read_files, read_tarball, require_integrity


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A .tgz of these."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as writer:
        for info, data in members:
            info.size = len(data)
            writer.addfile(info, io.BytesIO(data))
    return out.getvalue()


def plain(name: str, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    """A regular file."""
    return tarfile.TarInfo(name), data


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A symbolic link."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info, b""


GOOD = archive(plain("package/a", b"A"), plain("package/b", b"B"), plain("../../evil"))


def test_the_wanted_files_are_read_and_others_passed_over() -> None:
    """A path that climbs out is only a name that nobody asked for."""
    assert read_files(GOOD, ["package/a"]) == {"package/a": b"A"}


def test_a_missing_file_is_told() -> None:
    """By its name."""
    with pytest.raises(ManifestError, match="lacks package/c; it is another package"):
        read_files(GOOD, ["package/a", "package/c"])


@pytest.mark.parametrize(
    "data",
    [
        archive(plain("a"), plain("a")),
        archive(link("a", "/etc/passwd")),
        GOOD[: len(GOOD) // 2],
        gzip.compress(b"no archive at all" * 100),
        b"",
        b"\x1f\x8b",
    ],
    ids=["twice", "link", "half", "no archive", "empty", "begun"],
)
def test_what_is_not_sound_is_refused(data: bytes) -> None:
    """Files twice, links where a file is wanted, torn and foreign bytes."""
    with pytest.raises(ManifestError):
        read_files(data, ["a"])


@pytest.mark.parametrize(
    ("bound", "value", "told"),
    [
        ("MAX_UNPACKED", 1 << 12, "unpacks to more than"),
        ("MAX_FILE", 100, "too large"),
        ("MAX_MEMBERS", 1, "more than 1 files"),
    ],
)
def test_every_size_has_a_bound(
    monkeypatch: pytest.MonkeyPatch, bound: str, value: int, told: str
) -> None:
    """Unpacked bytes, a file's bytes, and how many there are."""
    monkeypatch.setattr(tarball, bound, value)
    data = archive(plain("b"), plain("a", b"x" * 20_000))
    with pytest.raises(ManifestError, match=told):
        read_files(data, ["a"])


def test_another_file_than_the_pinned_one_is_refused() -> None:
    """The hash is that of npm's own registry: sha512 in base64."""
    nothing = (
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeo"
        "GlODJ6+SfaPg=="
    )
    require_integrity(b"", nothing)
    with pytest.raises(ManifestError, match="tampered with; fetch it again"):
        require_integrity(b"x", nothing)


def test_a_file_is_read_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing and oversized ones are named."""
    path = tmp_path / "p.tgz"
    with pytest.raises(ManifestError, match=r"p\.tgz: cannot be read"):
        read_tarball(path)
    path.write_bytes(b"12345")
    assert read_tarball(path) == b"12345"
    monkeypatch.setattr(tarball, "MAX_PACKED", 4)
    with pytest.raises(ManifestError, match=r"p\.tgz: is larger"):
        read_tarball(path)


@given(st.binary(max_size=600) | st.binary(max_size=2000).map(gzip.compress))
def test_any_bytes_are_files_or_the_error(data: bytes) -> None:
    """Torn headers, odd numbers and foreign formats included."""
    with suppress(ManifestError):
        read_files(data, ["a"])


@given(st.integers(0, 700), st.integers(0, 255))
def test_one_changed_byte_is_files_or_the_error(at: int, value: int) -> None:
    """A flipped byte inside an honest archive's headers, too."""
    raw = bytearray(gzip.decompress(GOOD))
    raw[at] = value
    with suppress(ManifestError):
        read_files(gzip.compress(bytes(raw)), ["package/a"])
