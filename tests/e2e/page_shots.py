"""Screenshots of every view, light and dark, desktop and phone, for the documents.

`python -m tests.e2e.page_shots FOLDER`
"""

import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.e2e.mosquitto import Mosquitto
from tests.e2e.page_house import Desk, PageHouse, chromium, try_lower

VIEWS: Final = ("login", "streams", "stream", "actions", "thresholds", "log")
SIZES: Final = {"desktop": (1280, 800), "phone": (390, 844)}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
_COLOURS: Final = 64


def prepared(desk: Desk, view: str) -> Page:
    """The view, with something to see on it."""
    if view == "stream":
        page = desk.view("streams/room-000")
        page.get_by_role("button", name="2 min").click()
        page.locator(".acts li").first.wait_for()
    else:
        page = desk.view(view)
    if view == "streams":
        page.locator(".verdict.violating").first.wait_for()
    if view == "thresholds":
        try_lower(page)
    page.wait_for_timeout(800)
    return page


def shoot(browser: Browser, house: PageHouse, folder: Path) -> None:
    """Every view in every size and scheme, few colours, so that files stay small."""
    for scheme in SCHEMES:
        for size, (width, height) in SIZES.items():
            stranger = Desk(
                browser, house, None, width=width, height=height, scheme=scheme
            )
            stranger.page.get_by_label("Token").wait_for()
            _save(stranger.page, folder / f"login-{scheme}-{size}.png")
            stranger.close()
            desk = Desk(browser, house, width=width, height=height, scheme=scheme)
            for view in VIEWS[1:]:
                page = prepared(desk, view)
                _save(page, folder / f"{view}-{scheme}-{size}.png")
            desk.close()


def _save(page: Page, path: Path) -> None:
    page.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def main(folder: Path) -> None:
    """Takes them all."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        broker = Mosquitto(Path(scratch))
        house = PageHouse(Path(scratch), broker.port)
        try:
            with chromium() as browser:
                shoot(browser, house, folder)
        finally:
            house.child.end()
            broker.child.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
