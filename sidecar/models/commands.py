"""The commands below `sidecar models`; slow imports are made where they are used."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.errors import ConfigError

if TYPE_CHECKING:
    from sidecar.classify.manifest import Manifest
    from sidecar.classify.verification import VerifyReport

models = typer.Typer(help="The models at hand.", no_args_is_help=True)
importing = typer.Typer(help="Bring a model in.", no_args_is_help=True)
models.add_typer(importing, name="import")

ModelsDir = Annotated[
    Path | None,
    typer.Option("--models-dir", help="Look here before the user's and the bundled."),
]

PutInto = Annotated[
    Path | None,
    typer.Option("--models-dir", help="Put it here, not among the user's models."),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="In place of another model of its name.")
]


@models.command("list")
def models_list(models_dir: ModelsDir = None) -> None:
    """List the models that a configuration can name."""
    from sidecar.app.stages import model_search
    from sidecar.classify.catalogue import listing

    for entry in listing(model_search(models_dir)):
        about = f"BROKEN: {entry.faults[0]}" if entry.faults else entry.folder
        typer.echo(f"{entry.name}\t{about}")


@models.command("show")
def models_show(name: str, models_dir: ModelsDir = None) -> None:
    """Print a model's manifest as JSON."""
    from sidecar.app.stages import find_manifest

    manifest = find_manifest(name, models_dir)
    typer.echo(json.dumps(manifest.model_dump(mode="json"), indent=2))


@models.command("verify")
def models_verify(name: str, models_dir: ModelsDir = None) -> None:
    """Load a model and prove that it does what its manifest says."""
    from sidecar.app.stages import find_manifest
    from sidecar.classify.catalogue import verify

    report = verify(find_manifest(name, models_dir))
    _tell(report)
    if not report.ok:
        raise ConfigError(f"model {name!r} does not do what its manifest says")


@importing.command("nsfwjs")
def import_nsfwjs(
    tarball: Annotated[
        Path | None,
        typer.Option(help="The package as `npm pack` brings it; else npm is asked."),
    ] = None,
    variant: Annotated[
        str, typer.Option(help="v2 (`nsfwjs`), or mid: larger (`nsfwjs-mid`).")
    ] = "v2",
    models_dir: PutInto = None,
    replace: Replace = False,
) -> None:
    """Fetch nsfwjs (MIT) from npm, convert it, and prove that it says the same."""
    from sidecar.config.places import user_models
    from sidecar.models import npm, nsfwjs
    from sidecar.models.tarball import read_tarball

    if variant not in list(nsfwjs.Variant):
        raise ConfigError(f"--variant {variant!r} is not known; use v2 or mid")
    if tarball is None:
        typer.echo(f"fetching {nsfwjs.PACKAGE} (25 MB) with npm", err=True)
    data = read_tarball(tarball) if tarball else npm.pack(nsfwjs.PACKAGE)
    folder = models_dir or user_models()
    chosen = nsfwjs.Variant(variant)
    _installed(*nsfwjs.import_nsfwjs(data, chosen, folder, replace=replace))


@importing.command("onnx")
def import_onnx(
    file: Annotated[Path, typer.Argument(help="The ONNX file.")],
    manifest: Annotated[
        Path, typer.Option(help="What it is: a model.yaml (docs/models.md).")
    ],
    preprocessor: Annotated[
        Path | None, typer.Option(help="Hugging Face's preprocessor_config.json.")
    ] = None,
    models_dir: PutInto = None,
    replace: Replace = False,
) -> None:
    """Bring a classifier or a detector of your own in, baked and proved.

    Where the manifest and the graph differ, both are told with the mend; on a terminal
    each mend can be taken at once.
    """
    import sys

    from sidecar.config.places import user_models
    from sidecar.models import onnx_import
    from sidecar.models.dialogue import settle
    from sidecar.models.source import open_source

    source = open_source(file, manifest)
    ask = _ask if sys.stdin.isatty() else None
    card = settle(source, preprocessor, ask, lambda line: typer.echo(line, err=True))
    folder = models_dir or user_models()
    _installed(*onnx_import.import_onnx(source, card, folder, replace=replace))


def _ask(question: str) -> bool:
    return typer.confirm(question, default=True, err=True)


def _installed(manifest: "Manifest", report: "VerifyReport") -> None:
    _tell(report)
    typer.echo(
        f"installed in {manifest.path.parent}; a configuration uses it with"
        f" `model: {manifest.name}`"
    )


def _tell(report: "VerifyReport") -> None:
    for found in report.checks:
        typer.echo(f"{'ok  ' if found.ok else 'FAIL'} {found.name}: {found.detail}")
