"""Publishing a scene by WHIP (RFC 9725)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin

import httpx
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpSender,
    RTCSessionDescription,
)

from sidecar.clock import SystemClock
from sidecar.demo.scene_track import SceneTrack, Tell
from sidecar.domain import Codec
from sidecar.ingest.aiortc_bend import ice_connection
from sidecar.ingest.ice import Gathering, IceSettings
from sidecar.stats import Stats
from sidecar.testcard.clip import Scene

_CONNECT_S: Final = 15.0
_HTTP_S: Final = 10.0
_CREATED: Final = 201
_GONE: Final = ("closed", "failed")


class PublishFailed(Exception):
    """The endpoint refused, or the connection broke; the text says which."""


@dataclass(frozen=True, slots=True)
class Target:
    """A WHIP endpoint, the bearer token it wants, and the only codec offered."""

    url: str
    token: str | None = field(default=None, repr=False)
    codec: Codec = Codec.VP8


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published, and to where.

    Attributes:
        url: The WHIP endpoint.
        scene: The pictures.
        token: Bearer token, if the endpoint wants one.
        codec: The only one that is offered.
        seconds: How long, from the first frame; None: until told to stop.
    """

    url: str
    scene: Scene
    token: str | None = field(default=None, repr=False)
    codec: Codec = Codec.VP8
    seconds: float | None = None


async def publish(
    publication: Publication, http: httpx.AsyncClient, stop: asyncio.Event, tell: Tell
) -> None:
    """Publishes until `stop` is set or the scene is over, then leaves by DELETE.

    Raises:
        PublishFailed: Refused, not reached, or the connection broke.
    """
    track = SceneTrack(
        publication.scene, publication.seconds, SystemClock(), tell, stop
    )
    target = Target(publication.url, publication.token, publication.codec)

    def connected(_: RTCDtlsTransport) -> None:
        tell("connected", {"codec": publication.codec.value})

    await push(track, target, http, stop, connected)


async def push(
    track: MediaStreamTrack,
    target: Target,
    http: httpx.AsyncClient,
    stop: asyncio.Event,
    connected: Callable[[RTCDtlsTransport], None],
) -> None:
    """Publishes a track until `stop` is set, then leaves by DELETE.

    Args:
        track: Of frames, or of encoded packets of the target's codec.
        target: To where.
        http: Says so.
        stop: Ends it; set when the connection breaks.
        connected: Told once, with what carries the media.

    Raises:
        PublishFailed: Refused, not reached, or the connection broke.
    """
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender = pc.addTransceiver(track, direction="sendonly")
    sender.setCodecPreferences(only(target.codec))
    dtls = sender.sender.transport
    Gathering(ice_connection(dtls.transport), IceSettings(), Stats())
    link = Link(pc, dtls, stop)
    try:
        async with _joined(target, pc, http):
            await link.up()
            connected(dtls)
            await stop.wait()
            link.check()
    finally:
        track.stop()
        await pc.close()


def only(codec: Codec) -> list[RTCRtpCodecCapability]:
    """What a connection can send that is of that codec."""
    offered = RTCRtpSender.getCapabilities("video").codecs
    return [c for c in offered if c.mimeType == f"video/{codec.value}"]


class Link:
    """Whether the connection is up, or broke; sets `stop` when it breaks."""

    def __init__(
        self, pc: RTCPeerConnection, dtls: RTCDtlsTransport, stop: asyncio.Event
    ) -> None:
        self._changed = asyncio.Event()
        self._stop = stop
        self._connected = self._broken = False
        # A peer that closes is seen by DTLS at once, by ICE only after 30 s.
        dtls.on("statechange", lambda: self._seen(dtls.state))
        pc.on("connectionstatechange", lambda: self._seen(pc.connectionState))

    def _seen(self, state: str) -> None:
        self._connected = self._connected or state == "connected"
        if state in _GONE:
            self._broken = True
            self._stop.set()
        self._changed.set()

    async def up(self) -> None:
        """Returns once connected; raises PublishFailed if that fails."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                while not (self._connected or self._stop.is_set()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise PublishFailed(f"no connection within {_CONNECT_S:g} s") from None
        self.check()

    def check(self) -> None:
        """Raises PublishFailed if the connection broke."""
        if self._broken:
            raise PublishFailed("the connection broke")


@asynccontextmanager
async def _joined(
    target: Target,
    pc: RTCPeerConnection,
    http: httpx.AsyncClient,
) -> AsyncIterator[None]:
    """The WHIP session: POST on entry, DELETE of its Location on exit."""
    await pc.setLocalDescription(await pc.createOffer())
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    reply = await _post(http, target.url, headers, pc.localDescription.sdp)
    resource = urljoin(target.url, reply.headers.get("location", ""))
    try:
        await pc.setRemoteDescription(RTCSessionDescription(reply.text, "answer"))
        yield
    finally:
        with suppress(httpx.HTTPError):
            await http.delete(resource, headers=headers, timeout=_HTTP_S)


async def _post(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], offer: str
) -> httpx.Response:
    try:
        reply = await http.post(
            url,
            content=offer,
            headers={**headers, "Content-Type": "application/sdp"},
            timeout=_HTTP_S,
        )
    except httpx.HTTPError as exc:
        raise PublishFailed(f"endpoint not reached: {type(exc).__name__}") from exc
    if reply.status_code != _CREATED:
        raise PublishFailed(f"endpoint answered {reply.status_code}")
    return reply
