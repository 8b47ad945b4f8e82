"""A real browser publishes by WHIP; the takedown comes through a real broker."""

import pytest

from tests.e2e.browser import PublishPage, publishing_browser
from tests.e2e.conftest import Site
from tests.e2e.processes import until
from tests.e2e.sidecar_process import whip

pytestmark = pytest.mark.e2e

TOKEN = "browser-0123456789abcdef"  # noqa: S105 the test's own


@pytest.mark.parametrize(
    ("hide", "codec"),
    [(False, "VP8"), (True, "H264")],
    ids=["addresses-vp8", "mdns-h264"],
)
def test_canvas_with_card_is_taken_down(
    site: Site, page: PublishPage, *, hide: bool, codec: str
) -> None:
    """A page of an allowed origin publishes; clean at first, then the card: takedown.

    Chromium asks by preflight, hides its addresses behind mDNS names unless told
    otherwise, and can read Location only because the endpoint exposes it.
    """
    (site.folder / "token").write_text(TOKEN)
    listener = whip(
        token={"file": str(site.folder / "token")}, allow_origins=[page.origin]
    )
    sidecar = site.sidecar(whip=listener)
    settings = {
        "whip": sidecar.whip("browser"),
        "token": TOKEN,
        "cardAt": 6,
        "codec": codec,
    }
    with publishing_browser(site.folder, page, settings, hide=hide) as chromium:
        site.children.append(chromium)
        offered = page.wait_said("offered", 45)
        assert any(".local" in c for c in offered["candidates"]) == hide
        answered = page.wait_said("answered", 45)
        assert answered["status"] == 201
        assert answered["location"].startswith("/whip/browser/")
        sidecar.wait_stream("browser", "live", 45)
        site.collector.wait(
            lambda m: m.stream == "browser" and m.body.get("state") == "clear",
            45,
            "the clean scene is CLEAR",
        )
        takedown = site.collector.action("browser", 45)
    assert page.events("card_shown"), "nothing was taken down before the card"
    assert takedown.body["reason"]["category"] == "sexual.explicit"
    assert takedown.body["subject"]["source"] == "whip"
    site.collector.wait(
        lambda m: m.kind == "verdict" and m.stream == "browser" and not m.payload,
        45,
        "the retained verdict is emptied once the browser is gone",
    )


def test_page_of_another_origin_is_kept_out(site: Site, page: PublishPage) -> None:
    """The browser itself refuses to publish where its origin is not allowed."""
    sidecar = site.sidecar(whip=whip(allow_origins=["https://studio.example"]))
    settings = {"whip": sidecar.whip("browser"), "token": "x", "cardAt": 99}
    with publishing_browser(site.folder, page, settings, hide=False) as chromium:
        site.children.append(chromium)
        refused = _failure(page)
    assert page.events("offered")
    assert not page.events("answered")
    assert "Failed to fetch" in refused
    assert sidecar.streams() == {}


def _failure(page: PublishPage) -> str:
    """What the page says of its failure."""
    return str(
        until(
            lambda: next(iter(page.events("failed")), None), 45, "the page is refused"
        )["message"]
    )
