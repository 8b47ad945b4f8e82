"""The commands below `sidecar models`; slow imports are made where they are used."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sidecar.errors import ConfigError

models = typer.Typer(help="The models at hand.", no_args_is_help=True)

ModelsDir = Annotated[
    Path | None,
    typer.Option("--models-dir", help="Look here before the user's and the bundled."),
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
    for found in report.checks:
        typer.echo(f"{'ok  ' if found.ok else 'FAIL'} {found.name}: {found.detail}")
    if not report.ok:
        raise ConfigError(f"model {name!r} does not do what its manifest says")
