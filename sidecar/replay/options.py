"""The options of `sidecar replay`, each with its help."""

from pathlib import Path
from typing import Annotated

import typer

Given = Annotated[
    list[str],
    typer.Argument(
        help="Video files, folders of them, or recordings; and whip's URL.",
        metavar="INPUT",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, no table.")]
Policy = Annotated[
    Path | None,
    typer.Option(help="Policies, or a configuration; the demo's without it."),
]
Diff = Annotated[
    tuple[Path, Path] | None,
    typer.Option(help="Two policies: which takedowns appear, vanish, move."),
]
Record = Annotated[
    Path | None,
    typer.Option(help="Write what came of it as a recording, .jsonl or .jsonl.gz."),
]
Realtime = Annotated[bool, typer.Option("--realtime", help="A second takes a second.")]
Via = Annotated[
    str | None,
    typer.Option(help="By WebRTC, in real time: whip URL: to that; whep: at --listen."),
]
Listen = Annotated[
    str, typer.Option(help="Where whep serves the video; port 0: a free one.")
]
Control = Annotated[
    str | None,
    typer.Option(help="URL of the sidecar's control API: it watches the video."),
]
TokenFile = Annotated[
    Path | None, typer.Option(help="For whip, --listen; or SIDECAR_REPLAY_TOKEN.")
]
ControlTokenFile = Annotated[
    Path | None, typer.Option(help="For --control; or SIDECAR_CONTROL_TOKEN.")
]
Loss = Annotated[float, typer.Option(help="Share of packets lost.", min=0, max=0.9)]
JitterMs = Annotated[float, typer.Option(help="Packets late by.", min=0)]
Kbps = Annotated[float, typer.Option(help="The way's width; 0: any.", min=0)]
Labels = Annotated[
    Path | None,
    typer.Option(help="CSV of stream,start,end,category: how good was it?"),
]
FailUnder = Annotated[
    str | None,
    typer.Option(help="Such as recall=0.95,false_takedowns_per_1000h=1; exit 1."),
]
Prevalence = Annotated[
    list[float] | None,
    typer.Option(help="Precision if this share of streams is bad.", min=0, max=1),
]
Junit = Annotated[Path | None, typer.Option(help="Write JUnit XML.")]
Html = Annotated[
    Path | None, typer.Option(help="Write one HTML file with all timelines.")
]
