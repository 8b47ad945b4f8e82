"""A hundred streams from one media server, for minutes, with the world going wrong.

    python -m benchmarks.soak --streams 100 --minutes 10 --fault none

One Janus, fed by plain RTP (1280x720, 30 pictures and 2 Mbit a second, a keyframe every
2 s; VP8 and H.264 in turn), one Mosquitto, and one `sidecar run` that pulls every
stream by WHEP and samples it at keyframes every 2 s: all of them real and processes of
their own. While it lasts the sidecar is looked at from outside only: `/proc` and
`/metrics`. Prints one JSON object. Two cores are needed at least.

`--fault classifier`: the pictures turn blue, over which the operator's own model takes
2.5 s a batch, for as long as is measured. `--fault broker`: Mosquitto is killed for as
long, while every tenth stream shows a test card now and again, and is flagged.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from benchmarks import stalling_model
from benchmarks.soak_readings import Counters, Reading, read
from tests.e2e.collector import Collector
from tests.e2e.janus import Janus, Mountpoint
from tests.e2e.mosquitto import Mosquitto
from tests.e2e.processes import Child, until
from tests.e2e.sidecar_process import Settings, SidecarProcess, rule, settings

FAULTS: Final = ("none", "classifier", "broker")
LIVE_S: Final = 90.0
SETTLED_S: Final = 6.0  # for so long no stream had to wait for its turn to listen
RECOVERY_S: Final = 120.0
LOOK_S: Final = 5.0
STALL_S: Final = 2.5  # a batch; several times as long on a busy machine
_STALE_S: Final = 10.0
_CARDS: Final = 10  # one stream in so many shows a card
_FLAG_S: Final = 10.0
_PILOTED: Final = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """What is held, and what goes wrong.

    Attributes:
        streams: WHEP sessions at once.
        seconds: Measured; with a fault, how long it lasts.
        fault: One of `FAULTS`.
        points: Mountpoints that they are spread over.
        audit_every_s: Mean time between two audits of a stream; 0: none.
    """

    streams: int
    seconds: float
    fault: str
    points: int = 20
    audit_every_s: float = 0.0


@dataclass
class Site:
    """Everything that runs."""

    plan: Plan
    broker: Mosquitto
    collector: Collector
    janus: Janus
    sources: list[Child]
    sidecar: SidecarProcess
    readings: list[Reading] = field(default_factory=list)

    def counters(self) -> Counters:
        """What the sidecar has counted so far."""
        reply = self.sidecar.get("/metrics")
        assert reply is not None, self.sidecar.child.tail()
        return Counters.of(reply.text)

    def look(self) -> Reading:
        """One more reading."""
        self.readings.append(read(self.sidecar.child.pid))
        return self.readings[-1]

    def watch(self, seconds: float) -> None:
        """Looks at it now and then, for so long."""
        end = monotonic() + seconds
        while (left := end - monotonic()) > 0:
            sleep(min(LOOK_S, left))
            self.look()


@contextmanager
def site(plan: Plan, folder: Path) -> Iterator[Site]:
    """Starts everything; no stream is watched yet."""
    running: list[Any] = []
    try:
        broker = Mosquitto(folder)
        running.append(broker.child)
        janus = Janus(folder, _mountpoints(plan))
        running.append(janus)
        sources = _sources(janus, plan)
        running += sources
        stalling_model.write(folder / "models", STALL_S)
        sidecar = SidecarProcess(folder, _settings(plan, folder, broker.port))
        running.append(sidecar.child)
        sidecar.wait_ready()
        collector = Collector(broker.port)
        try:
            yield Site(plan, broker, collector, janus, sources, sidecar)
        finally:
            collector.close()
            running.append(broker.child)  # a restarted one
    finally:
        for child in reversed(running):
            child.end()


def _mountpoints(plan: Plan) -> list[Mountpoint]:
    noise = [
        Mountpoint(f"noise-{n}", ("VP8", "H264")[n % 2]) for n in range(plan.points)
    ]
    return [*noise, Mountpoint("card")]


def _sources(janus: Janus, plan: Plan) -> list[Child]:
    names = [name for name in janus.feeds if name != "card"]
    noise = janus.source(*names, turns_blue=plan.fault == "classifier")
    if plan.fault != "broker":
        return [noise]
    return [
        noise,
        janus.source("card", card_at_s=8, fps=15, keyframe_every=30, repeats=True),
    ]


def _settings(plan: Plan, folder: Path, port: int) -> Settings:
    flag = rule("flag", cooldown_s=_FLAG_S, hits=1, of=1, allow_single_frame=True)
    return settings(
        folder,
        port,
        sampling={
            "interval_s": 2.0,
            "decode": "keyframes",
            "burst_trigger": 1.0,
            "audit_every_s": plan.audit_every_s,
        },
        policies=[{"name": "soak", "stale_after_s": _STALE_S, "rules": [flag]}],
        webrtc={},
        **_model(plan, folder),
    )


def _model(plan: Plan, folder: Path) -> Settings:
    if plan.fault != "classifier":
        return {}
    return {
        "model": stalling_model.NAME,
        "models_dir": str(folder / "models"),
    }


def _streams(plan: Plan, janus: Janus) -> list[Settings]:
    found = []
    for number in range(plan.streams):
        point = f"noise-{number % plan.points}"
        if plan.fault == "broker" and number % _CARDS == 0:
            point = "card"
        found.append({"id": f"s-{number}", "whep": {"url": janus.whep(point)}})
    return found


def _watched(one: Site, streams: list[Settings]) -> None:
    """Puts these streams into the file, which is taken up by SIGHUP."""
    config = one.sidecar.config
    config["streams"] = streams
    one.sidecar.write()
    one.sidecar.child.send(signal.SIGHUP)


def _unwatched(one: Site) -> None:
    _watched(one, [])
    until(lambda: one.sidecar.streams() == {}, 60, "no stream is watched", 0.5)


def _pilot(one: Site) -> None:
    """A few streams for a moment: what is made once, and kept, is there then."""
    _watched(one, _streams(one.plan, one.janus)[-10:])
    name = "sidecar_samples_taken_total"
    until(lambda: one.counters().total(name) >= _PILOTED, LIVE_S, "samples", 0.5)
    _unwatched(one)


def _live(one: Site) -> float:
    return one.counters().total("sidecar_streams", state="live")


def _seen(one: Site) -> bool:
    """Whether every stream has a verdict."""
    unknown = one.counters().total("sidecar_verdict_streams", verdict="unknown")
    return unknown == 0 and _live(one) == one.plan.streams


def _settle(one: Site) -> None:
    """Until every stream knows when its keyframes come."""
    waited, since = -1.0, monotonic()

    def settled() -> bool:
        nonlocal waited, since
        now = one.counters().total("sidecar_listening_put_off_total")
        if now != waited:
            waited, since = now, monotonic()
        return monotonic() - since >= SETTLED_S

    until(settled, LIVE_S, "all streams know their keyframes", 0.5)


def _fault_on(one: Site) -> None:
    if one.plan.fault == "classifier":
        one.sources[0].send(signal.SIGUSR1)
    elif one.plan.fault == "broker":
        one.broker.kill()


def _fault_off(one: Site) -> None:
    if one.plan.fault == "classifier":
        one.sources[0].send(signal.SIGUSR1)
    elif one.plan.fault == "broker":
        one.broker.restart()


def _recovered(one: Site) -> bool:
    """Whether all is as before the fault, and nothing waits to be told."""
    reply = one.sidecar.get("/readyz")
    ready = reply is not None and reply.status_code == 200  # noqa: PLR2004
    return ready and _seen(one) and one.sidecar.outbox_depth() == 0


def soak(plan: Plan, folder: Path) -> dict[str, Any]:
    """What was seen, as JSON has it; logs are left in `folder`."""
    with site(plan, folder) as one:
        _pilot(one)
        idle = one.look()
        _watched(one, _streams(plan, one.janus))
        began = monotonic()
        until(lambda: _live(one) == plan.streams, LIVE_S, "all sessions live", 0.5)
        connected_s = monotonic() - began
        until(lambda: _seen(one), LIVE_S, "every stream has a verdict", 0.5)
        seen_s = monotonic() - began
        _settle(one)
        settled_s = monotonic() - began - SETTLED_S
        before, first = one.counters(), one.look()
        _fault_on(one)
        one.watch(plan.seconds)
        after, last = one.counters(), one.look()
        _fault_off(one)
        ended = monotonic()
        until(lambda: _recovered(one), RECOVERY_S, "recovered", 0.5)
        recovery_s = monotonic() - ended
        _unwatched(one)
        left = _left(one, idle)
        return {
            "streams": plan.streams,
            "seconds": round(last.at - first.at, 1),
            "fault": plan.fault,
            "connected_s": round(connected_s, 1),
            "all_seen_s": round(seen_s, 1),
            "settled_s": round(settled_s, 1),
            "cpu_cores": round((last.cpu_s - first.cpu_s) / (last.at - first.at), 3),
            **_memory(one, first, last),
            **_told(before, after),
            "recovery_s": None if plan.fault == "none" else round(recovery_s, 1),
            **_accounts(one),
            **left,
            "bus_faults": one.collector.faults[:5],
        }


def _memory(one: Site, first: Reading, last: Reading) -> dict[str, Any]:
    """Resident memory over the time measured."""
    during = [r for r in one.readings if first.at <= r.at <= last.at]
    half = during[len(during) // 2]
    return {
        "rss_mb_start": first.rss_mb,
        "rss_mb_half": half.rss_mb,
        "rss_mb_end": last.rss_mb,
        "rss_mb_highest": max(r.rss_mb for r in during),
        "rss_mb": [r.rss_mb for r in during],
    }


def _told(before: Counters, after: Counters) -> dict[str, Any]:
    """What the counters say of the time measured."""

    def grown(name: str, **labels: str) -> int:
        return round(after.total(name, **labels) - before.total(name, **labels))

    was = before.by("sidecar_lost_total", "stage", "reason")
    now = after.by("sidecar_lost_total", "stage", "reason")
    lost = {key: round(n - was.get(key, 0)) for key, n in now.items()}
    return {
        "samples_due": grown("sidecar_samples_due_total"),
        "samples_taken": grown("sidecar_samples_taken_total"),
        "samples_scored": grown("sidecar_samples_total", outcome="scored"),
        "lost": {key: n for key, n in lost.items() if n},
        "reconnects": grown("sidecar_reconnects_total"),
        "keyframe_requests": grown("sidecar_keyframe_requests_total"),
        "live_at_end": round(after.total("sidecar_streams", state="live")),
        "verdicts_at_end": after.by("sidecar_verdict_streams", "verdict", "reason"),
    }


def _accounts(one: Site) -> dict[str, Any]:
    """Whether what went in has come out, or is counted; since the start."""
    settled = one.counters()
    taken = settled.total("sidecar_samples_taken_total")
    cut = settled.total("sidecar_lost_total", stage="classify", reason="cancelled")
    answered = settled.by("sidecar_samples_total", "outcome")
    decided = settled.total("sidecar_actions_total")
    heard = len(one.collector.actions(kind="flag"))
    return {
        "samples_unaccounted": round(taken - cut - sum(answered.values())),
        "samples_by_outcome": {key: round(n) for key, n in answered.items()},
        "actions_decided": round(decided),
        "actions_heard": heard,
    }


def _left(one: Site, idle: Reading) -> dict[str, Any]:
    """What there is more of than before any stream was watched."""

    def gone() -> bool:
        now = read(one.sidecar.child.pid)
        return now.sockets <= idle.sockets

    try:
        until(gone, 15, "the sockets are closed", 0.5)
    finally:
        now = read(one.sidecar.child.pid)
    return {
        "sockets_left": now.sockets - idle.sockets,
        "threads_left": now.threads - idle.threads,
        "rss_mb_left": round(now.rss_mb - idle.rss_mb, 1),
    }


def main() -> int:
    """Runs one soak and prints what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--fault", choices=FAULTS, default="none")
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--audit-every", type=float, default=0.0)
    parser.add_argument("--folder", type=Path, help="For logs, which are kept there.")
    asked = parser.parse_args()
    plan = Plan(
        streams=asked.streams,
        seconds=60 * asked.minutes,
        fault=asked.fault,
        points=asked.points,
        audit_every_s=asked.audit_every,
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        found = soak(plan, (asked.folder or Path(temporary)).resolve())
    print(json.dumps(found))  # noqa: T201 the result
    return 0


if __name__ == "__main__":
    sys.exit(main())
