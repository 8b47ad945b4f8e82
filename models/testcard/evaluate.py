# ruff: noqa: INP001, T201
"""Measures the shipped model on data that was not used to train it.

Run from the repository's root, with the `train` group installed:
`PYTHONPATH=. python models/testcard/evaluate.py -o models/testcard/evaluation.json`.
Prints a table; exits with 1 if a bar is missed.
"""

import argparse
import hashlib
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from trials import GROUP, Clean, Shown, benign, show, stress, trials

from sidecar.domain import Picture
from sidecar.testcard.cards import CATEGORIES

HERE = Path(__file__).parent
THRESHOLD = 0.85
RECALL_BAR = 0.99
FALSE_BAR = 1e-4
LEAST_BENIGN = 20_000
SPEED_BAR_MS = 3.0
SIZE_BAR = 1_000_000
_Z = 1.96  # 95 %
_WIDE, _OPEN = 0.6, 0.125  # where the bands of cover and of hidden part

Scorer = Callable[[list[Picture]], NDArray[np.float32]]
Report = dict[str, Any]


class Tally:
    """Counts hits among frames."""

    def __init__(self) -> None:
        self.hits = 0
        self.frames = 0

    def add(self, hits: NDArray[np.bool_]) -> None:
        """Count one clip's frames."""
        self.hits += int(hits.sum())
        self.frames += len(hits)

    def report(self) -> Report:
        """Return counts, share, and its 95 % interval (Wilson)."""
        share = self.hits / self.frames if self.frames else 0.0
        low, high = wilson(self.hits, self.frames)
        return {
            "frames": self.frames,
            "hits": self.hits,
            "share": round(share, 6),
            "ci95": [round(low, 6), round(high, 6)],
        }


def main() -> int:
    """Measure, print, write; return the exit code."""
    options = _options()
    path = options.model
    score = scorer(path)
    with get_context("spawn").Pool(options.workers, cv2.setNumThreads, (1,)) as pool:
        recall = recalls(pool.imap_unordered(show, trials(options.rounds), 4), score)
        seeds = range(options.benign // GROUP)
        clean = falses(pool.imap_unordered(benign, seeds, 16), score)
        hard = falses(
            pool.imap_unordered(stress, range(options.stress // GROUP), 16), score
        )
    report: Report = {
        "model": {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        },
        "threshold": THRESHOLD,
        "recall": recall,
        "false_positives": clean,
        "stress": hard,
        "speed": speed(path),
    }
    report["bars"] = bars(report)
    if options.output:
        options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))
    return 0 if all(bar["passed"] for bar in report["bars"]) else 1


def recalls(shown: Iterable[Shown], score: Scorer) -> Report:
    """Count frames whose card's own score reaches the threshold."""
    tallies: Mapping[str, dict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    clips: Report = {"all": 0, "found": 0}
    for clip in shown:
        column = CATEGORIES.index(clip.trial.category)
        hits = score(clip.pictures)[:, column] >= THRESHOLD
        clips["all"] += 1
        clips["found"] += int(hits.any())
        for group, name in _groups(clip):
            tallies[group][name].add(hits)
        early = score([clip.fresh])[:, column] >= THRESHOLD
        tallies["after 0.1 s"][f"{clip.trial.bit_rate // 1000:4d} kbit/s"].add(early)
    parts = {
        group: {name: tally.report() for name, tally in sorted(names.items())}
        for group, names in tallies.items()
    }
    return {"clips": clips, **parts}


def falses(sets: Iterable[Clean], score: Scorer) -> Report:
    """Count frames without a card where any card's score reaches the threshold."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    highest = 0.0
    for clean in sets:
        best = score(clean.pictures)[:, 1:].max(axis=1)
        highest = max(highest, float(best.max()))
        tallies["all"].add(best >= THRESHOLD)
        tallies[clean.kind].add(best >= THRESHOLD)
    reports = {name: tally.report() for name, tally in sorted(tallies.items())}
    return {"highest_score": round(highest, 4), "kinds": reports}


def speed(path: Path) -> Report:
    """Time 500 forward passes of one frame on one thread."""
    score = scorer(path)
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (128, 128, 3), np.uint8)
    times = []
    for _ in range(550):
        start = time.perf_counter()
        score([frame])
        times.append(1000 * (time.perf_counter() - start))
    p50, p99 = np.percentile(times[50:], [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}


def bars(report: Report) -> list[Report]:
    """Hold the figures against what the model must reach."""
    benign_all = report["false_positives"]["kinds"]["all"]
    held = [
        (f"recall {name}", part["share"], ">=", RECALL_BAR)
        for name, part in report["recall"]["card"].items()
    ]
    held += [
        ("false positives a frame", benign_all["share"], "<=", FALSE_BAR),
        ("benign frames", benign_all["frames"], ">=", LEAST_BENIGN),
        ("p50 ms a frame", report["speed"]["p50_ms"], "<=", SPEED_BAR_MS),
        ("bytes", report["model"]["bytes"], "<=", SIZE_BAR),
    ]
    return [
        {
            "name": name,
            "value": value,
            "bar": f"{sign} {bar}",
            "passed": value >= bar if sign == ">=" else value <= bar,
        }
        for name, value, sign, bar in held
    ]


def table(report: Report) -> str:
    """Return the report as text."""
    lines = [f"threshold {report['threshold']}, {report['recall']['clips']} clips"]
    for group in ("card", "codec", "kbit/s", "size", "cover", "hidden", "after 0.1 s"):
        for name, part in report["recall"][group].items():
            lines.append(_line(f"recall {group} {name}", part))
    for source in ("false_positives", "stress"):
        for name, part in report[source]["kinds"].items():
            lines.append(_line(f"{source} {name}", part))
    lines.append(f"speed {report['speed']}")
    for bar in report["bars"]:
        verdict = "ok    " if bar["passed"] else "MISSED"
        lines.append(f"{verdict} {bar['name']}: {bar['value']} ({bar['bar']})")
    return "\n".join(lines)


def scorer(path: Path) -> Scorer:
    """Return a function from pictures to rows of scores, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def score(pictures: list[Picture]) -> NDArray[np.float32]:
        return np.asarray(session.run(["scores"], {"picture": np.stack(pictures)})[0])

    return score


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    if not count:
        return 0.0, 1.0
    share, z2 = hits / count, _Z * _Z
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    spread = math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    half = _Z * spread / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def _groups(clip: Shown) -> Iterator[tuple[str, str]]:
    trial = clip.trial
    yield "card", trial.category.value
    yield "codec", trial.codec.value
    yield "kbit/s", f"{trial.bit_rate // 1000:4d}"
    yield "size", f"{trial.size[0]:4d}x{trial.size[1]}"
    yield "cover", "0.4-0.6" if clip.cover < _WIDE else "0.6-1.0"
    yield "hidden", "0.00-0.12" if clip.hidden < _OPEN else "0.12-0.25"


def _line(name: str, part: Report) -> str:
    low, high = part["ci95"]
    count = f"{part['hits']:6d} of {part['frames']:6d}"
    return f"{name:42s} {count}  {part['share']:.5f}  [{low:.5f}, {high:.5f}]"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=HERE / "model.onnx")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--benign", type=int, default=40_000)
    parser.add_argument("--stress", type=int, default=6_000)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
