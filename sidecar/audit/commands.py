"""`sidecar audit`: whether a log is as it was written."""

from pathlib import Path
from typing import Annotated, Final

import typer

from sidecar.audit.chain import is_hash
from sidecar.audit.journal import check
from sidecar.errors import ConfigError

EXIT_BROKEN: Final = 1

audit = typer.Typer(help="The audit log.", no_args_is_help=True)


@audit.callback()
def _commands() -> None:
    """Keeps `verify` a word of its own while it is the only one."""


@audit.command()
def verify(
    file: Annotated[Path, typer.Argument(help="An audit log, audit.jsonl.")],
    head: Annotated[
        str | None,
        typer.Option(help="A hash noted earlier, elsewhere: it must be in the chain."),
    ] = None,
) -> None:
    """Follow the chain of an audit log: 0 if it holds, 1 if it was meddled with."""
    if head is not None and not is_hash(head):
        raise ConfigError(f"--head {head!r}: a hash is 64 hexadecimal digits")
    try:
        found = check(file)
    except OSError as exc:
        raise ConfigError(f"{file}: cannot be read: {exc.strerror}") from exc
    if found is None:
        raise ConfigError(f"{file}: there is no such file; give an audit log")
    report = found.report
    fault = report.fault
    if fault is None and head is not None and head not in found.hashes:
        fault = f"the entry with hash {head} is missing: the end was cut off, or all"
    typer.echo(f"{file}: {report.entries} entries hold, the last is {report.head}")
    if fault is not None:
        typer.echo(f"{file}: BROKEN: {fault}", err=True)
        raise typer.Exit(EXIT_BROKEN)
