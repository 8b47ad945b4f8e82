"""Publishers that come back under the same stream id, by WHIP."""

import httpx
import pytest

from tests.e2e.conftest import Site
from tests.e2e.processes import until
from tests.e2e.publisher_process import offer_sdp
from tests.e2e.sidecar_process import whip

pytestmark = pytest.mark.e2e


def test_returns_with_another_resolution_and_codec(site: Site) -> None:
    """A polite leave frees the id at once; the next pictures are seen whatever shape.

    In between the stream has ended: its retained verdict is emptied.
    """
    sidecar = site.sidecar(whip=whip())
    first = site.publisher(
        sidecar.whip("studio"), category="safe", width=320, height=180
    )
    site.collector.wait(
        lambda m: m.stream == "studio" and m.body.get("state") == "clear", 45, "CLEAR"
    )
    first.child.end()
    site.collector.wait(
        lambda m: m.stream == "studio" and m.kind == "verdict" and not m.payload,
        45,
        "the verdict is emptied",
    )
    site.publisher(sidecar.whip("studio"), codec="h264", width=480, height=640)
    takedown = site.collector.action("studio", 45)
    assert takedown.body["reason"]["category"] == "sexual.explicit"


def test_crashed_publisher_keeps_its_place_only_briefly(site: Site) -> None:
    """After SIGKILL the id is taken (409, Retry-After) until the packet watchdog."""
    sidecar = site.sidecar(whip=whip())
    url = sidecar.whip("studio")
    crashed = site.publisher(url, category="safe")
    sidecar.wait_stream("studio", "live", 45)
    crashed.child.kill()
    headers = {"Content-Type": "application/sdp"}
    refused = httpx.post(url, headers=headers, content=offer_sdp(), trust_env=False)
    assert refused.status_code == 409
    assert int(refused.headers["Retry-After"]) > 0
    until(lambda: "studio" not in sidecar.streams(), 45, "the watchdog notices")
    site.publisher(url, card_at=1)
    site.collector.action("studio", 45)
