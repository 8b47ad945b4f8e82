"""A glimpse of a picture, in a real browser: asked for, noted, unreadable, gone."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Site
from tests.e2e.page_house import Desk, PageHouse, chromium

pytestmark = pytest.mark.e2e
REASON = "a viewer wrote to us"
PIXELS = """async (image) => {
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const paper = canvas.getContext("2d");
  paper.drawImage(image, 0, 0);
  return Array.from(paper.getImageData(0, 0, canvas.width, canvas.height).data);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all; each desk is a person of its own."""
    with chromium() as found:
        yield found


def _house(site: Site, *, thumbnails: bool) -> PageHouse:
    house = PageHouse(site.folder, site.broker.port, 2, thumbnails=thumbnails)
    site.children.append(house.child)
    return house


def test_there_is_none_unless_it_is_configured(site: Site, browser: Browser) -> None:
    """No button, and no picture for whoever asks without one."""
    house = _house(site, thumbnails=False)
    desk = Desk(browser, house)
    page = desk.view("streams/room-001")
    expect(page.get_by_role("button", name="Look closely")).to_be_visible()
    expect(page.get_by_role("button", name="Blurred picture")).to_have_count(0)
    code = page.evaluate(
        """async () => {
          const reply = await fetch("/api/streams/room-001/thumbnail", {
            method: "POST",
            headers: { "Content-Type": "application/json", "X-Sidecar-Page": "1" },
            body: JSON.stringify({ reason: "curious" }),
          });
          return (await reply.json()).code;
        }"""
    )
    assert code == "thumbnails_off"
    desk.close()


def test_a_glimpse_is_grey_blurred_noted_and_gone(site: Site, browser: Browser) -> None:
    """24 grey squares a side in which no line is left, for six seconds; who and why."""
    house = _house(site, thumbnails=True)
    desk = Desk(browser, house)
    page = desk.view("streams/room-001")
    page.get_by_role("button", name="Blurred picture").click()
    dialog = page.locator("dialog[open]")
    dialog.locator("textarea").fill(REASON)
    assert _looks(house) == []
    dialog.get_by_role("button", name="Look", exact=True).click()
    image = page.locator("dialog[open] img.glimpse")
    image.wait_for()
    (look,) = _looks(house)
    assert (look["actor"], look["about"]) == ("desk1", "room-001")
    assert look["detail"]["reason"] == REASON
    pixels = image.evaluate(PIXELS)
    assert len(pixels) == 24 * 24 * 4
    squares = [tuple(pixels[at : at + 3]) for at in range(0, len(pixels), 4)]
    assert all(red == green == blue for red, green, blue in squares)
    left, right = {s[0] for s in squares[:11]}, {s[0] for s in squares[13:24]}
    assert len(left) == len(right) == 1  # a red line beside each black one, unseen
    assert left != right
    expect(image).to_have_count(0)
    desk.close()


def _looks(house: PageHouse) -> list[dict[str, Any]]:
    entries = house.get("/audit")["entries"]
    return [one for one in entries if one["act"] == "stream.look"]
