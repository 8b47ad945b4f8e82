"""From a sample in hand to its scores at a subscriber, at half of the model's capacity.

One `sidecar run` and one Mosquitto, processes of their own on this host; streams are
looped video files, sampled so often that the model has half of the samples that it can
take. What it can take is measured first: bare `session.run`, in the same batches and
threads. Prints one JSON object, in which the 99th percentile stands beside what it may
be: that of the inference, plus `max_queue_delay_s`, plus 15 ms.

    python -m benchmarks.sample_to_broker --model testcard --samples 50
    python -m benchmarks.sample_to_broker            # a slim random ResNet-50

A sample is in hand when its picture is decoded and scaled; both instants are read from
this machine's one clock. With `--samples` it is so many a second instead of half load.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from sidecar.app.stages import find_manifest
from sidecar.bench.batch_rows import percentile
from sidecar.bench.batch_stage import bare_throughput
from sidecar.bench.random_model import NAME as RESNET50
from sidecar.bench.random_model import ResNetSettings, write_resnet50
from sidecar.classify import calibration, graph
from sidecar.classify.layout import Layout
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_session import EngineSettings
from sidecar.testcard.clip import Clip, write_clip
from tests.e2e.collector import Collector, Heard
from tests.e2e.mosquitto import Mosquitto
from tests.e2e.sidecar_process import Settings, SidecarProcess, rule, settings

DELAY_S: Final = 0.005
ALLOWED_MS: Final = 15.0
WARM_UP_S: Final = 4.0
_CAPACITY_S: Final = 3.0
_FPS: Final = (24, 25, 26, 27, 28, 29, 30, 31)  # no two in step, as live
_MOST: Final = 4  # pictures a batch, as `auto` has it
_WIDTH: Final = 16  # of the random ResNet-50: a sixteenth of its work
_LEGS: Final = ("queue", "inference")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        model: Name, or a model's folder.
        streams: At once.
        seconds: Measured, after a warm-up.
        samples_per_s: Of all streams; None: half of what the model can do.
        batch: The most pictures in one; None: as in production, measured.
    """

    model: str
    streams: int
    seconds: float
    samples_per_s: float | None
    batch: int | None = None


def measure(plan: Plan, folder: Path) -> dict[str, Any]:
    """The report."""
    if plan.model == RESNET50:
        write_resnet50(folder / RESNET50, ResNetSettings(width=_WIDTH))
    manifest = find_manifest(plan.model, folder)
    layout, batch, capacity = _capacity(manifest, plan.batch)
    rate = plan.samples_per_s or capacity / 2
    config = _settings(plan, folder, manifest, rate, batch)
    config["engine"] = {"threads": layout.threads, "callers": layout.callers}
    with _running(folder, config) as (sidecar, collector):
        time.sleep(WARM_UP_S)
        seen = len(collector.messages)
        time.sleep(plan.seconds)
        heard = [m for m in collector.messages[seen:] if m.kind == "scores"]
        lost = sidecar.metric("sidecar_lost_total")
    found = report(heard, plan.seconds, capacity)
    return {
        "model": manifest.name,
        "streams": plan.streams,
        "batch": batch,
        "callers": layout.callers,
        "threads": layout.threads,
        **found,
        "lost": lost,
    }


def _capacity(manifest: Manifest, batch: int | None) -> tuple[Layout, int, float]:
    """Layout and batch as in production, and the bare model's samples a second."""
    wanted = EngineSettings(None, None, batch or _MOST)
    session = calibration.best_session(manifest, wanted, graph.prepare(manifest))
    batch = batch or calibration.brief_batch(session)
    spec = manifest.input
    black = np.zeros((batch, spec.height, spec.width, 3), np.uint8)
    capacity = bare_throughput(session, black, batch, _CAPACITY_S)
    return session.layout, batch, capacity


@contextmanager
def _running(
    folder: Path, config: Settings
) -> Iterator[tuple[SidecarProcess, Collector]]:
    broker = Mosquitto(folder)
    collector = Collector(broker.port)
    config["mqtt"] = {"host": "127.0.0.1", "port": broker.port, "scores": True}
    sidecar = SidecarProcess(folder, config)
    try:
        sidecar.wait_ready()
        yield sidecar, collector
    finally:
        sidecar.child.end()
        collector.close()
        broker.child.end()


def _settings(
    plan: Plan, folder: Path, manifest: Manifest, rate: float, batch: int
) -> Settings:
    category = next(one for _, one in manifest.categories.labels[::-1] if one)
    rules = [rule(category=category.value, enter=1.0, exit=0.9)]
    streams = []
    for number in range(plan.streams):
        film = folder / f"film-{number}.webm"
        write_clip(film, None, Clip(width=320, height=180, fps=_FPS[number % 8]))
        streams.append({"id": film.stem, "file": {"path": str(film), "loop": True}})
    return settings(
        folder,
        0,
        model=plan.model,
        models_dir=str(folder),
        streams=streams,
        sampling={"interval_s": round(plan.streams / rate, 4), "decode": "all"},
        batch={"max_batch_size": batch, "max_queue_delay_s": DELAY_S},
        policies=[{"name": "benchmark", "rules": rules}],
    )


def report(heard: Sequence[Heard], seconds: float, capacity: float) -> dict[str, Any]:
    """Percentiles, and the bound beside the one that has one."""
    if not heard:
        raise SystemExit("no scores were heard: see whether the model keeps the pace")
    whole = [to_broker_ms(message) for message in heard]
    legs = {leg: [m.body["timings_ms"][leg] for m in heard] for leg in _LEGS}
    allowed = percentile(legs["inference"], 99) + 1000 * DELAY_S + ALLOWED_MS
    rate = len(heard) / seconds
    return {
        "samples": len(heard),
        "samples_per_s": round(rate, 1),
        "of_bare_capacity": round(rate / capacity, 2),
        "sample_to_broker_ms": _shown(whole),
        **{f"{leg}_ms": _shown(values) for leg, values in legs.items()},
        "allowed_p99_ms": round(allowed, 1),
        "within": percentile(whole, 99) <= allowed,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def to_broker_ms(message: Heard) -> float:
    """From the picture in hand to the subscriber."""
    timings = message.body["timings_ms"]
    captured = datetime.fromisoformat(message.body["captured_at"]).timestamp() * 1000
    in_hand = captured + timings["receive"] + timings["decode"]
    return float(message.unix_ms - in_hand)


def _shown(values: Sequence[float]) -> dict[str, float]:
    return {f"p{p}": round(percentile(values, p), 1) for p in (50, 90, 99)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=RESNET50)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--samples", type=float, help="a second; half load if absent")
    parser.add_argument("--batch", type=int, help="pictures at most")
    args = parser.parse_args()
    plan = Plan(args.model, args.streams, args.seconds, args.samples, args.batch)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(plan, Path(folder))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
