"""`sidecar bench batch`: arguments to settings, figures to stdout."""

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import typer

from sidecar.app.stages import find_manifest
from sidecar.bench.batch import BatchBench, RandomModel, bench_batch
from sidecar.bench.batch_display import show_batch
from sidecar.bench.batch_rows import report
from sidecar.bench.random_model import NAME as RESNET50
from sidecar.classify.manifest import Manifest
from sidecar.errors import ManifestError

MODELS: Final = ("testcard", "nsfwjs", RESNET50)


def run(
    names: list[str] | None,
    models_dir: Path | None,
    settings: BatchBench,
    *,
    as_json: bool,
) -> None:
    """Measures and prints.

    Raises:
        ManifestError: A model that was named is not there.
    """
    with ExitStack() as stack:
        manifests = _manifests(names, models_dir, stack)
        rows = asyncio.run(bench_batch(manifests, settings, _tell))
    if as_json:
        typer.echo(json.dumps(report(rows)))
    else:
        show_batch(rows)


def _manifests(
    names: list[str] | None, models_dir: Path | None, stack: ExitStack
) -> list[Manifest]:
    """Those named; of the usual ones those that are there."""
    found = []
    for name in names or MODELS:
        if name == RESNET50:
            found.append(stack.enter_context(RandomModel()))
            continue
        try:
            found.append(find_manifest(name, models_dir))
        except ManifestError:
            if names:
                raise
            _tell(f"{name} is left out: sidecar models import {name}")
    return found


def _tell(line: str) -> None:
    typer.echo(line, err=True)
