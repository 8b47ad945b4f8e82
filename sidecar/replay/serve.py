"""Serving a video file by WHEP until it was seen, and asking a sidecar to watch it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from sidecar.errors import ConfigError, SidecarError, StreamUnavailable
from sidecar.ingest.video_file import VideoFile
from sidecar.replay.network import Network
from sidecar.replay.whep import Desk
from sidecar.web.auth import require_token_beyond_loopback
from sidecar.web.server import HttpServer, ServerSettings

_COME_S: Final = 30.0  # for a sidecar that was asked to come
_HTTP_S: Final = 10.0
_NOT_FOUND: Final = 404
_REFUSED: Final = 400


@dataclass(frozen=True, slots=True)
class Control:
    """The control API of a running sidecar, and the operator's token for it."""

    url: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the endpoint is.

    Attributes:
        host: An address of this machine.
        port: 0 takes a free one.
        token: What a viewer has to bring; needed beyond loopback.
        control: Of the sidecar that is to watch; None: somebody else tells one.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = field(default=None, repr=False)
    control: Control | None = None


async def serve(
    name: str, path: Path, place: Place, network: Network, tell: Callable[[str], None]
) -> None:
    """Serves a file once, in real time, to the sidecar that comes to watch it.

    Args:
        name: Of the stream.
        path: The file.
        place: Where, and who is asked to watch.
        network: The way to the viewer.
        tell: Told the endpoint's URL.

    Raises:
        ConfigError: The place cannot be taken; the sidecar could not come there.
        StreamUnavailable: The sidecar refused, did not come, or left too early.
        StreamUnsupported: It is no video of a codec that can be sent.
    """
    require_token_beyond_loopback(place.host, place.token, "--listen")
    if place.control and place.token:
        raise ConfigError(
            "--control: a sidecar takes no token by its control API; give the "
            "endpoint none, or write the stream into its configuration"
        )
    await asyncio.to_thread(_require_video, name, path)
    try:
        complete = await _shown(name, path, place, network, tell)
    except* SidecarError as group:
        raise _first(group) from None
    if not complete:
        raise StreamUnavailable(name, "the viewer was gone before the end")


def _require_video(name: str, path: Path) -> None:
    VideoFile(name, path).close()


def _first(group: BaseExceptionGroup[SidecarError]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


async def _shown(
    name: str, path: Path, place: Place, network: Network, tell: Callable[[str], None]
) -> bool:
    """Whether all of it."""
    async with asyncio.TaskGroup() as viewers:
        desk = Desk(name, path, network, place.token, viewers)
        settings = ServerSettings("--listen", place.host, place.port)
        async with _served(HttpServer(desk.app(), settings)) as base:
            url = f"{base}/whep/{name}"
            tell(url)
            try:
                await _watched(desk, name, url, place.control)
            finally:
                desk.showing.closing.set()
    return desk.showing.complete


async def _watched(desk: Desk, name: str, url: str, control: Control | None) -> None:
    if control is None:
        await desk.showing.over.wait()
        return
    async with asked(control, name, url):
        try:
            async with asyncio.timeout(_COME_S):
                await desk.showing.began.wait()
        except TimeoutError:
            message = f"the sidecar did not connect within {_COME_S:g} s"
            raise StreamUnavailable(name, message) from None
        await desk.showing.over.wait()


@asynccontextmanager
async def _served(server: HttpServer) -> AsyncIterator[str]:
    await asyncio.to_thread(server.bind)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.run(), name="whep")
        await server.started.wait()
        try:
            yield server.url
        finally:
            await server.stop()
            await serving


@asynccontextmanager
async def asked(control: Control, name: str, url: str) -> AsyncIterator[None]:
    """A sidecar watches `url` as stream `name` until exit.

    Raises:
        StreamUnavailable: It was not reached, or refused.
        ConfigError: It watches a stream of that name already.
    """
    headers = {"Authorization": f"Bearer {control.token}"} if control.token else {}
    where = f"{control.url.rstrip('/')}/api/streams/{name}"
    async with httpx.AsyncClient(
        headers=headers, timeout=_HTTP_S, trust_env=False
    ) as http:
        if await _say(http, name, "GET", where) != _NOT_FOUND:
            raise ConfigError(
                f"--control: the sidecar watches {name!r} already; rename the file"
            )
        await _say(http, name, "PUT", where, {"whep": {"url": url}})
        try:
            yield
        finally:
            await _say(http, name, "DELETE", where)


async def _say(
    http: httpx.AsyncClient,
    name: str,
    method: str,
    url: str,
    said: object = None,
) -> int:
    """The status; what was not there is no fault."""
    try:
        reply = await http.request(method, url, json=said)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        why = f"--control: not reached: {type(exc).__name__}"
        raise StreamUnavailable(name, why) from exc
    status = reply.status_code
    if status >= _REFUSED and (status != _NOT_FOUND or method == "PUT"):
        raise StreamUnavailable(name, f"--control: {method} was answered {status}")
    return status
