"""A headless Chromium that publishes a page's canvas by WHIP."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.e2e.processes import Child, program, until

_PAGE = Path(__file__).with_name("publish_page.html")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--disable-dev-shm-usage", "--mute-audio"),
    *("--disable-background-timer-throttling", "--disable-renderer-backgrounding"),
)
_SHOW_ADDRESSES = "--disable-features=WebRtcHideLocalIpsWithMdns"


class PublishPage:
    """Serves the publishing page and the card, and takes down what the page says."""

    def __init__(self, card: Path) -> None:
        self.said: list[dict[str, Any]] = []
        files = {
            "/": ("text/html", _PAGE.read_bytes()),
            "/card.png": ("image/png", card.read_bytes()),
        }
        said = self.said

        class Handler(BaseHTTPRequestHandler):
            """Two files, and POST /said."""

            def do_GET(self) -> None:
                kind, body = files.get(self.path, ("text/plain", b""))
                self._reply(200 if body else 404, kind, body)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                said.append(json.loads(self.rfile.read(length)))
                self._reply(204, "text/plain", b"")

            def _reply(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def wait_said(self, event: str, within_s: float) -> dict[str, Any]:
        """The first of the page's events of that name."""

        def found() -> dict[str, Any] | None:
            assert not self.events("failed"), self.said
            return next(iter(self.events(event)), None)

        return until(found, within_s, f"the page says {event}; it said {self.said}")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The page's events of that name so far."""
        return [one for one in list(self.said) if one["event"] == name]

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def publishing_browser(
    folder: Path, page: PublishPage, settings: dict[str, object], *, hide: bool
) -> Iterator[Child]:
    """Chromium on the page; with `hide` its addresses hide behind mDNS names."""
    command = [
        program("chromium", "chromium-browser", "google-chrome"),
        *_FLAGS,
        *(() if hide else (_SHOW_ADDRESSES,)),
        f"--user-data-dir={folder / 'chromium'}",
        f"{page.origin}/#{quote(json.dumps(settings))}",
    ]
    child = Child("chromium", command, folder / "chromium.log")
    try:
        yield child
    finally:
        child.end(5)
