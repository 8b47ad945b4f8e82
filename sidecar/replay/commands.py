"""`sidecar replay`, `sidecar tune`; what is slow to import is so where it is used."""

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from sidecar.errors import ConfigError
from sidecar.replay import options

if TYPE_CHECKING:
    from sidecar.config import Config
    from sidecar.replay.inputs import Inputs
    from sidecar.replay.outcome import Outcome

_INTERRUPTED: Final = 130


def replay(  # noqa: PLR0913, PLR0917 - one parameter for each option
    given: options.Given,
    policy: options.Policy = None,
    diff: options.Diff = None,
    record: options.Record = None,
    realtime: options.Realtime = False,
    via: options.Via = None,
    listen: options.Listen = "127.0.0.1:0",
    control: options.Control = None,
    token_file: options.TokenFile = None,
    control_token_file: options.ControlTokenFile = None,
    loss: options.Loss = 0.0,
    jitter_ms: options.JitterMs = 0.0,
    kbps: options.Kbps = 0.0,
    labels: options.Labels = None,
    fail_under: options.FailUnder = None,
    prevalence: options.Prevalence = None,
    junit: options.Junit = None,
    html: options.Html = None,
    as_json: options.AsJson = False,
) -> None:
    """Judge videos or recordings as if they were live, as fast as the machine goes."""
    from sidecar.log import setup
    from sidecar.replay.inputs import inputs
    from sidecar.replay.network import Network
    from sidecar.replay.telling import Asked

    asked = Asked(labels, fail_under, tuple(prevalence or ()), junit, html, as_json)
    setup("console", "error")
    urls = [one for one in given if "://" in one]
    found = inputs([Path(one) for one in given if one not in urls])
    if via is not None:
        from sidecar.replay.sending import Sending

        judged = {"policy": policy, "diff": diff, "record": record, "labels": labels}
        told = {"fail-under": fail_under, "junit": junit, "html": html}
        _require_nothing_to_judge({**judged, **told})
        network = Network(loss, jitter_ms / 1000, kbps * 1000)
        tokens = (token_file, control_token_file)
        Sending(via, urls, listen, control, *tokens, network).run(found, typer.echo)
        return
    if urls:
        raise ConfigError(f"{urls[0]}: a URL goes with --via whip only")
    with _stoppable() as stop:
        if diff is not None:
            _diff(found, diff, stop, as_json=as_json)
            good = True
        else:
            outcome = _outcome(found, _config(policy), stop, record, realtime=realtime)
            good = asked.tell(outcome, found.epoch)
    if stop.is_set():
        raise typer.Exit(_INTERRUPTED)
    if not good:
        raise typer.Exit(1)


def tune(  # noqa: PLR0913, PLR0917 - one parameter for each option
    recordings: Annotated[
        list[Path], typer.Argument(help="Recordings, or folders of them.")
    ],
    labels: Annotated[Path, typer.Option(help="CSV of stream,start,end,category.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The policy file to write.")
    ] = Path("tuned.yaml"),
    html: Annotated[Path | None, typer.Option(help="Write a report.")] = None,
    recall: Annotated[
        float, typer.Option(help="Share of streams to be found.", min=0.01, max=0.999)
    ] = 0.9,
    false_per_1000h: Annotated[
        float, typer.Option("--false-per-1000h", help="To be shown.", min=0.001)
    ] = 10.0,
    as_json: options.AsJson = False,
) -> None:
    """Find the thresholds that labelled recordings speak for; refuses to guess."""
    from rich.console import Console

    from sidecar.log import setup
    from sidecar.replay.display import progress_bar
    from sidecar.replay.tune_run import Tuning
    from sidecar.replay.tuning import Wishes

    setup("console", "error")
    wishes = Wishes(recall, false_per_1000h)
    tuning = Tuning(tuple(recordings), labels, output, html, wishes, as_json)
    seen = Console(stderr=True).is_terminal
    with progress_bar() if seen else nullcontext(_silent) as tell:
        tuning.run(tell)


def _outcome(
    given: "Inputs",
    config: "Config",
    stop: Event,
    record: Path | None = None,
    *,
    realtime: bool = False,
) -> "Outcome":
    from rich.console import Console

    from sidecar.replay.display import progress_bar
    from sidecar.replay.run import Ways
    from sidecar.replay.run import replay as run_replay

    seen = Console(stderr=True).is_terminal
    with progress_bar() if seen else nullcontext(_silent) as tell:
        return run_replay(given, config, Ways(stop, tell, record, realtime))


def _silent(_stream: str, _at: float, _length_s: float | None, _samples: int) -> None:
    """Nobody looks."""


def _diff(
    given: "Inputs", files: tuple[Path, Path], stop: Event, *, as_json: bool
) -> None:
    from sidecar.app.stages import policy_set
    from sidecar.recording.column_log import columns_of
    from sidecar.recording.diff import difference
    from sidecar.recording.whatif import what_if
    from sidecar.replay.display import show_difference
    from sidecar.replay.outcome import difference_json

    old, new = (_config(file) for file in files)
    if given.recording is None:
        _require_same_looks(old, new)
        columns = _outcome(given, old, stop).log.snapshot()
    else:
        columns = columns_of(given.recording)
    found = difference(
        what_if(columns, policy_set(old)), what_if(columns, policy_set(new))
    )
    if as_json:
        _print(difference_json(found, partial=stop.is_set()))
    else:
        show_difference(found)


def _require_nothing_to_judge(asked: Mapping[str, object]) -> None:
    """By WebRTC the running sidecar judges: what asks for more here is a mistake."""
    for option, value in asked.items():
        if value is not None:
            raise ConfigError(
                f"--{option} does not go with --via: the sidecar that the video is "
                "sent to judges it; leave it out, or replay without --via"
            )


def _require_same_looks(old: "Config", new: "Config") -> None:
    """Videos are looked at once: with other samples the two could not be compared."""
    for key in ("model_names", "sampling", "groups"):
        if getattr(old, key) != getattr(new, key):
            raise ConfigError(
                f"--diff on videos: the two files differ in {key!r}, so they would see "
                "different samples; replay each with --record, or make them the same"
            )


def _config(path: Path | None) -> "Config":
    from sidecar.config import load_policies
    from sidecar.replay.builtin import builtin

    return builtin() if path is None else load_policies(path)


def _print(said: Any) -> None:  # noqa: ANN401 - whatever JSON takes
    typer.echo(json.dumps(said))


@contextmanager
def _stoppable() -> Iterator[Event]:
    """The first Ctrl-C ends the replay where it is; the second one the process."""
    stop = Event()

    def on_signal(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, before)

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
