"""The figures of `sidecar bench batch` as tables for people."""

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sidecar.bench.batch_rows import ModelRow
from sidecar.bench.model_bench import Measured, as_yaml

_SATURATED = ("model", "runs on", "batch", "bare/s", "stage/s", "of bare")
_PACED = ("model", "samples/s", "cores", "bare cores", "p50 ms", "p99 ms", "added p99")


def show_batch(rows: Sequence[ModelRow]) -> None:
    """Prints both tables; a dash where the model cannot keep the pace."""
    console = Console()
    saturated, paced = _table(_SATURATED), _table(_PACED)
    for row in rows:
        said = row.as_json()
        on = f"{row.provider}, {row.callers} of {row.threads} threads"
        saturated.add_row(
            row.model,
            on,
            str(row.batch),
            f"{said['bare_samples_per_s']:.1f}",
            f"{said['stage_samples_per_s']:.1f}",
            f"{said['fraction_of_bare']:.3f}",
        )
        for pace in (*row.paced, row.half_load):
            _add(paced, row.model, pace.as_json())
    console.print(saturated)
    console.print(paced)


def _add(table: Table, model: str, pace: dict[str, Any]) -> None:
    keys = ("cpu_cores", "bare_cpu_cores", "p50_ms", "p99_ms", "added_ms_p99")
    figures = ("-" if pace[key] is None else str(pace[key]) for key in keys)
    table.add_row(model, f"{pace['rate']:g}", *figures)


def _table(heads: Sequence[str]) -> Table:
    made = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for head in heads:
        left = head in {"model", "runs on"}
        made.add_column(head, justify="left" if left else "right", no_wrap=True)
    return made


def show_ways(rows: Sequence[Measured], best: Measured) -> None:
    """Prints every way to run a model, and the settings of the one to take."""
    console = Console()
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for head in ("provider", "threads", "callers", "batch", "samples/s", "ms a batch"):
        table.add_column(head, justify="left" if head == "provider" else "right")
    for row in rows:
        table.add_row(
            row.provider,
            str(row.threads),
            str(row.callers),
            str(row.batch),
            f"{row.samples_per_s:.1f}",
            f"{row.batch_ms:.1f}",
            style="bold" if row is best else None,
        )
    console.print(table)
    console.print("Recommended, as measured on this host just now:\n")
    console.print(as_yaml(best), highlight=False)
