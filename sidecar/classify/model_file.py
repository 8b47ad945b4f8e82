"""The file a manifest names: inside its folder, of bounded size, with its hash."""

import hashlib
from pathlib import Path
from typing import Final

from sidecar.errors import ManifestError

MAX_BYTES: Final = 1 << 30  # protobuf itself ends at 2 GiB


def faults(folder: Path, card: Path, file: str, sha256: str) -> list[str]:
    """What is wrong with `file` in `folder`, as sentences that name the `card`."""
    try:
        read(folder, card, file, sha256)
    except ManifestError as exc:
        return list(exc.faults)
    return []


def read(folder: Path, card: Path, file: str, sha256: str) -> bytes:
    """The bytes of `file`, which have the hash `sha256`.

    Raises:
        ManifestError: Outside of `folder`, missing, too large, or of another hash.
    """
    key = f"{card}: file: {file!r:.120}"
    try:
        path = (folder / file).resolve()
        if path == folder.resolve() or not path.is_relative_to(folder.resolve()):
            raise ManifestError(f"{key}: lies outside of the model's folder; put it in")
        if not path.is_file():
            raise ManifestError(f"{key}: there is no such file; put it beside {card}")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
        reason = getattr(exc, "strerror", None) or exc
        raise ManifestError(f"{key}: cannot be read ({reason}); mend it") from exc
    if len(data) > MAX_BYTES:
        raise ManifestError(
            f"{key}: larger than {MAX_BYTES >> 20} MiB; use a smaller model"
        )
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ManifestError(
            f"{card}: sha256: {sha256!r:.80}: the file's is {found}; fetch it again or,"
            " if you changed it yourself, write that here"
        )
    return data
