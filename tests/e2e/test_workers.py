"""Streams in worker processes, which are killed, stopped and hung."""

import os
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest

from sidecar.domain import Category
from sidecar.testcard.clip import Clip, write_clip
from tests.e2e.browser import PublishPage, publishing_browser
from tests.e2e.conftest import Site
from tests.e2e.janus import Janus, Mountpoint
from tests.e2e.processes import until
from tests.e2e.sidecar_process import Settings, SidecarProcess, whip
from tests.fakes.workers import children_of

pytestmark = pytest.mark.e2e

TWO = {"workers": 2}


def _films(site: Site, count: int) -> list[Settings]:
    """Streams from a file that shows a card again and again."""
    path = site.folder / "film.webm"
    shape = Clip(width=320, height=180, fps=15, clean_s=2, card_s=4)
    write_clip(path, Category.SEXUAL_EXPLICIT, shape)
    return [
        {"id": f"film-{n}", "file": {"path": str(path), "loop": True}}
        for n in range(1, count + 1)
    ]


def _workers(sidecar: SidecarProcess) -> list[int]:
    """The process ids of its workers."""
    return children_of(sidecar.child.pid)


def _alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _until_gone(pids: Iterable[int], within_s: float) -> None:
    until(lambda: not any(map(_alive, pids)), within_s, "the workers are gone")


def _saw_worker_lost(site: Site, stream: str) -> bool:
    return any("worker_lost" in said for said in site.collector.verdicts(stream))


def test_streams_of_killed_workers_are_taken_over(site: Site) -> None:
    """By WHEP, WHIP and file: CLEAR, UNKNOWN(worker_lost), and then the takedown.

    Who pushes by WHIP has to come again; until then the stream is shown as UNKNOWN.
    """
    janus = Janus(site.folder, [Mountpoint("pull", "H264")])
    site.children += janus.children
    pull = {"id": "pull", "whep": {"url": janus.whep("pull")}}
    sidecar = site.sidecar(
        streams=[pull, *_films(site, 2)], ingest=TWO, whip=whip(), webrtc={}
    )
    site.children.append(janus.source(card_at_s=4, fps=15, keyframe_every=15))
    site.publisher(sidecar.whip("push"), codec="h264", card_at=4)
    everything = ("pull", "push", "film-1", "film-2")
    until(
        lambda: all("clear" in site.collector.verdicts(one) for one in everything),
        45,
        "all are CLEAR",
    )
    workers = _workers(sidecar)
    assert len(workers) == 2
    assert sidecar.metric("sidecar_worker_streams") == 4
    assert sidecar.metric("sidecar_worker_streams", worker="w1") == 2

    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    until(
        lambda: all(_saw_worker_lost(site, stream) for stream in everything),
        45,
        "all are UNKNOWN(worker_lost)",
    )
    pushed = sidecar.streams()["push"]
    assert (pushed["state"], pushed["verdict"]["reason"]) == ("waiting", "worker_lost")
    assert sidecar.metric("sidecar_worker_lost_streams_total") == 4
    assert sidecar.metric("sidecar_worker_losses_total") == 2
    before = {one: len(site.collector.actions(one)) for one in everything}
    sidecar.wait_stream("pull", "live", 45)

    site.publisher(sidecar.whip("push"), card_at=4)
    for stream in everything:
        site.collector.action(stream, 60, number=before[stream] + 1)
    assert not set(workers) & set(_workers(sidecar))
    assert sidecar.metric("sidecar_workers", state="running") == 2


def test_half_of_the_streams_never_notice(site: Site) -> None:
    """One of two workers is killed: its own streams move, the others go on."""
    sidecar = site.sidecar(streams=_films(site, 4), ingest=TWO)
    for stream in sidecar.streams():
        site.collector.action(stream, 45)
    os.kill(_workers(sidecar)[0], signal.SIGKILL)
    until(
        lambda: sidecar.metric("sidecar_worker_lost_streams_total") == 2,
        45,
        "two streams are lost",
    )
    seen = {key: one["samples"] for key, one in sidecar.streams().items()}
    until(
        lambda: all(
            one["samples"] > seen[key] + 2 for key, one in sidecar.streams().items()
        ),
        45,
        "all are sampled",
    )
    assert sum(_saw_worker_lost(site, stream) for stream in seen) == 2


def test_a_browser_and_a_janus_are_seen_by_workers(
    site: Site, page: PublishPage
) -> None:
    """A page pushes by WHIP, and restarts ICE; two streams are pulled from a Janus.

    All three are received in workers, both of them, and taken down.
    """
    janus = Janus(
        site.folder, [Mountpoint("north", "VP8"), Mountpoint("south", "H264")]
    )
    site.children += janus.children
    sidecar = site.sidecar(
        streams=[{"id": n, "whep": {"url": janus.whep(n)}} for n in janus.feeds],
        whip=whip(allow_origins=[page.origin]),
        ingest=TWO,
        webrtc={},
    )
    assert sidecar.metric("sidecar_workers", state="running") > 0, "ready too early"
    site.children.append(janus.source(card_at_s=4, fps=15, keyframe_every=15))
    settings = {
        "whip": sidecar.whip("browser"),
        "codec": "VP8",
        "cardAt": 4,
        "restartAfter": 1,
    }
    with publishing_browser(site.folder, page, settings, hide=True) as chromium:
        site.children.append(chromium)
        restarted = page.wait_said("restarted", 60)
        assert (restarted["status"], restarted["state"]) == (200, "connected")
        seen = sidecar.wait_stream("browser", "live", 45)["samples"]
        until(
            lambda: sidecar.streams()["browser"]["samples"] > seen + 2,
            45,
            "it is sampled after the restart",
        )
        for stream in ("north", "south", "browser"):
            site.collector.action(stream, 45)
        assert sidecar.metric("sidecar_worker_streams") == 3
        for worker in ("w1", "w2"):
            assert sidecar.metric("sidecar_worker_streams", worker=worker) > 0
    assert sidecar.logged("worker_lost") == []


def test_a_hung_worker_is_replaced(site: Site) -> None:
    """Stopped, it says nothing more: it is killed, and its stream taken over."""
    sidecar = site.sidecar(streams=_films(site, 2), ingest=TWO)
    for stream in sidecar.streams():
        site.collector.action(stream, 45)
    hung = _workers(sidecar)[0]
    os.kill(hung, signal.SIGSTOP)
    _until_gone([hung], 45)
    (lost,) = [one for one in sidecar.streams() if _saw_worker_lost(site, one)]
    seen = sidecar.streams()[lost]["samples"]
    until(
        lambda: sidecar.streams()[lost]["samples"] > seen + 2, 45, "it is sampled again"
    )


def test_a_stop_leaves_no_process(site: Site) -> None:
    """SIGTERM to all, as a service manager does it: an orderly end, workers too."""
    sidecar = site.sidecar(streams=_films(site, 2), ingest=TWO)
    site.collector.action("film-1", 45)
    workers = _workers(sidecar)
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    assert sidecar.stop() == 0
    assert not any(map(_alive, workers))
    assert sidecar.logged("worker_lost") == []
    assert sidecar.logged("stop_hurried") == []


def test_workers_do_not_outlive_the_sidecar(site: Site) -> None:
    """SIGKILL to the sidecar alone: its workers are gone at once, a stopped one too."""
    sidecar = site.sidecar(streams=_films(site, 2), ingest=TWO)
    site.collector.action("film-1", 45)
    workers = _workers(sidecar)
    os.kill(workers[0], signal.SIGSTOP)
    sidecar.child.send(signal.SIGKILL)
    _until_gone(workers, 45)
