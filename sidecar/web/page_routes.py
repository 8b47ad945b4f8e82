"""The operator's page: files of the package, the same for everybody, no build step."""

import asyncio
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response

from sidecar.web.auth import PAGE_PREFIX
from sidecar.web.problems import ProblemResponse

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing from elsewhere, nothing inline, and no string becomes markup or script."""

_HEADERS: Final = {
    "Content-Security-Policy": CSP,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class PageRoutes:
    """Serves the files of `sidecar/web/page`."""

    def router(self) -> APIRouter:
        """`/` and what it needs; not part of the API's document."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/", self.index, methods=["GET"])
        router.add_api_route(f"{PAGE_PREFIX}{{name}}", self.file, methods=["GET"])
        return router

    async def index(self) -> Response:
        """The page."""
        return await self.file("index.html")

    async def file(self, name: str) -> Response:
        """One of its files."""
        found = (await asyncio.to_thread(page_files)).get(name)
        if found is None:
            return ProblemResponse(404, "not_found", "the page has no such file")
        body, media_type = found
        return Response(body, media_type=media_type, headers=_HEADERS)


@cache
def page_files() -> Mapping[str, tuple[bytes, str]]:
    """The page's files by name, with their types; read once."""
    entries = (files("sidecar.web") / "page").iterdir()
    found = {entry.name: entry.read_bytes() for entry in entries if entry.is_file()}
    return {
        name: (body, _TYPES[suffix])
        for name, body in found.items()
        if (suffix := f".{name.rpartition('.')[2]}") in _TYPES
    }
