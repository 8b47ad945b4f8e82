"""How long from the first picture of a test card to the takedown at a subscriber?

One `sidecar run` and one Mosquitto, both processes of their own; a publisher in this
process pushes one short WebRTC stream after another by WHIP. Both instants are read
from this machine's one clock: as the card's first frame is handed to the encoder, and
as the subscriber gets the message. Prints one JSON object.

    python -m benchmarks.card_to_takedown --rounds 50

The card comes at a random instant, so its phase to the sampling is random too.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx

from sidecar.demo.whip_push import Publication, publish
from sidecar.domain import Category, Codec
from sidecar.testcard.clip import Scene
from tests.e2e.collector import Collector, Heard
from tests.e2e.mosquitto import Mosquitto
from tests.e2e.sidecar_process import SidecarProcess, rule, settings, whip

EARLIEST_S: Final = 1.0
LATEST_S: Final = 2.5
GIVE_UP_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        rounds: How many streams, one after another.
        interval_s: Sampling interval.
        hits: So many hits …
        of: … among so many samples make a takedown.
        codecs: Taken in turn.
        seed: Of the instants.
    """

    rounds: int
    interval_s: float
    hits: int
    of: int
    codecs: tuple[Codec, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Round:
    """One stream: when the card was shown, and the takedown, if any came."""

    shown_ms: float
    takedown: Heard | None


def measure(plan: Plan, folder: Path) -> dict[str, Any]:
    """Runs all rounds; the report."""
    chance = random.Random(plan.seed)  # noqa: S311 no secret
    with _running(plan, folder) as (sidecar, collector):
        rounds = [
            asyncio.run(_round(plan, number, chance, sidecar, collector))
            for number in range(plan.rounds)
        ]
        faults = collector.faults
    return {**report(rounds), "schema_faults": faults, "plan": _shown(plan)}


@contextmanager
def _running(plan: Plan, folder: Path) -> Iterator[tuple[SidecarProcess, Collector]]:
    rules = [rule(enter=0.85, exit=0.3, hits=plan.hits, of=plan.of)]
    broker = Mosquitto(folder)
    collector = Collector(broker.port)
    config = settings(
        folder,
        broker.port,
        whip=whip(),
        policies=[{"name": "benchmark", "rules": rules}],
        sampling={"interval_s": plan.interval_s},
    )
    sidecar = SidecarProcess(folder, config)
    try:
        sidecar.wait_ready()
        yield sidecar, collector
    finally:
        sidecar.child.end()
        collector.close()
        broker.child.end()


async def _round(
    plan: Plan,
    number: int,
    chance: random.Random,
    sidecar: SidecarProcess,
    collector: Collector,
) -> Round:
    """One stream from its start to its takedown, or until we give up."""
    stream = f"round-{number}"
    shown: list[float] = []

    def tell(event: str, fields: dict[str, object]) -> None:
        if event == "card_shown":
            shown.append(float(str(fields["unix_ms"])))

    pictures = Scene(
        category=Category.SEXUAL_EXPLICIT,
        card_at_s=chance.uniform(EARLIEST_S, LATEST_S),
        seed=number,
    )
    codec = plan.codecs[number % len(plan.codecs)]
    publication = Publication(sidecar.whip(stream), pictures, codec=codec)
    stop = asyncio.Event()
    async with (
        httpx.AsyncClient(trust_env=False) as http,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(publish(publication, http, stop, tell))
        takedown = await _takedown(collector, stream)
        stop.set()
    return Round(shown[0], takedown)


async def _takedown(collector: Collector, stream: str) -> Heard | None:
    def wanted(message: Heard) -> bool:
        return message.topic.endswith(f"/{stream}/actions/takedown")

    return await asyncio.to_thread(collector.find, wanted, LATEST_S + GIVE_UP_S)


def report(rounds: Sequence[Round]) -> dict[str, Any]:
    """Percentiles over all rounds that had a takedown, and medians of the legs."""
    taken = [r for r in rounds if r.takedown is not None]
    legs = [_legs(r.shown_ms, r.takedown) for r in taken if r.takedown is not None]
    names = sorted({name for one in legs for name in one})
    return {
        "rounds": len(rounds),
        "missed": len(rounds) - len(taken),
        "card_to_takedown_ms": percentiles([one["total"] for one in legs]),
        "legs_median_ms": {
            name: round(statistics.median(one[name] for one in legs if name in one), 2)
            for name in names
        },
        "cores": os.cpu_count(),
    }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Nearest-rank percentiles; nothing of nothing."""
    ranked = sorted(values)
    if not ranked:
        return {}
    shares = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    last = len(ranked) - 1
    return {
        name: round(ranked[min(last, max(0, -int(-share * len(ranked) // 1) - 1))], 1)
        for name, share in shares.items()
    }


def _legs(shown_ms: float, takedown: Heard) -> dict[str, float]:
    """Where the time went; those of `timings_ms` are of the newest sample."""
    body = takedown.body
    first = _unix_ms(body["evidence"][0]["captured_at"])
    decided = _unix_ms(body["decided_at"])
    timings = {f"newest.{k}": v for k, v in body["timings_ms"].items() if v is not None}
    return {
        "total": takedown.unix_ms - shown_ms,
        "shown_to_first_hit_captured": first - shown_ms,
        "first_hit_captured_to_decided": decided - first,
        "decided_to_received": takedown.unix_ms - decided,
        **timings,
    }


def _unix_ms(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp() * 1000


def _shown(plan: Plan) -> dict[str, Any]:
    return {
        "interval_s": plan.interval_s,
        "hits": f"{plan.hits} of {plan.of}",
        "codecs": [codec.value for codec in plan.codecs],
        "seed": plan.seed,
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--interval", type=float, default=0.5, help="seconds")
    parser.add_argument("--hits", type=int, default=2)
    parser.add_argument("--of", type=int, default=3)
    parser.add_argument("--codec", choices=("vp8", "h264", "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    both = (Codec.VP8, Codec.H264)
    codecs = both if args.codec == "both" else (Codec(args.codec.upper()),)
    plan = Plan(args.rounds, args.interval, args.hits, args.of, codecs, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(plan, Path(folder))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
