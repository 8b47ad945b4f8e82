"""Janus beside the sidecar: tokens, many streams of one server, keyframe requests."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Site
from tests.e2e.janus import Janus, Mountpoint
from tests.e2e.processes import until
from tests.e2e.sidecar_process import Settings

pytestmark = pytest.mark.e2e

TOKEN = "viewer-0123456789abcdef"  # noqa: S105 the test's own
POINTS = (Mountpoint("north", "VP8", TOKEN), Mountpoint("south", "H264"))


@pytest.fixture
def janus(site: Site) -> Iterator[Janus]:
    """A Janus with two streams, of which one wants a token."""
    janus = Janus(site.folder, POINTS)
    try:
        yield janus
    finally:
        site.children += janus.children


def _stream(site: Site, janus: Janus, name: str, token: str | None) -> Settings:
    whep: Settings = {"url": janus.whep(name)}
    if token is not None:
        path = site.folder / f"token-{token[:5]}"
        path.write_text(token)
        whep["token"] = {"file": str(path)}
    return {"id": name if token in {None, TOKEN} else "barred", "whep": whep}


def test_streams_of_one_server_are_told_apart(site: Site, janus: Janus) -> None:
    """Each stream has its own verdict: seen, gone, and kept out by a wrong token.

    Janus alone is killed then: its WHEP front answers 503 until it is back.
    """
    south = _stream(site, janus, "south", None)
    north = _stream(site, janus, "north", TOKEN)
    barred = _stream(site, janus, "north", "wrong-token")
    sidecar = site.sidecar(streams=[north, south, barred])

    first = janus.source("north", card_at_s=4, fps=15, keyframe_every=15)
    site.children.append(first)
    site.collector.action("north", 45)
    assert sidecar.streams()["south"]["verdict"]["state"] == "unknown"
    site.children.append(janus.source("south", card_at_s=4, fps=15, keyframe_every=15))
    site.collector.action("south", 45)
    said = sidecar.streams()["barred"]
    assert said["verdict"]["state"] == "unknown"
    assert "bearer token" in said["message"]

    first.end()
    sidecar.wait_stream("north", "waiting", 45)
    assert sidecar.streams()["south"]["verdict"]["state"] == "violating"

    janus.kill_janus()
    sidecar.wait_stream("south", "waiting", 45)
    until(
        lambda: "503" in str(sidecar.streams()["south"]["message"]),
        45,
        "the front says that Janus is away",
    )
    janus.restart()
    until(
        lambda: sidecar.streams()["south"]["verdict"]["state"] == "violating",
        45,
        "the card is seen again",
    )


def test_keyframes_come_when_asked_for(site: Site, janus: Janus) -> None:
    """A source with a keyframe in ten seconds is sampled every second: PLI reach it."""
    sampling = {"interval_s": 1.0, "decode": "keyframes", "audit_every_s": 0}
    sidecar = site.sidecar(
        streams=[_stream(site, janus, "south", None)],
        sampling={**sampling, "pli_interval_s": 1.0},
    )
    source = janus.source(
        "south", card_at_s=30, fps=15, keyframe_every=150, honours_pli=True
    )
    site.children.append(source)
    until(
        lambda: sidecar.metric("sidecar_samples_taken_total", by="keyframe") >= 8,
        45,
        "eight keyframes are sampled while the source sends four by itself",
    )
    assert sidecar.metric("sidecar_keyframe_requests_total") >= 5
    assert sidecar.streams()["south"]["state"] == "live"
