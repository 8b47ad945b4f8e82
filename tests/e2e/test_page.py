"""The operator's page in a real browser, on a real sidecar."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Site
from tests.e2e.page_house import (
    DESK1,
    DESK2,
    OBSERVER,
    Desk,
    PageHouse,
    chromium,
    try_lower,
)
from tests.e2e.processes import until

pytestmark = pytest.mark.e2e

Open = Callable[..., Desk]
_FILTER = """() => new Promise((done) => {
  const box = document.querySelector("#search");
  const began = performance.now();
  box.value = "tier=new";
  box.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => done(performance.now() - began));
})"""


@pytest.fixture
def house(site: Site) -> Iterator[PageHouse]:
    """A sidecar with two dozen streams."""
    found = PageHouse(site.folder, site.broker.port)
    yield found
    found.child.end()
    print(found.child.tail())  # noqa: T201 shown by pytest on failure


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all; each desk is a person of its own."""
    with chromium() as found:
        yield found


@pytest.fixture
def open_desk(browser: Browser, house: PageHouse) -> Iterator[Open]:
    """Opens windows; at the end none of them had an error or asked elsewhere."""
    desks: list[Desk] = []

    def opened(token: str | None = DESK1, **how: int) -> Desk:
        desks.append(Desk(browser, house, token, **how))  # type: ignore[arg-type] # sizes
        return desks[-1]

    yield opened
    for desk in desks:
        desk.close()


def row(page: Page, stream: str) -> Locator:
    """One stream's line."""
    return page.locator("table.streams tr", has=page.get_by_text(stream, exact=True))


def found(page: Page, stream: str) -> Locator:
    """The same, searched for: the list shows what fits, by how the scores stand."""
    page.get_by_placeholder("Name, label, policy, reason").fill(stream)
    return row(page, stream)


def slide(page: Page, rule: str, key: str, value: float) -> None:
    """Moves a slider."""
    page.locator(f'[id="default/{rule}/{key}"]').fill(str(value))


def confirm(page: Page, verb: str, reason: str) -> str:
    """Reads what will change, gives a reason, and confirms; the sentences."""
    dialog = page.locator("dialog[open]")
    dialog.wait_for()
    words = dialog.locator("ul.words").inner_text()
    dialog.locator("textarea").fill(reason)
    dialog.locator("input[type=checkbox]").check()
    dialog.get_by_role("button", name=verb, exact=True).click()
    return words


def test_streams_are_live_and_open_by_keys(open_desk: Open) -> None:
    """Rows change by themselves; a key opens a stream, which says why it was cut."""
    page = open_desk().page
    card = row(page, "room-000")
    expect(card).to_contain_text("Violating")
    line = card.locator("polyline")
    before = line.get_attribute("points")
    until(lambda: line.get_attribute("points") != before, 45, "the sparkline moves")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("room-000")
    expect(page.locator(".acts").first).to_contain_text("Takedown")
    expect(page.locator(".rules")).to_contain_text("cut: takedown on sexual.explicit")
    expect(page.locator("svg.timeline path.line").first).to_be_attached()
    expect(page.locator("svg.timeline .act.cut").first).to_be_attached()
    expect(page.locator(".legs")).to_contain_text("Decode")
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_contain_text("Reverse the takedown")
    page.keyboard.press("Escape")
    page.keyboard.press("Backspace")
    expect(page.locator("h1")).to_have_text("Streams")


def test_a_takedown_is_followed_reviewed_and_reversed(
    site: Site, open_desk: Open
) -> None:
    """Delivered, enforced as the enforcer says so; cleared, and reversed on the bus."""
    desk = open_desk()
    heard = site.collector.action("room-000", 45)
    page = desk.view("actions")
    item = page.locator("li.feed.takedown").first
    expect(item).to_contain_text("delivered to the broker")
    ack = {"schema": "moderation.ack/1", "state": "enforced", "by": "gate-1"}
    action_id = heard.body["id"]
    site.collector.publish(f"moderation/v1/studio/acks/{action_id}", json.dumps(ack))
    mine = page.locator("li.feed.takedown", has_text="✓enforced").first
    mine.wait_for()
    mine.get_by_role("button", name="✕ It was not").click()
    expect(mine).to_contain_text("Cleared by desk1")
    mine.get_by_role("button", name="Reverse").click()
    page.locator("dialog[open]").get_by_role("button", name="Reverse").click()
    site.collector.action("room-000", 45, kind="reverse_takedown")
    expect(page.locator("li.feed.reverse_takedown").first).to_be_visible()
    labels = (site.folder / "labels-edge-1.csv").read_text()
    assert "room-000," in labels
    assert labels.rstrip().endswith(",safe")
    metrics = desk.page.request.get(f"{desk.house.url}/metrics").text()
    assert 'sidecar_overturn_ratio{policy="default",rule="cut"} 1.0' in metrics


def test_a_paused_stream_is_judged_and_left_alone(site: Site, open_desk: Open) -> None:
    """Its actions go out as dry runs, all see who paused it and why, until it ends."""
    page = open_desk().view("streams/room-000")
    page.get_by_role("button", name="Pause automation").click()
    dialog = page.locator("dialog[open]")
    dialog.locator("textarea").fill("an interview with a surgeon")
    dialog.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".facts")).to_contain_text("paused by desk1 until")
    expect(page.locator(".facts")).to_contain_text("an interview with a surgeon")
    seen = len(site.collector.messages)
    site.collector.wait(
        lambda m: (
            m in site.collector.messages[seen:]
            and m.kind == "actions"
            and m.body["action"] == "takedown"
            and m.body["dry_run"]
        ),
        50,
        "a dry run of the paused stream",
    )
    page.get_by_role("button", name="End the pause").click()
    expect(page.locator(".facts")).not_to_contain_text("paused")
    page.get_by_role("button", name="Look closely").click()
    expect(page.locator("#toasts")).to_contain_text("looked at closely")


def test_thresholds_are_tried_applied_and_undone(
    house: PageHouse, open_desk: Open
) -> None:
    """What-if at once, a trial in the shadow, a version with a reason, and its undo."""
    desk = open_desk()
    found(desk.page, "room-003").filter(has_text="0.6").wait_for()
    page = desk.view("thresholds")
    expect(page.locator(".whatif")).to_contain_text("Move a slider")
    added = try_lower(page)
    expect(added).to_contain_text("room-0")
    raised = re.compile(r"^#/streams/room-0\d3$")  # those whose scores reach 0.68
    expect(added.locator("a").first).to_have_attribute("href", raised)
    page.get_by_role("button", name="Try as shadow").click()
    expect(page.locator("#shadow-count")).not_to_have_text("0")
    assert house.get("/policies")["policies"][0]["rules"][1]["enter"] == 0.9
    page.get_by_role("button", name="Apply…").click()
    words = confirm(page, "Apply", "too many were missed last night")
    assert "enter 0.9 → 0.5: lower scores count, so it acts more often" in words
    expect(page.locator(".facts")).to_contain_text("Version 2, by desk1")
    assert house.get("/policies")["policies"][0]["rules"][1]["enter"] == 0.5
    house.restart()
    assert house.get("/policies")["policies"][0]["rules"][1]["enter"] == 0.5
    page.wait_for_selector("#link.live")
    page.get_by_role("button", name="Undo the last version…").click()
    confirm(page, "Undo it", "far too many alarms")
    expect(page.locator(".facts")).to_contain_text("Version 3, by desk1")
    assert house.get("/policies")["policies"][0]["rules"][1]["enter"] == 0.9
    page = desk.view("log")
    expect(page.locator(".versions")).to_contain_text("too many were missed last night")
    expect(page.locator(".audit")).to_contain_text("policy.undo")


def test_two_operators_at_once(open_desk: Open) -> None:
    """The second is told who was quicker and what was changed; nothing is lost."""
    desk1, desk2 = open_desk(), open_desk(DESK2)
    mine, other = desk1.view("thresholds"), desk2.view("thresholds")
    slide(mine, "cut", "enter", 0.95)
    slide(other, "flag", "enter", 0.7)
    mine.get_by_role("button", name="Apply…").click()
    mine.locator("dialog[open]").wait_for()
    other.get_by_role("button", name="Apply…").click()
    confirm(other, "Apply", "more for review")
    expect(other.locator(".facts")).to_contain_text("Version 2, by desk2")
    confirm(mine, "Apply", "fewer takedowns")
    error = mine.locator(".toast.error")
    expect(error).to_contain_text("desk2 made version 2")
    expect(error).to_contain_text("more for review")
    expect(mine.locator(".facts")).to_contain_text("Version 2, by desk2")
    mine.get_by_role("button", name="Apply…").click()
    words = confirm(mine, "Apply", "fewer takedowns")
    assert "'cut'" in words
    assert "'flag'" not in words
    expect(mine.locator(".facts")).to_contain_text("Version 3, by desk1")


def test_the_page_comes_back_after_a_restart(house: PageHouse, open_desk: Open) -> None:
    """It says that it is reconnecting, then goes on; nobody has to log in again."""
    page = open_desk().page
    found(page, "room-001").wait_for()
    house.child.end()
    expect(page.locator("#link")).to_have_text("✕ Reconnecting")
    expect(page.locator("#banner")).to_contain_text("comes back by itself")
    house.start()
    expect(page.locator("#link")).to_have_text("● Live")
    look = row(page, "room-001").locator(".c-look")
    fresh = re.compile(r"^[0-3]\.\d s ago")  # by how sampling and news are in step
    expect(look).to_have_text(fresh)
    expect(page.locator("#who")).to_contain_text("desk1 (operator)")


def test_an_observer_looks_only(house: PageHouse, open_desk: Open) -> None:
    """A wrong token is told; an observer's shows everything and does nothing."""
    desk = open_desk(None)
    page = desk.page
    page.get_by_label("Token").fill("not-a-token-0123456789")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".fault")).to_contain_text("not known")
    page.get_by_label("Token").fill(OBSERVER)
    page.get_by_role("button", name="Log in").click()
    found(page, "room-001").wait_for()
    assert OBSERVER not in page.evaluate("document.cookie + location.href")
    page = desk.view("streams/room-000")
    expect(page.get_by_role("button", name="Pause automation")).to_be_disabled()
    page = desk.view("thresholds")
    slide(page, "cut", "enter", 0.5)
    expect(page.locator(".whatif")).to_contain_text("On ")
    expect(page.get_by_role("button", name="Apply…")).to_be_disabled()
    expect(page.locator(".note")).to_contain_text("An observer's token")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    reply = page.request.get(f"{house.url}/api/streams")
    assert reply.status == 401


def test_five_hundred_streams_stay_usable(site: Site, browser: Browser) -> None:
    """Search, filters and keys answer at once, for only rows in sight are drawn."""
    house = PageHouse(site.folder, site.broker.port, streams=500)
    site.children.append(house.child)
    desk = Desk(browser, house)
    page = desk.page
    expect(page.locator(".counts")).to_contain_text("500 under watch")
    lines = page.locator("table.streams tbody tr:not(.pad)")
    assert 5 < lines.count() < 60
    page.keyboard.press("/")
    page.keyboard.type("room-4")
    expect(page.locator(".counts")).to_contain_text("; 100 shown")
    page.keyboard.type("23")
    expect(lines).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".counts")).to_contain_text("; 500 shown")
    page.locator("select").select_option("name")
    page.locator(".scroller").evaluate("node => node.scrollTop = node.scrollHeight")
    expect(row(page, "room-499")).to_be_visible()
    assert lines.count() < 60
    took_ms = []
    for _ in range(5):  # the machine may stand still in one of them
        took_ms.append(page.evaluate(_FILTER))
        expect(page.locator(".counts")).to_contain_text("; 72 shown")
        page.keyboard.press("/")
        page.keyboard.press("Escape")
        expect(page.locator(".counts")).to_contain_text("; 500 shown")
    assert min(took_ms) < 250
    desk.close()
