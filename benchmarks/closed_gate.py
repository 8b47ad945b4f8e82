"""Whether a browser sends less because the sidecar keeps its packets out.

Chromium publishes a canvas (grainy; `--calm`: without grain) by WHIP into one `sidecar
run` after another: with the gate open (`decode: all`), then with keyframes alone every
two seconds, asked for by PLI, the gate closed between them. Prints a JSON object for
each: what the browser sent, second by second, and how much it believed it could, by its
own account (`RTCPeerConnection.getStats`). With `--loss` that share of the packets does
not arrive, and the browser ought to send less, whether the gate is open or closed.

    python -m benchmarks.closed_gate --seconds 150
    python -m benchmarks.closed_gate --seconds 40 --loss 0.15
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from sidecar.domain import Category
from sidecar.testcard.cards import write_card
from tests.e2e.browser import PublishPage, publishing_browser
from tests.e2e.mosquitto import Mosquitto
from tests.e2e.sidecar_process import SidecarProcess, settings, whip

MODES: Final[dict[str, dict[str, object]]] = {
    "open": {"decode": "all", "interval_s": 2.0},
    "closed": {"decode": "keyframes", "interval_s": 2.0, "pli_interval_s": 2.0},
}
_START_S: Final = 60.0
_NEVER_S: Final = 1e6


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is published, for how long, and the share of packets lost on the way."""

    seconds: float
    codec: str
    calm: bool
    loss: float

    @property
    def program(self) -> tuple[str, ...]:
        """What receives it."""
        lossy = ("benchmarks.lossy_sidecar", str(self.loss))
        return lossy if self.loss else ("sidecar",)


def measure(folder: Path, mode: str, asked: Wanted) -> dict[str, Any]:
    """One browser and one sidecar, from the browser's first reading on."""
    card = folder / "card.png"
    write_card(Category.SEXUAL_EXPLICIT, card, 640, 360)
    with ExitStack() as stack:
        broker = Mosquitto(folder)
        stack.callback(broker.child.end)
        page = PublishPage(card)
        stack.callback(page.close)
        config = settings(
            folder,
            broker.port,
            sampling={**MODES[mode], "audit_every_s": 0, "jitter": 0},
            webrtc={},
            ingest={"workers": 1},
            whip=whip(allow_origins=[page.origin]),
        )
        sidecar = SidecarProcess(folder, config, asked.program)
        stack.callback(sidecar.child.end)
        sidecar.wait_ready()
        wanted: dict[str, object] = {
            "whip": sidecar.whip("browser"),
            "cardAt": _NEVER_S,
            "codec": asked.codec,
            "fps": 30,
            "busy": not asked.calm,
            "readings": True,
        }
        stack.enter_context(publishing_browser(folder, page, wanted, hide=False))
        page.wait_said("reading", _START_S)
        time.sleep(asked.seconds)
        found = row(page.events("reading"), sidecar)
    published = {"codec": asked.codec, "calm": asked.calm, "loss": asked.loss}
    return {"mode": mode, **published, **found}


def row(read: list[dict[str, Any]], sidecar: SidecarProcess) -> dict[str, Any]:
    """What is printed: sums, thirds, and the seconds one by one."""
    kbits = sent_kbits(read)
    third = len(kbits) // 3
    last = read[-1]["sent"]
    return {
        "seconds": len(kbits),
        "kbit_s_by_third": [
            round(sum(kbits[n * third : (n + 1) * third]) / third) for n in range(3)
        ],
        "quantizer": round(last["qpSum"] / last["framesEncoded"], 1),
        "limited_s": last["qualityLimitationDurations"],
        "frames_encoded": last["framesEncoded"],
        "keyframes_encoded": last["keyFramesEncoded"],
        "pli": last["pliCount"],
        "nack": last["nackCount"],
        "retransmitted_bytes": last["retransmittedBytesSent"],
        "packets_lost": read[-1]["heard"].get("packetsLost"),
        "closed_s": round(sidecar.metric("sidecar_gate_closed_seconds_total"), 1),
        "openings": sidecar.metric("sidecar_gate_openings_total"),
        "samples": sidecar.metric("sidecar_samples_taken_total"),
        "kbit_s": [round(one) for one in kbits],
        "target_kbit_s": thousands(read, "targetBitrate"),
        "available_kbit_s": [round((r.get("available") or 0) / 1000) for r in read],
        "frames_s": [r["sent"].get("framesPerSecond") for r in read],
        "lines": [r["sent"].get("frameHeight") for r in read],
    }


def sent_kbits(read: Sequence[dict[str, Any]]) -> list[float]:
    """Kilobits a second between one reading and the next."""
    return [
        (b["sent"]["bytesSent"] - a["sent"]["bytesSent"])
        * 8
        / (b["sent"]["timestamp"] - a["sent"]["timestamp"])
        for a, b in pairwise(read)
    ]


def thousands(read: Sequence[dict[str, Any]], key: str) -> list[int]:
    """A number of bits, in thousands, of each reading."""
    return [round(r["sent"].get(key, 0) / 1000) for r in read]


def main(arguments: Sequence[str]) -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=150.0)
    parser.add_argument("--codec", choices=["VP8", "H264"], default="VP8")
    parser.add_argument("--mode", nargs="+", choices=list(MODES), default=list(MODES))
    parser.add_argument("--calm", action="store_true")
    parser.add_argument("--loss", type=float, default=0.0)
    asked = parser.parse_args(arguments)
    wanted = Wanted(asked.seconds, asked.codec, asked.calm, asked.loss)
    for mode in asked.mode:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(Path(folder), mode, wanted)
            print(json.dumps(found), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
