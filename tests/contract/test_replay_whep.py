"""A file served by WHEP is watched by a running sidecar, once, to its end."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from sidecar.clock import SystemClock
from sidecar.demo.whip_push import only
from sidecar.domain import Codec
from sidecar.errors import ConfigError, StreamUnavailable, StreamUnsupported
from sidecar.ingest.ice import IceSettings
from sidecar.ingest.whep import WhepConnector, WhepSettings
from sidecar.replay.network import Network
from sidecar.replay.serve import Control, Place, serve
from sidecar.stats import Stats
from tests.contract.replay_rig import clip_of, recorded, running

pytestmark = pytest.mark.anyio

TOKEN = "0123456789abcdef0123"  # noqa: S105 - of the test alone
SDP = {"content-type": "application/sdp"}


class _Told:
    """The endpoint's URL, once it is there."""

    def __init__(self) -> None:
        self.url = ""
        self.there = asyncio.Event()

    def __call__(self, url: str) -> None:
        self.url = url
        self.there.set()


@asynccontextmanager
async def _serving(
    folder: Path, codec: Codec = Codec.VP8, token: str | None = None
) -> AsyncIterator[str]:
    """The endpoint's URL; whoever is shown the file has to leave before its end."""
    clip = await asyncio.to_thread(clip_of, folder, codec)
    told = _Told()

    async def work() -> None:
        with pytest.raises(StreamUnavailable, match="gone before the end"):
            await serve("clip", clip, Place(token=token), Network(), told)

    async with asyncio.TaskGroup() as group:
        group.create_task(work(), name="serve")
        await told.there.wait()
        yield told.url


def _viewer(
    url: str, http: httpx.AsyncClient, token: str | None = None
) -> WhepConnector:
    settings = WhepSettings(url, token)
    return WhepConnector("v", settings, IceSettings(), http, SystemClock(), Stats())


@pytest.mark.parametrize("codec", list(Codec))
async def test_a_sidecar_comes_and_sees_the_card(tmp_path: Path, codec: Codec) -> None:
    """Asked through its control API; the stream is taken out again at the end."""
    clip = await asyncio.to_thread(clip_of, tmp_path, codec)
    async with running(tmp_path) as ports, httpx.AsyncClient() as http:
        base = f"http://127.0.0.1:{ports['control']}"
        await serve("clip", clip, Place(control=Control(base)), Network(), _Told())
        streams = (await http.get(f"{base}/api/streams")).json()
    assert streams["streams"] == []
    entries = await recorded(tmp_path)
    assert "takedown" in [one.action for entry in entries for one in entry.decisions]


async def test_over_a_bad_way(tmp_path: Path) -> None:
    """Some of the packets are lost or late; what arrives is still looked at."""
    clip = await asyncio.to_thread(clip_of, tmp_path, Codec.VP8)
    async with running(tmp_path) as ports:
        control = Control(f"http://127.0.0.1:{ports['control']}")
        way = Network(loss=0.05, jitter_s=0.02, bits_per_s=2e6)
        await serve("clip", clip, Place(control=control), way, _Told())
    assert any(entry.scores is not None for entry in await recorded(tmp_path))


async def test_a_stream_of_that_name_is_left_alone(tmp_path: Path) -> None:
    """It may be somebody's; nothing is replaced."""
    clip = await asyncio.to_thread(clip_of, tmp_path, Codec.VP8)
    async with running(tmp_path) as ports, httpx.AsyncClient() as http:
        base = f"http://127.0.0.1:{ports['control']}"
        where = f"{base}/api/streams/clip"
        mine = {"file": {"path": clip.name, "loop": True}}
        assert (await http.put(where, json=mine)).status_code == 201
        with pytest.raises(ConfigError, match="watches 'clip' already"):
            await serve("clip", clip, Place(control=Control(base)), Network(), _Told())
        assert (await http.get(where)).status_code == 200


async def test_it_is_shown_once_to_one_viewer(tmp_path: Path) -> None:
    """A second one is asked to wait, and one who leaves early has ended it."""
    async with (
        _serving(tmp_path) as url,
        httpx.AsyncClient() as http,
        _viewer(url, http).connect() as source,
    ):
        assert source.codec is Codec.VP8
        with pytest.raises(StreamUnavailable, match="409"):
            async with _viewer(url, http).connect():
                pass
        assert (await http.delete(f"{url}/other")).status_code == 404


async def test_only_who_has_the_token_is_shown_it(tmp_path: Path) -> None:
    """Without one 401, with another one 403; what is no offer is refused as well."""
    async with _serving(tmp_path, token=TOKEN) as url, httpx.AsyncClient() as http:
        wrong = {"authorization": "Bearer another"}
        right = {"authorization": f"Bearer {TOKEN}"}
        assert (await http.post(url, headers=SDP)).status_code == 401
        assert (await http.post(url, headers=SDP | wrong)).status_code == 403
        assert (await http.delete(f"{url}/x", headers=wrong)).status_code == 403
        for body, headers, status in (
            (b"v=0", right, 415),
            (b"hello", SDP | right, 400),
            (b"x" * 1_000_000, SDP | right, 413),
        ):
            reply = await http.post(url, headers=headers, content=body)
            assert reply.status_code == status
        async with _viewer(url, http, TOKEN).connect():
            pass


async def test_what_offers_no_such_codec_is_refused(tmp_path: Path) -> None:
    """The file is not encoded anew; another viewer can come."""
    async with _serving(tmp_path) as url, httpx.AsyncClient() as http:
        receiver = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        way = receiver.addTransceiver("video", direction="recvonly")
        way.setCodecPreferences(only(Codec.H264))
        await receiver.setLocalDescription()
        offer = receiver.localDescription.sdp
        reply = await http.post(url, headers=SDP, content=offer)
        await receiver.close()
        assert reply.status_code == 406
        async with _viewer(url, http).connect():
            pass


@pytest.mark.parametrize(
    ("place", "error", "told"),
    [
        (Place("0.0.0.0"), ConfigError, "--listen: is missing"),  # noqa: S104 - refused
        (
            Place(token=TOKEN, control=Control("http://127.0.0.1:9")),
            ConfigError,
            "takes no token",
        ),
        (
            Place(control=Control("http://127.0.0.1:9")),
            StreamUnavailable,
            "--control: not reached",
        ),
    ],
)
async def test_where_it_cannot_be_shown_is_told(
    tmp_path: Path, place: Place, error: type[Exception], told: str
) -> None:
    """At once."""
    clip = await asyncio.to_thread(clip_of, tmp_path, Codec.VP8)
    with pytest.raises(error, match=told):
        await serve("clip", clip, place, Network(), _Told())


async def test_the_command_brings_the_operators_token(tmp_path: Path) -> None:
    """From a file; what is refused without it is told. The URL is printed."""
    clip = await asyncio.to_thread(clip_of, tmp_path, Codec.VP8)
    secret = tmp_path / "token"
    await asyncio.to_thread(secret.write_text, f"{TOKEN}\n")
    control = {"port": 0, "token": {"file": str(secret)}}
    async with running(tmp_path, control=control) as ports:
        url = f"http://127.0.0.1:{ports['control']}"
        options = ["--via", "whep", "--control", url]
        _, told, status = await _command(clip, *options)
        assert "GET was answered 401" in told
        assert status == 1
        options += ["--control-token-file", str(secret)]
        said, told, status = await _command(clip, *options)
    assert (told, status) == ("", 0)
    assert said.startswith("http://127.0.0.1:")
    assert said.endswith("/whep/clip\n")
    assert any(entry.scores is not None for entry in await recorded(tmp_path))


async def _command(clip: Path, *options: str) -> tuple[str, str, int | None]:
    """What `sidecar replay` says, what it complains of, and its exit status."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", "replay", str(clip), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, told = await process.communicate()
    return said.decode(), told.decode(), process.returncode


async def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    """Before anybody is asked to watch it."""
    with pytest.raises(StreamUnsupported, match="no such file"):
        await serve("clip", tmp_path / "none.mp4", Place(), Network(), _Told())
