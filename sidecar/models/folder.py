"""Puts a model into the models folder: whole and verified, or not at all."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from sidecar.classify.manifest import FILE_NAME, Manifest, load
from sidecar.classify.verification import VerifyReport, verify
from sidecar.errors import ManifestError


def install(
    models_dir: Path,
    card: Mapping[str, object],
    files: Mapping[str, bytes],
    *,
    replace: bool,
) -> tuple[Manifest, VerifyReport]:
    """Writes `models_dir/<name>/`, with `card` as its `model.yaml`.

    Everything is written and verified in a folder beside it, which then takes its
    place: nobody ever finds half a model, and a faulty one leaves the old one alone.

    Raises:
        ManifestError: There is another such model and it is not to be replaced; or the
            new one does not load or verify, with each check that failed.
    """
    name = str(card["name"])
    target = models_dir / name
    _require_free(target, str(card["sha256"]), replace=replace)
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=models_dir) as scratch:
            fresh = Path(scratch) / "new"
            _write(fresh, card, files)
            report = _verified(fresh)
            if target.exists():
                target.rename(Path(scratch) / "old")
            fresh.rename(target)
    except OSError as exc:
        raise ManifestError(
            f"{models_dir}: cannot be written ({exc.strerror or exc}); give another"
            " folder with --models-dir"
        ) from exc
    return load(target), report


def _require_free(target: Path, sha256: str, *, replace: bool) -> None:
    """Refuses to overwrite another model of this name."""
    if replace or not target.exists():
        return
    try:
        same = load(target).sha256 == sha256
    except ManifestError:
        same = False
    if not same:
        raise ManifestError(
            f"{target}: there is another model of this name; thresholds belong to a"
            " model: give --replace to put the new one in its place, or another name"
        )


def _write(
    folder: Path, card: Mapping[str, object], files: Mapping[str, bytes]
) -> None:
    folder.mkdir()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    write_card(folder, card)


def write_card(folder: Path, card: Mapping[str, object]) -> None:
    """Writes `model.yaml` into `folder`."""
    text = yaml.safe_dump(dict(card), sort_keys=False, allow_unicode=True)
    (folder / FILE_NAME).write_text(text, encoding="utf-8")


def _verified(folder: Path) -> VerifyReport:
    """The report on a model that does what its card says."""
    report = verify(load(folder))
    faults = [f"{c.name}: {c.detail}" for c in report.checks if not c.ok]
    if faults:
        raise ManifestError(*faults)
    return report
