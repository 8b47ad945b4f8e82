"""A sidecar with synthetic streams behind its real page, and browsers to look at it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import httpx
import yaml
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from tests.e2e.processes import Child, free_port, program, until

PATIENCE_MS = 45_000
expect.set_options(timeout=PATIENCE_MS)
DESK1, DESK2 = "desk1-token-0123456789", "desk2-token-0123456789"
OBSERVER = "observer-token-0123456789"
RULE = {
    "category": "sexual.explicit",
    "exit": 0.3,
    "of": 3,
    "within_s": 4,
    "cooldown_s": 5,
}
POLICIES = [
    {
        "name": "default",
        "rules": [
            {**RULE, "name": "flag", "action": "flag", "enter": 0.8, "hits": 1},
            {**RULE, "name": "cut", "action": "takedown", "enter": 0.9, "hits": 2},
        ],
    }
]


class PageHouse:
    """The process under test; it can be ended and started anew on its port."""

    def __init__(
        self,
        folder: Path,
        mqtt_port: int,
        streams: int = 24,
        *,
        thumbnails: bool = False,
    ) -> None:
        self._folder = folder
        self._streams = streams
        self._path = folder / "sidecar.yaml"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        (folder / "policies.yaml").write_text(yaml.safe_dump(POLICIES))
        for name, token in (("desk1", DESK1), ("desk2", DESK2), ("observer", OBSERVER)):
            (folder / name).write_text(token)
        config: dict[str, Any] = {
            "site": "studio",
            "sidecar": "edge-1",
            "log": {"format": "json"},
            "policies": "policies.yaml",
            "mqtt": {
                "host": "127.0.0.1",
                "port": mqtt_port,
                "inbound": {"acks": True, "outcomes": True},
            },
            "outbox": {"path": "outbox.sqlite"},
            "control": {
                "port": port,
                "observer_token": {"file": "observer"},
                "tokens": [
                    {"name": "desk1", "token": {"file": "desk1"}},
                    {"name": "desk2", "token": {"file": "desk2"}},
                ],
            },
            "drain_s": 2,
        }
        if thumbnails:
            config["control"]["thumbnails"] = True
        self._path.write_text(yaml.safe_dump(config))
        self.child = self.start()

    def start(self) -> Child:
        """Starts it and waits until it serves."""
        command = ["-m", "tests.e2e.page_process", str(self._path), str(self._streams)]
        self.child = Child(
            "page", [sys.executable, *command], self._folder / "page.log"
        )
        until(self._serves, 45, "the page's sidecar serves")
        return self.child

    def restart(self) -> None:
        """Ends it in order, and starts it again."""
        self.child.end()
        self.start()

    def get(self, path: str) -> Any:  # noqa: ANN401 JSON
        """What the API says, to a program."""
        headers = {"authorization": f"Bearer {DESK1}"}
        return httpx.get(f"{self.url}/api{path}", headers=headers).json()

    def _serves(self) -> bool:
        assert self.child.alive, self.child.tail()
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/livez").status_code == 200
        return False


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless."""
    path = program("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        try:
            yield browser
        finally:
            browser.close()


class Desk:
    """One person's browser window, logged in; notes what it did wrong."""

    def __init__(
        self,
        browser: Browser,
        house: PageHouse,
        token: str | None = DESK1,
        *,
        width: int = 1280,
        height: int = 800,
        scheme: Literal["light", "dark"] = "light",
    ) -> None:
        self.house = house
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", self._note)
        self.page.goto(house.url + ("/" if token is None else f"/#login={token}"))
        if token is not None:
            self.page.wait_for_selector("#link.live")

    def _hear(self, message: Any) -> None:  # noqa: ANN401 playwright's
        if message.type == "error" and "Content Security Policy" in message.text:
            self.errors.append(message.text)

    def _note(self, request: Any) -> None:  # noqa: ANN401 playwright's
        if not request.url.startswith((self.house.url, "blob:", "data:")):
            self.foreign.append(request.url)

    def view(self, name: str) -> Page:
        """Goes to one of the page's views."""
        self.page.goto(f"{self.house.url}/#/{name}")
        self.page.wait_for_selector("main h1")
        return self.page

    def close(self) -> None:
        """Nothing went wrong, and nobody else was asked for anything."""
        self.context.close()
        assert self.errors == []
        assert self.foreign == []


def try_lower(page: Page) -> Locator:
    """Moves the takedown's threshold to 0.5; what that adds, once there is any.

    What-if looks at what was seen so far: one picture of a plateau is too few.
    """
    added = page.locator(".whatif details.added")

    def adds() -> bool:
        page.locator('[id="default/cut/enter"]').fill("0.5")
        page.locator(".whatif", has_text="On ").wait_for()
        return added.count() > 0

    until(adds, 45, "a lower threshold adds actions", every_s=0.5)
    return added


def axe_source(folder: Path) -> str:
    """axe-core's script: SIDECAR_AXE names it, or else npm fetches it to `folder`."""
    named = os.environ.get("SIDECAR_AXE")  # noqa: TID251 tests' switch
    if named:
        return Path(named).read_text()
    npm = program("npm")
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "axe-core@4.10.3"]
    child = Child("npm", command, folder / "npm.log")
    child.wait(100)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()
