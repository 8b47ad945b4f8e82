"""Does an hour of batches leave anything behind? The real stage, model and clock.

Samples come evenly; Python's allocations are traced from the first minute on, and
compared when the time is over: by file, and as the resident memory of the process.

    python -m benchmarks.hour_of_batches --minutes 60 --rate 50
"""

import argparse
import asyncio
import gc
import json
import sys
import tracemalloc
from pathlib import Path
from typing import Any, Final

from sidecar.app.stages import find_manifest
from sidecar.bench.batch_stage import Stage
from sidecar.bench.usage import usage
from sidecar.classify import calibration, graph
from sidecar.classify.onnx_session import EngineSettings
from sidecar.classify.planner import PlannerSettings

_WARM_S: Final = 60.0
_READINGS: Final = 6
_MOST: Final = 8  # files that are told


async def measure(model: str, minutes: float, rate: float) -> dict[str, Any]:
    """The report; one reading each sixth of the time."""
    manifest = find_manifest(model, None)
    settings = EngineSettings(threads=1, callers=1)
    session = calibration.best_session(manifest, settings, graph.prepare(manifest))
    stage = Stage(session, PlannerSettings(max_queue_delay_s=0.005, max_age_s=60.0))
    tracemalloc.start()
    readings = []
    async with stage.running():
        samples = len((await stage.paced(rate, min(_WARM_S, 60 * minutes))).latencies_s)
        before = _snapshot()
        readings.append(_reading(0.0, samples))
        for number in range(1, _READINGS + 1):
            part_s = 60 * minutes / _READINGS
            samples += len((await stage.paced(rate, part_s)).latencies_s)
            readings.append(_reading(number * part_s / 60, samples))
        grown = _snapshot().compare_to(before, "filename")
    told = [line for line in grown if line.size_diff][:_MOST]
    return {
        "model": manifest.name,
        "rate": rate,
        "readings": readings,
        "grown_bytes": sum(line.size_diff for line in grown),
        "by_file": [
            {"file": Path(line.traceback[0].filename).name, "bytes": line.size_diff}
            for line in told
        ],
    }


def _snapshot() -> tracemalloc.Snapshot:
    gc.collect()
    # What tracing itself keeps is not counted.
    return tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(inclusive=False, filename_pattern=tracemalloc.__file__)]
    )


def _reading(minutes: float, samples: int) -> dict[str, float]:
    gc.collect()
    return {
        "minutes": round(minutes, 1),
        "samples": samples,
        "traced_kib": round(tracemalloc.get_traced_memory()[0] / 1024, 1),
        "rss_mb": round(usage().rss_mb, 1),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="testcard")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=50.0, help="samples a second")
    args = parser.parse_args()
    found = asyncio.run(measure(args.model, args.minutes, args.rate))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
