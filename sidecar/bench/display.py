"""Rows as a table for people."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sidecar.bench.load import LoadReport
from sidecar.bench.rows import RATIOS, Round

_HEADS = ("receiver", "codec", "streams", "CPU/stream", "taken/due", "MB/stream", "lag")


def table(rows: Sequence[Round]) -> Table:
    """The table; CPU in per cent of one core, the loop's worst lag in milliseconds."""
    made = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for index, head in enumerate(_HEADS):
        made.add_column(head, justify="left" if index < 2 else "right", no_wrap=True)  # noqa: PLR2004
    for row in rows:
        made.add_row(
            row.receiver,
            row.codec,
            str(row.streams),
            f"{row.cpu_percent_per_stream:.2f} %",
            f"{row.samples_taken}/{row.samples_due}",
            _shown(row.rss_mb_per_stream),
            _shown(row.loop_lag_ms),
        )
    return made


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def show(rows: Sequence[Round], said: Mapping[str, object]) -> None:
    """Prints rows and ratios."""
    console = Console()
    console.print(table(rows))
    for key, ours, other in RATIOS:
        if said[key] is not None:
            console.print(f"{ours}: {said[key]} times cheaper than {other}")


def show_load(found: LoadReport) -> None:
    """Prints a load's row and what it left."""
    console = Console()
    console.print(table([found.row]))
    console.print(
        f"{found.live} of {found.row.streams} live at the end, {found.losses} losses; "
        f"{found.rss_mb} MB in all, {found.rss_growth_mb:+} MB while measured; left: "
        f"{found.tasks_left} tasks, {found.sockets_left} sockets, "
        f"{found.threads_left} threads"
    )
