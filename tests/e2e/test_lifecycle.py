"""Start, stop, reload, and nothing left behind by streams that come and go."""

import asyncio
import signal
from itertools import groupby
from typing import Any

import httpx
import pytest
import yaml

from sidecar.demo.whip_push import Publication, publish
from sidecar.domain import Category, Codec
from sidecar.testcard.clip import Clip, Scene, write_clip
from tests.e2e.conftest import Site
from tests.e2e.processes import until
from tests.e2e.sidecar_process import SidecarProcess, rule, whip

pytestmark = pytest.mark.e2e

ROUNDS = 10


def _states(site: Site) -> list[str]:
    return [
        m.body["state"] for m in list(site.collector.messages) if m.kind == "status"
    ]


def _file_stream(site: Site, **over: object) -> dict[str, Any]:
    """A stream that shows the card from its third second on, for ever and again."""
    clip = site.folder / "clip.mp4"
    shape = Clip(width=320, height=180, fps=15, clean_s=2, card_s=4)
    write_clip(clip, Category.SEXUAL_EXPLICIT, shape)
    return {"id": "loop", "file": {"path": str(clip), "loop": True}, **over}


def test_clean_stop(site: Site) -> None:
    """SIGTERM while streams run: exit 0 in time, after draining and offline."""
    sidecar = site.sidecar(streams=[_file_stream(site)])
    site.collector.action("loop", 45)
    assert sidecar.stop() == 0
    site.collector.wait(lambda _: "offline" in _states(site), 45, "offline")
    said = [state for state, _ in groupby(_states(site)) if state != "degraded"]
    assert said == ["online", "draining", "offline"]


def test_second_signal_ends_at_once(site: Site) -> None:
    """A drain that cannot succeed is cut short by a second SIGTERM."""
    sidecar = site.sidecar(streams=[_file_stream(site)], drain_s=60)
    site.broker.kill()
    until(lambda: sidecar.outbox_depth() > 0, 45, "a takedown is due")
    sidecar.child.send(signal.SIGTERM)
    until(lambda: sidecar.logged("stopping"), 45, "it is stopping")
    sidecar.child.send(signal.SIGTERM)
    assert sidecar.child.wait(45) != 0


def test_drain_has_a_deadline(site: Site) -> None:
    """Without a broker the stop ends at `drain_s`, and says how many are left."""
    sidecar = site.sidecar(streams=[_file_stream(site)], drain_s=2)
    site.broker.kill()
    until(lambda: sidecar.outbox_depth() > 0, 45, "a takedown is due")
    assert sidecar.stop() == 0
    assert sidecar.logged("stopped")[-1]["undelivered"] > 0


def test_policies_are_reloaded(site: Site) -> None:
    """SIGHUP swaps valid policies in; a faulty file changes nothing, loudly."""
    harmless = rule("flag", name="never", enter=1.0, exit=0.999)
    quiet = [{"name": "quiet", "rules": [harmless]}]
    sidecar = site.sidecar(streams=[_file_stream(site)], policies=quiet)
    sidecar.wait_stream("loop", "live", 45)

    _rewrite(sidecar, policies=[{"name": "broken", "rules": [{"naem": "x"}]}])
    sidecar.child.send(signal.SIGHUP)
    until(lambda: sidecar.logged("configuration_refused"), 45, "the fault is logged")
    assert _policy_names(sidecar) == ["quiet"]
    assert sidecar.metric("sidecar_policy_reloads_total", outcome="refused") >= 1

    _rewrite(sidecar, policies=[{"name": "strict", "rules": [rule()]}])
    sidecar.child.send(signal.SIGHUP)
    until(lambda: _policy_names(sidecar) == ["strict"], 45, "the swap")
    assert sidecar.logged("policies_swapped")
    assert site.collector.action("loop", 45).body["policy"]["name"] == "strict"


def test_policies_are_reloaded_when_the_file_changes(site: Site) -> None:
    """No signal is needed: the file is watched."""
    sidecar = site.sidecar()
    _rewrite(sidecar, policies=[{"name": "other", "rules": [rule()]}])
    until(lambda: _policy_names(sidecar) == ["other"], 45, "the swap")


def _rewrite(sidecar: SidecarProcess, **over: object) -> None:
    sidecar.path.write_text(yaml.safe_dump({**sidecar.config, **over}))


def _policy_names(sidecar: SidecarProcess) -> list[str]:
    reply = sidecar.get("/api/policies")
    assert reply is not None
    return [policy["name"] for policy in reply.json()["policies"]]


def test_nothing_grows(site: Site) -> None:
    """Ten publishers come and go: descriptors and threads end where they were."""
    sidecar = site.sidecar(whip=whip())
    asyncio.run(_come_and_go(sidecar, "warm-up"))
    _all_gone(sidecar)
    descriptors, threads = sidecar.descriptors(), sidecar.threads()
    for number in range(ROUNDS):
        asyncio.run(_come_and_go(sidecar, f"guest-{number}"))
    _all_gone(sidecar)
    until(
        lambda: sidecar.descriptors() <= descriptors + 1,
        45,
        f"descriptors fall back to {descriptors}, not {sidecar.descriptors()}",
    )
    assert sidecar.threads() <= threads + 1


async def _come_and_go(sidecar: SidecarProcess, stream: str) -> None:
    """Publishes for half a second, both codecs in turn."""
    codec = Codec.H264 if stream.endswith(("1", "3", "5", "7", "9")) else Codec.VP8
    pictures = Scene(width=160, height=96, fps=15)
    publication = Publication(sidecar.whip(stream), pictures, codec=codec, seconds=0.5)
    async with httpx.AsyncClient(trust_env=False) as http:
        await publish(publication, http, asyncio.Event(), lambda *_: None)


def _all_gone(sidecar: SidecarProcess) -> None:
    until(
        lambda: all(s["state"] == "ended" for s in sidecar.streams().values()),
        45,
        "all publishers are gone",
    )


def test_streams_added_and_removed_by_api(site: Site) -> None:
    """PUT starts to watch a stream, DELETE stops it and empties its verdict."""
    sidecar = site.sidecar()
    url = f"{sidecar.control}/api/streams/later"
    whep = {"url": "http://127.0.0.1:9/whep"}
    reply = httpx.put(url, json={"whep": whep}, timeout=45, trust_env=False)
    assert reply.status_code == 201, reply.text
    sidecar.wait_stream("later", "waiting", 45)
    assert sidecar.streams()["later"]["verdict"]["state"] == "unknown"
    site.collector.wait(
        lambda m: m.stream == "later" and m.body.get("state") == "unknown",
        45,
        "UNKNOWN on the bus",
    )
    assert httpx.delete(url, timeout=45, trust_env=False).status_code == 204
    assert "later" not in sidecar.streams()
    site.collector.wait(
        lambda m: m.stream == "later" and not m.payload, 45, "the verdict is emptied"
    )
