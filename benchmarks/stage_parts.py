"""What each part between a sample and its scores costs, one on top of the other.

Processor time a sample at a pace at which everything has cooled down between two: the
timer alone, the bare model on top, the model on a thread by the least that Python needs
for that, our engine, our whole stage. All in one process and in turn; medians.

    python -m benchmarks.stage_parts --model testcard --rate 50

The row `thread` is what any stage costs that leaves the event loop free.
"""

import argparse
import asyncio
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any, Final

from sidecar.app.stages import find_manifest
from sidecar.bench.batch_stage import Stage
from sidecar.classify import calibration, graph
from sidecar.classify.onnx_session import EngineSettings
from sidecar.classify.planner import PlannerSettings

Part = Callable[[int], Awaitable[object]]
_ANSWER_S: Final = 10.0


class LeastThread:
    """Runs calls on one thread, and nothing else: no bounds, no watchdog, no errors."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]]] = (
            SimpleQueue()
        )
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._main, daemon=True).start()

    async def run(self, work: Callable[[], object]) -> object:
        """What `work` returns."""
        answer: asyncio.Future[object] = self._loop.create_future()
        self._jobs.put((answer, work))
        return await answer

    def _main(self) -> None:
        while True:
            answer, work = self._jobs.get()
            self._loop.call_soon_threadsafe(answer.set_result, work())


def parts(stage: Stage) -> dict[str, Part]:
    """Each as a call for the sample with that number."""
    pictures = stage.arena.slots.array
    bare = stage.session.bare()
    least = LeastThread()

    def run(number: int) -> object:
        at = number % len(pictures)
        return bare(pictures[at : at + 1])

    async def timer(_: int) -> None:
        pass

    async def model(number: int) -> None:
        run(number)

    async def thread(number: int) -> object:
        return await least.run(lambda: run(number))

    async def engine(_: int) -> object:
        picture = stage.arena.take()
        assert picture is not None
        return await stage.engine.infer((picture,))

    async def whole(number: int) -> object:
        return await stage.one(f"s{number % 32}")

    return {
        "timer": timer,
        "model": model,
        "thread": thread,
        "engine": engine,
        "stage": whole,
    }


async def paced(part: Part, rate: float, seconds: float) -> float:
    """Microseconds of processor time a sample."""
    count = max(1, round(rate * seconds))
    began, cpu_s = time.monotonic(), time.process_time()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        async with asyncio.timeout(_ANSWER_S):
            await part(number)
    return (time.process_time() - cpu_s) / count * 1e6


async def measure(
    model: str, models_dir: Path | None, rate: float, seconds: float, rounds: int
) -> dict[str, Any]:
    """The report."""
    manifest = find_manifest(model, models_dir)
    settings = EngineSettings(threads=1, callers=1)
    session = calibration.best_session(manifest, settings, graph.prepare(manifest))
    stage = Stage(session, PlannerSettings(max_queue_delay_s=0.0, max_age_s=60.0))
    found: dict[str, list[float]] = {}
    async with stage.running():
        each = parts(stage)
        for _ in range(rounds):
            for name, part in each.items():
                found.setdefault(name, []).append(await paced(part, rate, seconds))
    base = median(found["model"])
    return {
        "model": manifest.name,
        "rate": rate,
        "parts": [
            {
                "part": name,
                "us_per_sample": round(median(values)),
                "of_model": round(median(values) / base, 2),
            }
            for name, values in found.items()
        ],
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="testcard")
    parser.add_argument("--models-dir", type=Path)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    found = asyncio.run(
        measure(args.model, args.models_dir, args.rate, args.seconds, args.rounds)
    )
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
