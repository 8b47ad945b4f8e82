"""A file sent by real WebRTC is seen by a running sidecar as it is seen by replay."""

import asyncio
from pathlib import Path

import pytest

from sidecar.domain import Codec
from sidecar.errors import StreamUnavailable
from sidecar.recording.entry import Entry
from sidecar.replay.network import Network
from sidecar.replay.push import send
from tests.contract.replay_rig import clip_of, recorded, running

pytestmark = pytest.mark.anyio


async def _sent(folder: Path, codec: Codec, network: Network) -> list[Entry]:
    """What a sidecar records of the clip that is sent to it."""
    clip = await asyncio.to_thread(clip_of, folder, codec)
    async with running(folder) as ports:
        url = f"http://127.0.0.1:{ports['whip']}/whip/replayed"
        await send("clip", clip, url, None, network)
    return await recorded(folder)


@pytest.mark.parametrize("codec", list(Codec))
async def test_a_card_is_seen_over_webrtc(tmp_path: Path, codec: Codec) -> None:
    """The file's own pictures arrive, and lead to the takedown."""
    entries = await _sent(tmp_path, codec, Network())
    actions = [one.action for entry in entries for one in entry.decisions]
    assert "takedown" in actions


async def test_a_bad_way_delivers_less(tmp_path: Path) -> None:
    """Some of the packets are lost or late; what arrives is still looked at."""
    entries = await _sent(tmp_path, Codec.VP8, Network(loss=0.05, jitter_s=0.02))
    assert any(entry.scores is not None for entry in entries)


async def test_an_endpoint_that_is_not_there_is_told(tmp_path: Path) -> None:
    """As an error of the stream."""
    clip = await asyncio.to_thread(clip_of, tmp_path, Codec.VP8)
    with pytest.raises(StreamUnavailable, match="endpoint not reached"):
        await send("clip", clip, "http://127.0.0.1:9/whip/a", None, Network())
