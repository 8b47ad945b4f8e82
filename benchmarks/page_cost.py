"""What the operator's page costs the sidecar, with hundreds of live streams.

`python -m benchmarks.page_cost --streams 500 --seconds 20`: a whole sidecar as a
process (pipeline, policies, outbox, a real broker), on which each stream is scored once
a second by a made-up model. Its processor time is read over equal spans in turns:
nobody looks, one page's feed is read, eight are. Then the thresholds' question is put
to what it has seen. Prints one JSON object; the differences are the page's cost.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from tests.e2e.mosquitto import Mosquitto
from tests.e2e.page_house import DESK1, PageHouse

_AUTH: Final = {"authorization": f"Bearer {DESK1}"}
_SETTLE_S: Final = 4.0
_READERS: Final = (0, 1, 8)


def process_seconds(pid: int) -> float:
    """User and system time that a process has used, by /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Reader:
    """Reads the live feed as a page does, and counts."""

    def __init__(self, url: str) -> None:
        self.events = self.octets = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(url,))
        self._thread.start()

    def _read(self, url: str) -> None:
        with httpx.stream("GET", f"{url}/api/live", headers=_AUTH, timeout=30) as reply:
            for chunk in reply.iter_raw():
                self.octets += len(chunk)
                self.events += chunk.count(b"event: news")
                if self._stop.is_set():
                    return

    def close(self) -> None:
        """Ends at the next event."""
        self._stop.set()
        self._thread.join()


@contextmanager
def reading(url: str, count: int) -> Iterator[list[Reader]]:
    """So many readers."""
    readers = [Reader(url) for _ in range(count)]
    try:
        yield readers
    finally:
        for reader in readers:
            reader.close()


def span(house: PageHouse, readers: int, seconds: float) -> dict[str, Any]:
    """Share of one core, and what the readers got, over one span."""
    with reading(house.url, readers) as found:
        time.sleep(_SETTLE_S)
        began, used = time.monotonic(), process_seconds(house.child.pid)
        before = [(reader.events, reader.octets) for reader in found]
        time.sleep(seconds)
        took = time.monotonic() - began
        share = (process_seconds(house.child.pid) - used) / took
        events = sum(r.events - b[0] for r, b in zip(found, before, strict=True))
        octets = sum(r.octets - b[1] for r, b in zip(found, before, strict=True))
    return {
        "readers": readers,
        "core": round(share, 4),
        "events_a_second": round(events / max(1, readers) / took, 2),
        "kib_a_second": round(octets / max(1, readers) / took / 1024, 1),
    }


def what_if(house: PageHouse) -> dict[str, Any]:
    """The thresholds' question, put five times with other numbers."""
    asked = [
        httpx.post(
            f"{house.url}/api/policies/whatif",
            headers=_AUTH,
            json={"changes": [_change(0.5 + number / 100)]},
            timeout=60,
        ).json()
        for number in range(5)
    ]
    took_ms = [one["took_ms"] for one in asked]
    return {"samples": asked[0]["samples"], "took_ms": took_ms}


def _change(value: float) -> dict[str, Any]:
    return {"policy": "default", "rule": "cut", "key": "enter", "value": value}


def main() -> None:
    """Measures in turns, so that a busy moment does not favour one side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = Mosquitto(folder)
        stack.callback(broker.child.end)
        house = PageHouse(folder, broker.port, args.streams)
        stack.callback(house.child.end)
        time.sleep(_SETTLE_S)
        spans = [
            span(house, readers, args.seconds)
            for _ in range(args.rounds)
            for readers in _READERS
        ]
        core = {
            count: statistics.mean(s["core"] for s in spans if s["readers"] == count)
            for count in _READERS
        }
        found = {
            "streams": args.streams,
            "spans": spans,
            "one_page_core": round(core[1] - core[0], 4),
            "eight_pages_core": round(core[8] - core[0], 4),
            "what_if": what_if(house),
        }
    json.dump(found, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
