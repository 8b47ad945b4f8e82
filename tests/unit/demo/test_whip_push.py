"""Publishing a scene by WHIP, against a WHIP endpoint in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from sidecar.demo.whip_push import Publication, PublishFailed, publish
from sidecar.domain import Category, Codec
from sidecar.testcard.clip import Scene

URL = "http://whip.test/whip/studio"
SCENE = Scene(
    category=Category.SEXUAL_EXPLICIT, width=160, height=96, fps=30, card_at_s=0.2
)
Told = list[tuple[str, dict[str, object]]]


@dataclass
class Endpoint:
    """A WHIP endpoint that answers with a real peer and counts what it gets."""

    connected: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[httpx.Request] = field(default_factory=list)
    offer: str = ""
    peer: RTCPeerConnection | None = None

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """201 with an answer to POST, 200 to everything else."""
        self.requests.append(request)
        if request.method != "POST":
            return httpx.Response(200)
        self.offer = request.content.decode()
        self.peer = peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))

        @peer.on("connectionstatechange")
        def on_change() -> None:
            if peer.connectionState == "connected":
                self.connected.set()

        await peer.setRemoteDescription(RTCSessionDescription(self.offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        headers = {"location": "/whip/studio/7"}
        return httpx.Response(201, text=peer.localDescription.sdp, headers=headers)


@asynccontextmanager
async def _endpoint() -> AsyncIterator[tuple[Endpoint, httpx.AsyncClient]]:
    endpoint = Endpoint()
    transport = httpx.MockTransport(endpoint.handle)
    async with httpx.AsyncClient(transport=transport) as http:
        yield endpoint, http
    if endpoint.peer is not None:
        await endpoint.peer.close()


async def _publish(scene: Scene, http: httpx.AsyncClient) -> None:
    await publish(Publication(URL, scene), http, asyncio.Event(), lambda *_: None)


@pytest.mark.anyio
@pytest.mark.parametrize("codec", list(Codec))
async def test_publishes_scene_and_leaves(codec: Codec) -> None:
    """Connects, tells of the card, ends in time, and deletes the WHIP resource."""
    told: Told = []
    publication = Publication(URL, SCENE, "s3cret", codec, seconds=2.0)
    async with _endpoint() as (endpoint, http):
        async with asyncio.timeout(30):
            await publish(
                publication, http, asyncio.Event(), lambda *event: told.append(event)
            )
        assert endpoint.connected.is_set()
    assert [event for event, _ in told] == ["connected", "card_shown"]
    assert [r.method for r in endpoint.requests] == ["POST", "DELETE"]
    assert endpoint.requests[1].url.path == "/whip/studio/7"
    assert all(r.headers["authorization"] == "Bearer s3cret" for r in endpoint.requests)
    others = [c.value for c in Codec if c is not codec]
    assert f"{codec.value}/90000" in endpoint.offer
    assert not any(f"{other}/90000" in endpoint.offer for other in others)
    assert "m=audio" not in endpoint.offer


@pytest.mark.anyio
async def test_broken_connection_is_said() -> None:
    """When the other side closes, the publisher ends with a failure."""
    async with _endpoint() as (endpoint, http):

        async def leave() -> None:
            await endpoint.connected.wait()
            assert endpoint.peer is not None
            await endpoint.peer.close()

        scene = replace(SCENE, card_at_s=60.0)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(leave())
            with pytest.raises(PublishFailed, match="broke"):
                await _publish(scene, http)


@pytest.mark.anyio
@pytest.mark.parametrize("status", [200, 401, 503])
async def test_refusal_is_said(status: int) -> None:
    """Anything but 201 ends with a failure that names the status."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status))
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(PublishFailed, match=str(status)):
            await _publish(SCENE, http)
