"""A replay for people: the bar while it runs, and tables of what came of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sidecar.recording.diff import Difference
from sidecar.recording.whatif import Fired
from sidecar.replay.calibration import Calibration
from sidecar.replay.demands import Verdict
from sidecar.replay.intervals import quantile
from sidecar.replay.metrics import LEGS, QUANTILES, Figures
from sidecar.replay.outcome import Outcome
from sidecar.replay.tuning import Tuned

_SHOWN = 40  # lines of a table; --json has all of them
Tell = Callable[[str, float, float | None, int], None]


@contextmanager
def progress_bar() -> Iterator[Tell]:
    """A bar on stderr, if that is a terminal: share, time left, samples a second."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def tell(stream: str, at: float, length_s: float | None, samples: int) -> None:
        if stream not in tasks:
            tasks[stream] = bar.add_task(stream, total=length_s, said="")
        task = tasks[stream]
        elapsed = bar.tasks[task].elapsed
        rate = samples / elapsed if elapsed else 0.0
        said = f"{clock(at)}, {samples} samples, {rate:.0f}/s"
        bar.update(task, completed=at, said=said)

    with bar:
        yield tell


def show(outcome: Outcome) -> None:
    """Prints one line a stream, then one an action."""
    console = Console()
    table = _table("stream", "watched", "samples", "unseen", "actions")
    for found in outcome.streams.values():
        table.add_row(
            found.stream.id,
            clock(found.watched_s),
            str(found.samples),
            clock(found.unseen_s),
            str(len(found.actions)),
        )
    console.print(table)
    actions = [one for s in outcome.streams.values() for one in s.actions]
    if actions:
        console.print(_actions(actions))
    if outcome.shadow:
        console.print(
            f"While it was recorded a shadow policy would have acted {outcome.shadow} "
            "times; that counts for nothing here."
        )
    if outcome.lost:
        console.print(f"{outcome.lost} entries are missing from the recording.")
    if outcome.partial:
        console.print("Stopped before the end: this is part of it.")


def show_figures(found: Figures, prevalences: Iterable[float]) -> None:
    """Prints how good it was."""
    console = Console()
    table = _table("figure", "value", "95 % interval")
    for name, one in (
        ("recall, by stream", found.recall),
        ("false takedowns in 1,000 h", found.false_per_1000h),
        ("harmless streams taken down", found.stream_fpr),
    ):
        value = "none" if one.value is None else f"{one.value:.4g}"
        table.add_row(name, value, f"{one.low:.4g} to {one.high:.4g}")
    for leg in (None, *LEGS):
        times = found.times(leg)
        if times:
            values = [f"{quantile(times, q):.2f} s" for q in QUANTILES]
            name = "time to detect" if leg is None else f"  {leg}"
            table.add_row(f"{name}, p50 p90 p99", "  ".join(values), "")
    for prevalence in prevalences:
        precision = found.precision(prevalence)
        value = "none" if precision is None else f"{precision:.4g}"
        table.add_row(f"precision if {prevalence:g} of streams are bad", value, "")
    console.print(table)
    table = _table("category", "found", "missed", "false")
    for category, counts in found.by_category.items():
        counted = (counts.found, counts.missed, counts.false)
        table.add_row(category, *map(str, counted))
    console.print(table)


def show_demands(verdicts: Iterable[Verdict]) -> None:
    """Prints whether each demand was met."""
    console = Console()
    for one in verdicts:
        word = "met" if one.met else "NOT MET"
        found = "nothing to measure" if one.found is None else f"{one.found:.4g}"
        console.print(f"{one.name}: {found}, asked for {one.wanted:g}: {word}")


def show_tuned(
    tuned: Sequence[Tuned], calibrations: Sequence[Calibration], output: Path
) -> None:
    """Prints what is recommended, a line a category."""
    console = Console()
    table = _table("category", "rule", "recall", "false", "median", "temperature")
    for one, calibration in zip(tuned, calibrations, strict=True):
        rule, found = one.best.rule, one.best.found
        p50 = quantile(found.times(), 0.5)
        table.add_row(
            one.category,
            f"{rule.hits} of {rule.of} from {rule.enter:g} within {rule.within_s:g} s",
            "none" if found.recall.value is None else f"{found.recall.value:.2f}",
            str(one.best.false),
            "none" if p50 is None else f"{p50:.1f} s",
            f"{calibration.temperature:g}",
        )
    console.print(table)
    console.print(f"wrote {output}", soft_wrap=True)


def show_difference(found: Difference) -> None:
    """Prints what appears, vanishes and moves."""
    console = Console()
    table = _table("", "stream", "at", "action", "category", "by")
    rows = [("appears", one, "") for one in found.added]
    rows += [("vanishes", one, "") for one in found.removed]
    rows += [
        ("earlier" if m.by_s < 0 else "later", m.new, f"{m.by_s:+.1f} s")
        for m in found.moved
    ]
    rows.sort(key=lambda row: (row[1].stream, row[1].at))
    for what, one, by in rows[:_SHOWN]:
        category = one.category or "not seen"
        table.add_row(what, one.stream, clock(one.at), one.action, category, by)
    if rows:
        console.print(table)
    _say_rest(console, len(rows))
    console.print(
        f"{len(found.added)} appear, {len(found.removed)} vanish, "
        f"{len(found.moved)} move, {found.same} stay."
    )


def clock(seconds: float) -> str:
    """`1:02:03.4`; without the hours if there are none."""
    whole, tenth = divmod(round(abs(seconds) * 10), 10)
    hours, minutes = divmod(whole // 60, 60)
    sign = "-" if seconds < 0 else ""
    short = f"{minutes}:{whole % 60:02}.{tenth}"
    long = f"{hours}:{minutes:02}:{whole % 60:02}.{tenth}"
    return sign + (long if hours else short)


def _actions(actions: list[Fired]) -> Table:
    table = _table("stream", "at", "action", "category", "score", "rule")
    for one in actions[:_SHOWN]:
        table.add_row(
            one.stream,
            clock(one.at),
            one.action,
            one.category or "not seen",
            "" if one.score is None else f"{one.score:.3f}",
            one.rule,
        )
    if len(actions) > _SHOWN:
        table.caption = f"and {len(actions) - _SHOWN} more: --json has all of them"
    return table


def _say_rest(console: Console, count: int) -> None:
    if count > _SHOWN:
        console.print(f"and {count - _SHOWN} more: --json has all of them")


def _table(*heads: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    for head in heads:
        table.add_column(head)
    return table
