"""Arguments and exit codes, nothing else.

Exit codes: 0 as asked; 1 it failed while running; 2 a configuration, a model or an
argument is wrong, and stderr says where; 130 interrupted from the keyboard.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from sidecar import __version__
from sidecar.audit.commands import audit
from sidecar.bench.commands import bench, models_bench
from sidecar.domain import Category
from sidecar.errors import ConfigError, SidecarError
from sidecar.log import get_logger, setup
from sidecar.models.commands import models
from sidecar.replay.commands import replay, tune

EXIT_FAILED: Final = 1
EXIT_CONFIG: Final = 2
EXIT_INTERRUPTED: Final = 130
CODECS: Final = ("vp8", "h264")

_NO_RUNTIME: Final = (
    "no runtime for the models is installed; mend: pip install onnxruntime for CPUs,"
    " onnxruntime-gpu for NVIDIA, or onnxruntime-openvino for Intel, and one only"
)

cli = typer.Typer(
    name="sidecar",
    help="Watches live WebRTC streams and publishes takedown signals over MQTT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(models, name="models")
models.command("bench")(models_bench)
cli.add_typer(bench, name="bench")
cli.add_typer(audit, name="audit")
cli.command("replay")(replay)
cli.command("tune")(tune)

ConfigPath = Annotated[Path, typer.Argument(help="A YAML configuration file.")]


@cli.command()
def run(config: ConfigPath) -> None:
    """Run beside a media server until SIGTERM."""
    from sidecar.app.run import run_until_signal
    from sidecar.config import load
    from sidecar.malloc import keep_freed_memory

    loaded = load(config)
    setup(loaded.log.format, loaded.log.level)
    keep_freed_memory()
    asyncio.run(run_until_signal(loaded, config))


@cli.command()
def check(
    configs: Annotated[list[Path], typer.Argument(help="Configuration files.")],
) -> None:
    """Check configuration files: 0, or 2 with each fault and its mend."""
    from sidecar.app.models import check as check_config
    from sidecar.config import load

    faults: list[str] = []
    for path in configs:
        try:
            check_config(load(path))
        except ConfigError as exc:
            faults += exc.faults
        else:
            typer.echo(f"{path}: good")
    if faults:
        raise ConfigError(*faults)


@cli.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End after the first takedown.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, no display.")
    ] = False,
    category: Annotated[
        str, typer.Option(help="Which test card is shown.")
    ] = "sexual.explicit",
    codec: Annotated[str, typer.Option(help="vp8 or h264.")] = "vp8",
) -> None:
    """See a takedown for a real WebRTC stream; everything is embedded."""
    from sidecar.demo.run import DemoSettings, run_demo

    if codec not in CODECS:
        raise ConfigError(f"--codec {codec!r} is not known; use vp8 or h264")
    setup("console", "error")
    settings = DemoSettings(
        category=_card_category(category), codec=codec, once=once, as_json=as_json
    )
    raise typer.Exit(asyncio.run(run_demo(settings)))


@cli.command()
def testcard(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="card.png, clip.mp4 or clip.webm")
    ],
    category: Annotated[
        str, typer.Option(help="Which card: a category with a test card, or safe.")
    ] = "sexual.explicit",
    width: Annotated[int, typer.Option(min=64, max=3840)] = 1280,
    height: Annotated[int, typer.Option(min=64, max=2160)] = 720,
) -> None:
    """Draw a harmless test card as a picture, or as a clip that starts clean."""
    from sidecar.testcard.cards import write_card
    from sidecar.testcard.clip import Clip, write_clip

    card = _card_category(category)
    suffix = output.suffix.lower()
    if suffix == ".png":
        write_card(card, output, width, height)
    elif suffix in {".mp4", ".webm"}:
        write_clip(output, card, Clip(width=width // 2 * 2, height=height // 2 * 2))
    else:
        raise ConfigError(
            f"-o {output}: suffix {suffix!r} is not known; use .png, .mp4 or .webm"
        )
    typer.echo(f"wrote {output}", err=True)


def _card_category(text: str) -> Category:
    from sidecar.testcard.cards import CATEGORIES

    for category in CATEGORIES:
        if category.value == text:
            return category
    known = ", ".join(category.value for category in CATEGORIES)
    raise ConfigError(f"--category {text!r}: there is no such card; use one of {known}")


@cli.command()
def schema(
    asyncapi: Annotated[
        bool, typer.Option("--asyncapi", help="The AsyncAPI document instead.")
    ] = False,
) -> None:
    """Print the JSON Schemas of all MQTT messages."""
    from sidecar.publish.schema import asyncapi as document
    from sidecar.publish.schema import json_schemas

    typer.echo(json.dumps(document() if asyncapi else json_schemas(), indent=2))


@cli.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """The command `sidecar`."""
    setup()
    try:
        cli()
    except ConfigError as exc:
        for fault in exc.faults:
            print(f"error: {fault}", file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    except SidecarError as exc:
        print(f"error: {exc}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as exc:
        if isinstance(exc, ModuleNotFoundError) and exc.name == "onnxruntime":
            print(f"error: {_NO_RUNTIME}", file=sys.stderr)
            sys.exit(EXIT_CONFIG)
        get_logger(__name__).exception("crashed")
        sys.exit(EXIT_FAILED)
