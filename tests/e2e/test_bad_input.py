"""Bad input while the sidecar runs: refused and counted; the other stream lives on."""

import json
from collections import Counter
from typing import Any

import httpx
import pytest

from sidecar.domain import Category
from sidecar.testcard.clip import Clip, write_clip
from tests.e2e.conftest import Site
from tests.e2e.flood import post_many
from tests.e2e.processes import until
from tests.e2e.publisher_process import offer_sdp
from tests.e2e.sidecar_process import SidecarProcess, whip

pytestmark = pytest.mark.e2e

TOKEN = "whip-0123456789abcdef"  # noqa: S105 the test's own
FLOOD = 10_000


def _bystander(site: Site) -> dict[str, Any]:
    """A clean stream that must go on, whatever happens to others."""
    clip = site.folder / "clean.mp4"
    write_clip(clip, None, Clip(width=320, height=180, fps=15, clean_s=5, card_s=0))
    return {"id": "bystander", "file": {"path": str(clip), "loop": True}}


def _lives_on(sidecar: SidecarProcess) -> None:
    """The bystander is seen: scored again after this moment, and CLEAR."""
    samples = sidecar.streams()["bystander"]["samples"]
    until(
        lambda: sidecar.streams()["bystander"]["samples"] > samples + 1,
        45,
        "the bystander is sampled",
    )
    entry = sidecar.streams()["bystander"]
    assert (entry["state"], entry["verdict"]["state"]) == ("live", "clear")


def _with_token(site: Site) -> dict[str, Any]:
    path = site.folder / "token"
    path.write_text(TOKEN)
    return {"file": str(path)}


GOOD = {"Content-Type": "application/sdp", "Authorization": f"Bearer {TOKEN}"}
BAD_POSTS = {
    "garbage": ("studio", GOOD, b"\x00\xff garbage", {400}),
    "empty": ("studio", GOOD, b"", {400}),
    "half": ("studio", GOOD, b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n", {400, 406}),
    "no video": ("studio", GOOD, b"v=0\r\ns=-\r\nt=0 0\r\n", {400, 406}),
    "wrong type": ("studio", {**GOOD, "Content-Type": "text/plain"}, b"v=0", {415}),
    "oversized": ("studio", GOOD, b"a" * 1_000_000, {413}),
    "no token": ("studio", {"Content-Type": "application/sdp"}, b"v=0", {401}),
    "wrong token": ("studio", {**GOOD, "Authorization": "Bearer no"}, b"", {401, 403}),
    "hostile id": ("a%2Fb%23%2B", GOOD, b"v=0", {400, 404, 405}),
    "overlong id": ("a" * 500, GOOD, b"v=0", {400, 404}),
    "no id": ("", GOOD, b"v=0", {404, 405}),
}


def test_bad_posts_are_refused(site: Site) -> None:
    """Each has its status and changes nothing; the bystander lives on."""
    sidecar = site.sidecar(
        whip=whip(token=_with_token(site)), streams=[_bystander(site)]
    )
    for name, (stream, headers, body, expected) in BAD_POSTS.items():
        reply = httpx.post(
            sidecar.whip(stream), headers=headers, content=body, trust_env=False
        )
        assert reply.status_code in expected, f"{name}: {reply.status_code}"
        assert TOKEN not in reply.text
    assert set(sidecar.streams()) == {"bystander"}
    assert sidecar.metric("sidecar_http_refusals_total") > 0
    _lives_on(sidecar)


def test_ten_thousand_posts(site: Site) -> None:
    """A flood is refused: memory and descriptors stay, the bystander lives on."""
    sidecar = site.sidecar(whip=whip(), streams=[_bystander(site)])
    sidecar.wait_stream("bystander", "live", 45)
    post_many(sidecar.whip("flood"), 200, b"v=0\r\ngarbage")
    memory, descriptors = sidecar.resident_mb(), sidecar.descriptors()
    statuses = post_many(sidecar.whip("flood"), FLOOD, b"v=0\r\ngarbage")
    assert statuses.total() == FLOOD
    assert set(statuses) <= {400, 429, 503}, statuses
    assert statuses[429] + statuses[503] > FLOOD * 0.9, statuses
    assert sidecar.resident_mb() < memory + 40
    until(lambda: sidecar.descriptors() <= descriptors, 45, "descriptors are back")
    assert set(sidecar.streams()) == {"bystander"}
    _lives_on(sidecar)


def test_sessions_are_bounded_and_end(site: Site) -> None:
    """Publishers that never connect take their places only until the time-out."""
    sidecar = site.sidecar(
        whip=whip(max_sessions=3),
        webrtc={"connect_timeout_s": 3, "packet_timeout_s": 3},
        streams=[_bystander(site)],
    )
    offer = offer_sdp()
    headers = {"Content-Type": "application/sdp"}
    statuses: Counter[int] = Counter()
    for number in range(5):
        url = sidecar.whip(f"ghost-{number}")
        reply = httpx.post(url, headers=headers, content=offer, trust_env=False)
        statuses[reply.status_code] += 1
        if reply.status_code == 503:
            assert int(reply.headers["Retry-After"]) > 0
    assert statuses == {201: 3, 503: 2}
    until(
        lambda: all(
            entry["state"] != "live" and entry["state"] != "connecting"
            for name, entry in sidecar.streams().items()
            if name.startswith("ghost")
        ),
        45,
        "the ghosts are gone",
    )
    reply = httpx.post(
        sidecar.whip("ghost-9"), headers=headers, content=offer, trust_env=False
    )
    assert reply.status_code == 201
    _lives_on(sidecar)


BAD_WORDS = (
    b"",
    b"{",
    b"\x00\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b"9" * 5000,
    b"[" * 3000,
    b'{"schema": "moderation.ack/1", "state": "enforced"}',
    b'{"schema": "moderation.set/1", "url": "http://elsewhere.example/whep"}',
    b'{"schema": "moderation.set/1", "url": "file:///etc/passwd"}',
    b'{"schema": "moderation.report/1", "kind": "viewer", "more": 1}',
    b"x" * 2_000_000,
)


def test_garbage_on_the_bus(site: Site) -> None:
    """Inbound topics take only what the contract says; nothing else has an effect."""
    mqtt = {
        "host": "127.0.0.1",
        "port": site.broker.port,
        "inbound": {
            "acks": True,
            "set": True,
            "report": True,
            "set_hosts": ["127.0.0.1"],
        },
    }
    sidecar = site.sidecar(mqtt=mqtt, streams=[_bystander(site)])
    root = "moderation/v1/e2e"
    topics = (
        f"{root}/acks/not-an-id",
        f"{root}/acks/0198c1f2-0000-7000-8000-000000000000",
        f"{root}/sidecars/e2e-1/streams/fresh/set",
        f"{root}/sidecars/e2e-1/streams/{'a' * 200}/set",
        f"{root}/streams/bystander/report",
    )
    for topic in topics:
        for word in BAD_WORDS:
            site.collector.publish(topic, word)
    url = {"schema": "moderation.set/1", "url": "http://127.0.0.1:9/whep"}
    site.collector.publish(f"{root}/sidecars/e2e-1/streams/wanted/set", json.dumps(url))
    until(lambda: "wanted" in sidecar.streams(), 45, "the good word is heard")
    assert set(sidecar.streams()) == {"bystander", "wanted"}
    assert sidecar.metric("sidecar_inbound_total", outcome="refused") > 0
    _lives_on(sidecar)


def test_broken_files_are_shown(site: Site) -> None:
    """No video, half a video, an empty file: each stream says so, the others live."""
    whole = site.folder / "whole.mp4"
    shape = Clip(width=320, height=180, fps=15, clean_s=2, card_s=0)
    write_clip(whole, Category.SEXUAL_EXPLICIT, shape)
    data = whole.read_bytes()
    broken = {
        "text": b"this is not a video\n" * 100,
        "half": data[: len(data) // 2],
        "empty": b"",
        "noise": bytes(range(256)) * 400,
    }
    streams = [_bystander(site)]
    for name, content in broken.items():
        path = site.folder / f"{name}.mp4"
        path.write_bytes(content)
        streams.append({"id": name, "file": {"path": str(path)}})
    sidecar = site.sidecar(streams=streams)
    for name in broken:
        entry = _ended_badly(sidecar, name)
        assert entry["message"], name
        assert entry["verdict"]["state"] == "unknown", name
        assert str(site.folder) not in json.dumps(site.collector.summary())
    _lives_on(sidecar)


def _ended_badly(sidecar: SidecarProcess, name: str) -> dict[str, Any]:
    def entry() -> dict[str, Any] | None:
        found = sidecar.streams()[name]
        return found if found["state"] in {"unsupported", "waiting"} else None

    return until(entry, 45, f"{name} is given up")
