"""A video file at a WHEP endpoint of its own, for one running sidecar to watch."""

import asyncio
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import OperationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.demo.whip_push import Link, PublishFailed, only
from sidecar.ingest import sdp
from sidecar.ingest.aiortc_bend import ice_connection
from sidecar.ingest.http_rules import SDP_TYPE
from sidecar.ingest.ice import Gathering, IceSettings
from sidecar.ingest.video_file import VideoFile
from sidecar.ingest.video_only import VideoOnly
from sidecar.ingest.whip_door import WhipSettings, check_body, check_token
from sidecar.ingest.whip_reply import WhipRefusal, busy
from sidecar.log import get_logger
from sidecar.replay.network import Network
from sidecar.replay.push import FileTrack, Way
from sidecar.stats import Stats

log = get_logger(__name__)

_RETRY_S: Final = 2.0


@dataclass(slots=True)
class Showing:
    """How it goes.

    Attributes:
        began: Set once a viewer is connected.
        over: Set after the file's last picture, or when the viewer is gone.
        complete: Whether all of the file was shown.
        closing: Set to let the viewer go.
    """

    began: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    complete: bool = False
    closing: asyncio.Event = field(default_factory=asyncio.Event)


class Desk:
    """Shows a file once, from its beginning, to the first viewer that connects.

    Args:
        name: Of the stream; the endpoint is `/whep/NAME`.
        path: The file.
        network: The way to the viewer.
        token: The bearer token a viewer needs, if any.
        group: Where a viewer's connection runs.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        network: Network,
        token: str | None,
        group: asyncio.TaskGroup,
    ) -> None:
        self.showing = Showing()
        self._name = name
        self._path = path
        self._network = network
        self._door = WhipSettings(shared_token=token)
        self._group = group
        self._busy = False
        self._viewing: _Viewing | None = None

    def app(self) -> Starlette:
        """The endpoint."""
        where = f"/whep/{self._name}"
        app = Starlette(
            routes=[
                Route(where, self.post, methods=["POST"]),
                Route(f"{where}/{{session}}", self.delete, methods=["DELETE"]),
            ]
        )
        app.router.redirect_slashes = False
        return app

    async def post(self, request: Request) -> Response:
        """201 with answer and Location; 400, 401, 403, 406, 409, 413, 415."""
        try:
            check_token(self._door, self._name, request.headers)
            body = await _body(request)
            check_body(self._door, request.headers, body, SDP_TYPE)
            if self._busy or self.showing.over.is_set():
                raise busy(409, "it is shown once, to one viewer", _RETRY_S)
            self._busy = True
            viewing, answer = await self._answered(body)
        except WhipRefusal as refusal:
            reply = refusal.reply()
            return Response(reply.body, reply.status, dict(reply.headers))
        location = f"{request.url.path}/{viewing.session}"
        return Response(answer, 201, {"Location": location}, SDP_TYPE)

    async def delete(self, request: Request) -> Response:
        """200 and the viewer is gone; 401, 403, 404."""
        try:
            check_token(self._door, self._name, request.headers)
        except WhipRefusal as refusal:
            return Response(status_code=refusal.status)
        viewing = self._viewing
        if viewing is None or viewing.session != request.path_params["session"]:
            return Response(status_code=404)
        viewing.gone.set()
        return Response()

    async def _answered(self, body: bytes) -> tuple["_Viewing", str]:
        try:
            offer = VideoOnly.of(sdp.description(body).text)
            file = await asyncio.to_thread(VideoFile, self._name, self._path)
            viewing = _Viewing(file, self._network, self.showing)
            try:
                answer = await viewing.answer(offer)
            except BaseException:
                await viewing.close()
                raise
        except (sdp.SdpError, ValueError) as exc:
            self._busy = False
            raise WhipRefusal(400, f"the offer cannot be used: {exc}") from exc
        except OperationError as exc:
            self._busy = False
            raise WhipRefusal(406, "the offer does not take the file's codec") from exc
        self._viewing = viewing
        self._group.create_task(self._show(viewing), name="viewer")
        return viewing, answer

    async def _show(self, viewing: "_Viewing") -> None:
        try:
            await viewing.run()
        except* PublishFailed as group:
            log.info("viewer_not_connected", message=str(group.exceptions[0]))
        finally:
            await viewing.close()
            self._viewing, self._busy = None, False


class _Viewing:
    """One viewer's connection, and the file for it."""

    def __init__(self, file: VideoFile, network: Network, showing: Showing) -> None:
        self.session = secrets.token_urlsafe(16)
        self.gone = asyncio.Event()
        self._showing = showing
        self._file = file
        self._sent = asyncio.Event()
        self._track = FileTrack(file, self._sent)
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        sender = self._pc.addTransceiver(self._track, direction="sendonly")
        sender.setCodecPreferences(only(file.codec))
        dtls = sender.sender.transport
        Gathering(ice_connection(dtls.transport), IceSettings(), Stats())
        self._link = Link(self._pc, dtls, self.gone)
        self._way = Way(network)
        self._way.take(dtls)

    async def answer(self, offer: VideoOnly) -> str:
        """What we say to the offer. Raises OperationError without a codec in common."""
        there = RTCSessionDescription(offer.narrowed(), "offer")
        await self._pc.setRemoteDescription(there)
        await self._pc.setLocalDescription()
        return offer.widened(self._pc.localDescription.sdp)

    async def run(self) -> None:
        """Until the viewer is gone. Raises PublishFailed if it never came."""
        async with asyncio.TaskGroup() as group:
            carrying = [
                group.create_task(self._way.run(), name="network"),
                group.create_task(self._tell_end(), name="end"),
                group.create_task(self._leave(), name="closing"),
            ]
            await self._link.up()
            self._showing.began.set()
            await self.gone.wait()
            self._showing.over.set()
            for one in carrying:
                one.cancel()

    async def _tell_end(self) -> None:
        await self._sent.wait()
        self._showing.complete = True
        self._showing.over.set()

    async def _leave(self) -> None:
        await self._showing.closing.wait()
        self.gone.set()

    async def close(self) -> None:
        """Gives connection and file back."""
        self._track.stop()
        await self._pc.close()
        await asyncio.to_thread(self._file.close)


async def _body(request: Request) -> bytes:
    """As much of it as tells that it is too much."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > sdp.MAX_BYTES:
            break
    return body
