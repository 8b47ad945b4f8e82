"""The commands below `sidecar bench`; what is slow to import is so where it is used."""

import asyncio
import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sidecar.errors import ConfigError
from sidecar.log import setup

if TYPE_CHECKING:
    from sidecar.bench.rows import Round

_CODECS: Final = {"vp8": ("VP8",), "h264": ("H264",), "both": ("VP8", "H264")}

_LONGEST: Final = 1600  # pixels: the noise that the clip is cut from has no more

bench = typer.Typer(help="What a stream costs on this machine.", no_args_is_help=True)

ModelsDir = Annotated[
    Path | None,
    typer.Option("--models-dir", help="Look here before the user's and the bundled."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, no table.")]
Streams = Annotated[int, typer.Option(min=1, help="At once.")]
Seconds = Annotated[float, typer.Option(min=0.5, help="Measured, after a warm-up.")]


@bench.command("ingest")
def ingest(  # noqa: PLR0913, PLR0917 - one parameter for each option
    codec: Annotated[str, typer.Option(help="vp8, h264 or both.")] = "both",
    streams: Annotated[
        str, typer.Option(help="At once; several numbers, as 1,10,20, in turn.")
    ] = "10",
    seconds: Seconds = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Medians are of these.")] = 3,
    receiver: Annotated[
        list[str] | None,
        typer.Option(help="Only this one; may be repeated. All that are installed."),
    ] = None,
    loss: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of packets lost on the way.")
    ] = 0.0,
    size: Annotated[str, typer.Option(help="Of the pictures.")] = "1280x720",
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds, each round.")] = 6.0,
    plot: Annotated[
        Path | None, typer.Option(help="CPU against streams is drawn into it (SVG).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure this receiver beside the obvious script and GStreamer, on loopback.

    30 pictures and 2 Mbit a second, a keyframe every two seconds. At least two cores
    are needed: senders have their own, and ten streams take two thirds of one.
    Receivers that decode everything get four streams at most.
    """
    from sidecar.bench.display import show
    from sidecar.bench.ingest import KINDS, BenchSettings, bench_ingest
    from sidecar.bench.plot import draw
    from sidecar.bench.rows import report, summary
    from sidecar.domain import Codec

    known = [kind.name for kind in KINDS]
    for name in receiver or ():
        _known("--receiver", name, known)
    _known("--codec", codec, _CODECS)
    width, height = _size(size)
    settings = BenchSettings(
        codecs=tuple(map(Codec, _CODECS[codec])),
        streams=_numbers(streams),
        seconds=seconds,
        rounds=rounds,
        warm_up_s=warm_up,
        loss=loss,
        receivers=tuple(receiver or ()),
        width=width,
        height=height,
    )
    rows = summary(asyncio.run(bench_ingest(settings, _tell)))
    said = report(rows)
    if plot is not None:
        _write(plot, draw(rows))
    if as_json:
        typer.echo(json.dumps(said))
    else:
        show(rows, said)


def _tell(one: "Round") -> None:
    """A round of the bench is done."""
    cost = f"{one.cpu_percent_per_stream:.2f} % a stream"
    typer.echo(f"{one.codec} {one.receiver} x {one.streams}: {cost}", err=True)


@bench.command("batch")
def batch(  # noqa: PLR0913, PLR0917 - one parameter for each option
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model; may be repeated. Three of different sizes."),
    ] = None,
    models_dir: ModelsDir = None,
    size: Annotated[
        int, typer.Option("--batch", min=1, max=1024, help="Pictures a batch.")
    ] = 4,
    threads: Annotated[
        int, typer.Option(min=0, help="Cores a batch; 0: as in production, measured.")
    ] = 0,
    callers: Annotated[
        int, typer.Option(min=0, help="Batches at a time; 0: likewise.")
    ] = 0,
    seconds: Seconds = 2.0,
    rounds: Annotated[int, typer.Option(min=1, help="Medians are of these.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Measure the classify stage beside a bare `session.run` of the same batch.

    Saturated, at 10 and at 50 samples a second, and at half load.
    """
    from sidecar.bench.batch import BatchBench
    from sidecar.bench.batch_command import run
    from sidecar.classify.onnx_session import EngineSettings
    from sidecar.classify.planner import PlannerSettings

    setup("console", "error")
    engine = EngineSettings(threads or None, callers or None, max_batch_size=size)
    # Nobody gives way: what a hiccup of the machine holds up shows as latency.
    planner = PlannerSettings(
        size, max_queue_delay_s=0.0, max_age_s=60.0, per_stream=256, capacity=16_384
    )
    settings = BatchBench(engine, planner, seconds, rounds)
    run(model, models_dir, settings, as_json=as_json)


def models_bench(
    name: str,
    models_dir: ModelsDir = None,
    seconds: Annotated[float, typer.Option(min=0.05, help="Of each row.")] = 1.0,
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, max=1024, help="A size; may be repeated. 1, 2, 4 and 8."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure providers, threads and batch sizes on this host; recommend settings."""
    from sidecar.app.stages import find_manifest
    from sidecar.bench.batch_display import show_ways
    from sidecar.bench.model_bench import SIZES, as_json_of, measure, recommended

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    manifest = find_manifest(name, models_dir)
    rows = list(measure(manifest, tuple(batch or SIZES), seconds, tell))
    best = recommended(rows)
    if as_json:
        typer.echo(json.dumps(as_json_of(rows, best)))
    else:
        show_ways(rows, best)


@bench.command("load")
def load(
    whep: Annotated[
        str, typer.Option(help="The WHEP endpoint's URL; {index}: 0, 1, …")
    ],
    streams: Streams = 10,
    seconds: Seconds = 60.0,
    interval: Annotated[
        float, typer.Option(min=0.1, help="Seconds between samples of a stream.")
    ] = 2.0,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="SIDECAR_BENCH_TOKEN", help="Bearer token; better by environment."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold real WHEP sessions against a media server, and tell their cost."""
    from sidecar.bench.display import show_load
    from sidecar.bench.load import bench_load
    from sidecar.bench.load_receiver import LoadSettings

    settings = LoadSettings(whep, streams, interval, token)
    found = asyncio.run(bench_load(settings, seconds))
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    else:
        show_load(found)


def _known(option: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ConfigError(f"{option} {value!r} is not known; use {', '.join(known)}")


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers of streams, each of them 1 at least."""
    words = text.split(",")
    if not all(word.isascii() and word.isdecimal() and int(word) for word in words):
        raise ConfigError(f"--streams {text!r}: write it as 10, or 1,10,20")
    return tuple(map(int, words))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"--plot {path}: {exc.strerror}") from exc


def _size(text: str) -> tuple[int, int]:
    """Width and height; the clip is made of blocks of eight pixels."""
    width, _, height = text.partition("x")
    sides = [int(side) for side in (width, height) if side.isdecimal()]
    fits = [side for side in sides if side % 8 == 0 and 0 < side <= _LONGEST]
    if len(fits) != len("xy"):
        raise ConfigError(
            f"--size {text!r}: write it as 1280x720; multiples of 8, {_LONGEST} at most"
        )
    return fits[0], fits[1]
