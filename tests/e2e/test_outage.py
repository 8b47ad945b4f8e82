"""No takedown is lost: not with the broker, not with the sidecar itself."""

import json
from pathlib import Path

import pytest

from sidecar.domain import Category
from sidecar.testcard.clip import Clip, write_clip
from tests.e2e.conftest import Site
from tests.e2e.processes import until
from tests.e2e.sidecar_process import Settings, SidecarProcess, rule

pytestmark = pytest.mark.e2e

STREAMS = ("north", "south", "west")


def _streams(folder: Path) -> list[Settings]:
    """Three streams that show the card after three seconds, played as if live."""
    clip = folder / "clip.mp4"
    shape = Clip(width=320, height=180, fps=15, clean_s=3, card_s=6)
    write_clip(clip, Category.SEXUAL_EXPLICIT, shape)
    return [{"id": name, "file": {"path": str(clip)}} for name in STREAMS]


def _policies(*, enforced: bool = False) -> list[Settings]:
    """One takedown a stream, however long it goes on."""
    rules = [rule(cooldown_s=600, require_enforced=enforced)]
    return [{"name": "once", "stale_after_s": 5, "rules": rules}]


def _due(sidecar: SidecarProcess) -> set[str]:
    """The ids of all takedowns, once each stream has one in the outbox."""

    def all_there() -> set[str]:
        decided = sidecar.logged("action")
        due = {a["stream"]: a["id"] for a in decided if a["action"] == "takedown"}
        there = set(due) == set(STREAMS) and sidecar.outbox_depth() >= len(due)
        return set(due.values()) if there else set()

    return until(all_there, 45, "a takedown of each stream is in the outbox")


def _all_heard(site: Site, ids: set[str], within_s: float) -> None:
    """Every id came, and no other takedown did."""
    site.collector.wait(
        lambda _: ids <= set(site.collector.actions()), within_s, f"all of {ids}"
    )
    assert set(site.collector.actions()) == ids


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_broker_is_killed(site: Site, version: str) -> None:
    """Takedowns due while Mosquitto is dead arrive after its restart, ids unchanged."""
    mqtt = {"host": "127.0.0.1", "port": site.broker.port, "version": version}
    sidecar = site.sidecar(
        streams=_streams(site.folder), policies=_policies(), mqtt=mqtt
    )
    site.broker.kill()
    ids = _due(sidecar)
    reply = sidecar.get("/readyz")
    assert reply is not None
    assert reply.status_code == 503, "not ready without a broker, and it says so"
    site.broker.restart()
    _all_heard(site, ids, 45)
    sidecar.wait_ready(20)


def test_both_are_killed(site: Site) -> None:
    """Takedowns in the outbox of a sidecar killed with the broker go out at its start.

    The second sidecar has no streams any more: all it knows is in the file.
    """
    sidecar = site.sidecar(streams=_streams(site.folder), policies=_policies())
    site.broker.kill()
    ids = _due(sidecar)
    sidecar.child.kill()
    site.broker.restart()
    sidecar.config["streams"] = []
    sidecar.start()
    sidecar.wait_ready()
    _all_heard(site, ids, 45)


def test_sidecar_killed_after_delivery_repeats_nothing_new(site: Site) -> None:
    """Killed right after the broker has them: at most the same ids come again."""
    sidecar = site.sidecar(streams=_streams(site.folder), policies=_policies())
    for stream in STREAMS:
        site.collector.action(stream, 45)
    ids = set(site.collector.actions())
    sidecar.child.kill()
    sidecar.config["streams"] = []
    sidecar.start()
    sidecar.wait_ready()
    site.collector.wait(
        lambda _: len([s for s in _states(site) if s == "online"]) > 1,
        45,
        "online again",
    )
    assert set(site.collector.actions()) == ids


def _states(site: Site) -> list[str]:
    return [
        m.body["state"] for m in list(site.collector.messages) if m.kind == "status"
    ]


def test_kept_until_enforced(site: Site) -> None:
    """A takedown that must be enforced stays in the outbox until somebody says so."""
    mqtt = {
        "host": "127.0.0.1",
        "port": site.broker.port,
        "inbound": {"acks": True},
    }
    sidecar = site.sidecar(
        streams=_streams(site.folder)[:1], policies=_policies(enforced=True), mqtt=mqtt
    )
    ident = site.collector.action(STREAMS[0], 30).body["id"]
    _acknowledge(site, ident, "received")
    site.collector.wait(
        lambda m: m.body.get("state") == "received", 45, "the word on the bus"
    )
    assert sidecar.outbox_depth() == 1
    _acknowledge(site, ident, "enforced")
    until(lambda: sidecar.outbox_depth() == 0, 45, "the outbox is empty")


def _acknowledge(site: Site, ident: str, state: str) -> None:
    word = {"schema": "moderation.ack/1", "state": state, "by": "edge-1"}
    site.collector.publish(f"moderation/v1/e2e/acks/{ident}", json.dumps(word))
