"""What worker processes cost and bring: CPU, samples, memory, start and take-over.

For each number of workers one `sidecar run`, alone with its broker; senders in
processes of their own push an encoded clip by WHIP again and again. CPU and memory are
the operating system's accounts of the sidecar and of its workers. Prints a JSON object
for each, and then one of a take-over.

    python -m benchmarks.workers --streams 12 --seconds 12 --interval 2
    python -m benchmarks.workers --streams 8 --seconds 12 --flat-out

Memory is the proportional set size: what several processes share counts once.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from sidecar.bench.child import Child, child, module
from sidecar.bench.clip import ClipSettings, cached
from sidecar.bench.sender import SenderSettings
from sidecar.domain import Category, Codec
from sidecar.testcard.clip import Clip, write_clip
from tests.e2e.mosquitto import Mosquitto
from tests.e2e.processes import until
from tests.e2e.sidecar_process import SidecarProcess, settings, whip
from tests.fakes.workers import children_of

WARM_UP_S: Final = 6.0
PER_SENDER: Final = 8
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured.

    Attributes:
        streams: At once.
        seconds: Measured, after a warm-up.
        decode: `keyframes` or `all`.
        interval_s: Between two samples of a stream.
    """

    streams: int
    seconds: float
    decode: str
    interval_s: float


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def pss_mb(pid: int) -> float:
    """Proportional set size, MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


@asynccontextmanager
async def senders(count: int, clip: Path) -> AsyncIterator[list[Child]]:
    """Processes that send the clip."""
    sending = json.dumps(asdict(SenderSettings(Codec.VP8.value, str(clip))))
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(child("sender", *module("sender", sending)))
            for _ in range(count)
        ]


async def publish(sidecar: SidecarProcess, sending: list[Child], streams: int) -> None:
    """All streams, their groups of pictures spread evenly."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        for index in range(streams):
            sender = sending[index % len(sending)]
            offer = await sender.ask({"offer": 2.0 * index / streams})
            reply = await http.post(
                sidecar.whip(f"s{index}"),
                content=offer["offer"],
                headers={"Content-Type": "application/sdp"},
            )
            reply.raise_for_status()
            await sender.ask({"answer": reply.text})


def reading(sidecar: SidecarProcess) -> dict[str, float]:
    """What was used and taken so far."""
    workers = children_of(sidecar.child.pid)
    return {
        "at": time.monotonic(),
        "sidecar": cpu_s(sidecar.child.pid),
        "workers": sum(map(cpu_s, workers)),
        "scored": sidecar.metric("sidecar_samples_total", outcome="scored"),
        "due": sidecar.metric("sidecar_samples_due_total"),
        "lost": sidecar.metric("sidecar_lost_total"),
    }


async def throughput(sidecar: SidecarProcess, wanted: Wanted) -> dict[str, Any]:
    """CPU and samples with all streams."""
    clip = await asyncio.to_thread(cached, ClipSettings(Codec.VP8))
    count = -(-wanted.streams // PER_SENDER)
    async with senders(count, clip) as sending:
        await publish(sidecar, sending, wanted.streams)
        await asyncio.sleep(WARM_UP_S)
        return await asyncio.to_thread(window, sidecar, wanted.seconds)


def window(sidecar: SidecarProcess, seconds: float) -> dict[str, Any]:
    """What is used and taken from now on, for so long."""
    before = reading(sidecar)
    time.sleep(seconds)
    after = reading(sidecar)
    workers = children_of(sidecar.child.pid)
    memory = [round(pss_mb(pid), 1) for pid in (sidecar.child.pid, *workers)]
    found = {key: after[key] - before[key] for key in after}
    passed = found.pop("at")
    return {
        "seconds": round(passed, 2),
        "cpu_percent_sidecar": round(100 * found["sidecar"] / passed, 1),
        "cpu_percent_workers": round(100 * found["workers"] / passed, 1),
        "samples_per_s": round(found["scored"] / passed, 2),
        "samples_due_per_s": round(found["due"] / passed, 2),
        "lost_per_s": round(found["lost"] / passed, 2),
        "pss_mb_sidecar": memory[0],
        "pss_mb_workers": memory[1:],
    }


def take_over(sidecar: SidecarProcess) -> float:
    """Seconds from the kill of a worker until every stream is sampled again."""
    seen = {key: one["samples"] for key, one in sidecar.streams().items()}
    began = time.monotonic()
    os.kill(children_of(sidecar.child.pid)[0], signal.SIGKILL)
    until(lambda: sidecar.metric("sidecar_worker_lost_streams_total") > 0, 10, "a loss")
    until(
        lambda: all(
            one["samples"] > seen[key] and one["verdict"]["state"] != "unknown"
            for key, one in sidecar.streams().items()
        ),
        60,
        "all are sampled again",
    )
    return round(time.monotonic() - began, 2)


def start_s(sidecar: SidecarProcess, workers: int) -> float:
    """Seconds from the sidecar's start until all of its workers run."""
    began = time.monotonic()
    until(lambda: len(sidecar.logged("worker_running")) >= workers, 60, "workers", 0.02)
    return round(time.monotonic() - began, 2)


def measure(folder: Path, workers: int, wanted: Wanted) -> dict[str, Any]:
    """One sidecar with so many workers."""
    broker = Mosquitto(folder)
    sampling = {
        "interval_s": wanted.interval_s,
        "decode": wanted.decode,
        "audit_every_s": 0,
        "pli_interval_s": None,
    }
    config = settings(
        folder, broker.port, ingest={"workers": workers}, whip=whip(), sampling=sampling
    )
    sidecar = SidecarProcess(folder, config)
    try:
        sidecar.wait_ready()
        row: dict[str, Any] = {"workers": workers, "streams": wanted.streams}
        if workers > 1:
            row["workers_start_s"] = start_s(sidecar, workers)
        return row | asyncio.run(throughput(sidecar, wanted))
    finally:
        sidecar.child.end()
        broker.child.end()


@contextmanager
def films(
    folder: Path, workers: int, streams: int, **over: object
) -> Iterator[SidecarProcess]:
    """One sidecar that plays a clip many times at once; `over` as in its settings."""
    clip = folder / "clip.webm"
    write_clip(clip, Category.SEXUAL_EXPLICIT, Clip(width=1280, height=720))
    film = {"path": str(clip), "loop": True, "realtime": "sampling" not in over}
    broker = Mosquitto(folder)
    config = settings(
        folder,
        broker.port,
        ingest={"workers": workers},
        streams=[{"id": f"f{n}", "file": dict(film)} for n in range(streams)],
        **over,
    )
    sidecar = SidecarProcess(folder, config)
    try:
        sidecar.wait_ready()
        until(
            lambda: all(one["samples"] for one in sidecar.streams().values()),
            60,
            "all are sampled",
        )
        yield sidecar
    finally:
        sidecar.child.end()
        broker.child.end()


def flat_out(folder: Path, workers: int, wanted: Wanted) -> dict[str, Any]:
    """As many samples as there are cores for: files, as fast as they are taken."""
    sampling = {"interval_s": 0.001, "decode": "all", "audit_every_s": 0}
    with films(folder, workers, wanted.streams, sampling=sampling) as sidecar:
        return {"workers": workers, "flat_out": True, **window(sidecar, wanted.seconds)}


def main(arguments: Sequence[str]) -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--decode", choices=["keyframes", "all"], default="keyframes")
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--flat-out", action="store_true")
    asked = parser.parse_args(arguments)
    wanted = Wanted(asked.streams, asked.seconds, asked.decode, asked.interval)
    with tempfile.TemporaryDirectory() as folder:
        for workers in asked.workers:
            (place := Path(folder) / f"workers-{workers}").mkdir()
            way = flat_out if asked.flat_out else measure
            print(json.dumps(way(place, workers, wanted)), flush=True)  # noqa: T201
        (place := Path(folder) / "take-over").mkdir()
        with films(place, 2, 4) as sidecar:
            print(json.dumps({"take_over_s": take_over(sidecar)}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
