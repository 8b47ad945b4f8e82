"""Everybody can use the page: axe-core finds nothing serious in any view or scheme."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.conftest import Site
from tests.e2e.page_house import Desk, PageHouse, axe_source, chromium
from tests.e2e.page_shots import SCHEMES, SIZES, VIEWS, prepared

pytestmark = pytest.mark.e2e

_RUN = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.html)]);
}"""
_SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script, fetched by name once."""
    return axe_source(tmp_path_factory.mktemp("axe"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all; each desk is a person of its own."""
    with chromium() as found:
        yield found


def serious(page: Page, axe: str) -> list[Any]:
    """What axe-core calls serious or critical on the page as it is, in each scheme."""
    page.evaluate(axe)
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        said = page.evaluate(_RUN)
        found += [[scheme, *one] for one in said if one[0] in _SERIOUS]
    return found


def test_axe_finds_nothing_serious(site: Site, browser: Browser, axe: str) -> None:
    """Each view, its dialogs, and the login, on a desk and on a phone."""
    house = PageHouse(site.folder, site.broker.port)
    site.children.append(house.child)
    found: dict[str, list[Any]] = {}
    for size, (width, height) in SIZES.items():
        stranger = Desk(browser, house, None, width=width, height=height)
        stranger.page.get_by_label("Token").wait_for()
        found[f"login {size}"] = serious(stranger.page, axe)
        stranger.close()
        desk = Desk(browser, house, width=width, height=height)
        for view in VIEWS[1:]:
            page = prepared(desk, view)
            found[f"{view} {size}"] = serious(page, axe)
        page = desk.view("thresholds")
        page.locator('[id="default/cut/enter"]').fill("0.5")
        page.get_by_role("button", name="Apply…").click()
        page.locator("dialog[open]").wait_for()
        found[f"dialog {size}"] = serious(page, axe)
        desk.close()
    assert {view: what for view, what in found.items() if what} == {}


def test_the_script_finds_what_is_wrong(browser: Browser, axe: str) -> None:
    """A picture that says nothing is told, so the silence above means something."""
    page = browser.new_context().new_page()
    page.set_content("<main><h1>x</h1><img src='data:,'><button></button></main>")
    assert serious(page, axe)


def test_nothing_is_wider_than_a_phone(
    site: Site, browser: Browser, tmp_path: Path
) -> None:
    """No view has to be scrolled sideways."""
    assert tmp_path.exists()
    house = PageHouse(site.folder, site.broker.port)
    site.children.append(house.child)
    width, height = SIZES["phone"]
    desk = Desk(browser, house, width=width, height=height)
    for view in VIEWS[1:]:
        page = desk.view("streams/room-000" if view == "stream" else view)
        page.wait_for_timeout(600)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, (view, wide)
    desk.close()
