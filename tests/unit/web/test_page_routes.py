"""The page is the same for all, comes whole, and fetches nothing from elsewhere."""

import re
from importlib.resources import files

import httpx
import pytest

from sidecar.stats import Stats
from sidecar.web.auth import Access
from sidecar.web.control import control_app
from sidecar.web.health import Health
from sidecar.web.page_routes import page_files
from tests.fakes.control import FakeControl

TOKEN = "0123456789abcdef-_~."  # noqa: S105 of the tests


async def _get(path: str, token: str | None = TOKEN) -> httpx.Response:
    app = control_app(FakeControl(), Health(), Stats(), Access.by(token))
    transport = httpx.ASGITransport(app)
    base = "http://127.0.0.1:8080"
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        return await client.get(path)


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/", "/page/app.js", "/page/style.css"])
async def test_the_page_comes_before_the_login(path: str) -> None:
    """It holds no secret; what it asks for needs the token."""
    reply = await _get(path)
    assert reply.status_code == 200
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-frame-options"] == "DENY"


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/page/none.js", "/page/..%2fauth.py", "/page/"])
async def test_nothing_else_is_served(path: str) -> None:
    """No other file of the package, whatever is asked for."""
    assert (await _get(path)).status_code == 404


@pytest.mark.anyio
async def test_a_foreign_host_gets_no_page() -> None:
    """Without a token: a name that is not ours gets the probes only."""
    app = control_app(FakeControl(), Health(), Stats(), Access.by(None))
    transport = httpx.ASGITransport(app)
    base = "http://evil.example"
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        assert (await client.get("/")).status_code == 403
        assert (await client.get("/readyz")).status_code == 200


def test_every_file_is_known_and_names_its_neighbours() -> None:
    """Each file of the folder is served, each import is there, nothing is inline."""
    folder = {entry.name for entry in (files("sidecar.web") / "page").iterdir()}
    assert set(page_files()) == folder
    for name, (body, _) in page_files().items():
        text = body.decode()
        for imported in re.findall(r'from "\./([^"]+)"', text):
            assert imported in folder, f"{name} imports {imported}"
        assert not re.findall(r"\b(?:src|href)=\"https?:", text), name
        assert "innerHTML" not in text, name
        assert not re.findall(r"<script>|<style|\sstyle=|\son\w+=\"", text), name
