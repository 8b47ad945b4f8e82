"""How long a what-if takes on a million recorded samples: python -m benchmarks.what_if.

500 streams, one sample a second each, two categories; one stream in twenty shows
something for half a minute every ten. Two policies are compared, as the sliders of the
operator's page do. One JSON object on stdout.
"""

import json
import statistics
import sys
import time

import numpy as np

from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.decide.rules import Rule, UnknownRule
from sidecar.domain import (
    ActionKind,
    Category,
    LabelScore,
    ModelRef,
    Scores,
    SourceKind,
    Stream,
)
from sidecar.recording.column_log import ColumnLog
from sidecar.recording.diff import difference
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.whatif import what_if

STREAMS = 500
EVERY_S, SHOWN_S = 600, 30
MODEL = ModelRef("m", "sha256:0")
CATEGORIES = (Category.SEXUAL_EXPLICIT, Category.VIOLENCE_GRAPHIC)


def policies(enter: float) -> PolicySet:
    """A flag and a takedown for each category, and fail closed."""
    rules = tuple(
        Rule(f"{kind}-{n}", category, kind, at, 0.5, hits, 5, 10.0, 60.0)
        for n, category in enumerate(CATEGORIES)
        for kind, at, hits in (
            (ActionKind.FLAG, enter - 0.1, 2),
            (ActionKind.TAKEDOWN, enter, 3),
        )
    )
    unknown = UnknownRule(after_s=30.0, action=ActionKind.INTERRUPT)
    return PolicySet((Policy("p", Selector(), rules, unknown, 10.0),))


def filled(samples: int) -> tuple[ColumnLog, float]:
    """A log of that many, and the microseconds that one took to add."""
    chance = np.random.default_rng(1)
    log = ColumnLog()
    streams = [Stream(f"s{n}", SourceKind.WHEP) for n in range(STREAMS)]
    spent_s = 0.0
    for second in range(samples // STREAMS):
        calm = np.round(chance.beta(1, 12, (STREAMS, 2)), 6)
        acute = np.round(chance.beta(8, 2, (STREAMS, 2)), 6)
        shows = second % EVERY_S < SHOWN_S
        entries = []
        for number, stream in enumerate(streams):
            row = acute[number] if shows and number % 20 == 0 else calm[number]
            by = {
                category: LabelScore(float(score), "l")
                for category, score in zip(CATEGORIES, row, strict=True)
            }
            at = second + number / STREAMS
            scores = Scores(stream.id, by, MODEL, captured_at=at)
            entries.append(Entry(EntryKind.SAMPLE, stream, at, scores=scores))
        began = time.perf_counter()
        for entry in entries:
            log.add(entry)
        spent_s += time.perf_counter() - began
    return log, 1e6 * spent_s / samples


def main() -> None:
    """Measures five times and prints the medians."""
    log, add_us = filled(1_000_000)
    spent: dict[str, list[float]] = {"snapshot_s": [], "what_if_s": [], "diff_s": []}
    actions = changes = 0
    for _ in range(5):
        began = time.perf_counter()
        columns = log.snapshot()
        spent["snapshot_s"].append(time.perf_counter() - began)
        began = time.perf_counter()
        old = what_if(columns, policies(0.8))
        spent["what_if_s"].append(time.perf_counter() - began)
        began = time.perf_counter()
        found = difference(old, what_if(columns, policies(0.7)))
        spent["diff_s"].append(time.perf_counter() - began)
        actions = len(old)
        changes = len(found.added) + len(found.removed) + len(found.moved)
    report: dict[str, object] = {
        "samples": len(log),
        "streams": STREAMS,
        "add_us": round(add_us, 2),
        "actions": actions,
        "changes": changes,
    }
    report |= {key: round(statistics.median(times), 3) for key, times in spent.items()}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
