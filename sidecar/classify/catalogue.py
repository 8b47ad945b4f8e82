"""Finds models by name: one folder a model, with a `model.yaml` inside."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.classify.manifest import FILE_NAME, Manifest, load
from sidecar.classify.verification import Check, VerifyReport, verify
from sidecar.errors import ManifestError

__all__ = [
    "IMPORTABLE",
    "Check",
    "Entry",
    "VerifyReport",
    "bundled_models",
    "find",
    "listing",
    "verify",
]

IMPORTABLE: Final = {
    "nsfwjs": "sidecar models import nsfwjs",
    "nsfwjs-mid": "sidecar models import nsfwjs --variant mid",
}
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PACKAGE: Final = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Entry:
    """A model folder that was found: its manifest, or what is wrong with it."""

    name: str
    folder: Path
    manifest: Manifest | None
    faults: tuple[str, ...] = ()


def bundled_models() -> Path:
    """The folder of the models that come along: in the wheel, or in a checkout."""
    inside = _PACKAGE / "_models"
    return inside if inside.is_dir() else _PACKAGE.parent / "models"


def find(name_or_path: str, search: Sequence[Path]) -> Path:
    """The folder of a model, given by its path or by a name in one of `search`.

    Raises:
        ManifestError: Nothing there; it says where was looked and what there is.
    """
    if _NAME.fullmatch(name_or_path):
        for folder in search:
            if _is_model(folder / name_or_path):
                return folder / name_or_path
    path = Path(name_or_path)
    if path.name == FILE_NAME:
        path = path.parent
    if _is_model(path):
        return path
    if name_or_path in IMPORTABLE:
        raise ManifestError(
            f"model: {name_or_path!r}: is not here yet; fetch and convert it once with"
            f" `{IMPORTABLE[name_or_path]}`"
        )
    looked = ", ".join(str(folder) for folder in search) or "no folder"
    known = ", ".join(entry.name for entry in _folders(search)) or "none"
    raise ManifestError(
        f"model: {name_or_path!r:.200}: no such model in {looked}, nor a folder with a"
        f" {FILE_NAME}; there are: {known}"
    )


def listing(search: Sequence[Path]) -> list[Entry]:
    """Every model `find` would find by name, broken ones too, by name."""
    return [_entry(found) for found in _folders(search)]


def _is_model(folder: Path) -> bool:
    """Whether `folder` has a card."""
    try:
        return (folder / FILE_NAME).is_file()
    except (OSError, ValueError):  # too long a name; a NUL in it
        return False


def _entry(folder: Path) -> Entry:
    """One folder's manifest, or its faults."""
    try:
        return Entry(folder.name, folder, load(folder))
    except ManifestError as exc:
        return Entry(folder.name, folder, None, exc.faults)


def _folders(search: Sequence[Path]) -> Iterator[Path]:
    """Model folders by name; of equal names the first in `search`."""
    found: dict[str, Path] = {}
    for folder in search:
        for card in folder.glob(f"*/{FILE_NAME}"):
            if _NAME.fullmatch(card.parent.name):
                found.setdefault(card.parent.name, card.parent)
    for name in sorted(found):
        yield found[name]
