"""A file sent by real WebRTC is seen by a running sidecar as it is seen by replay."""

import asyncio
from pathlib import Path

import pytest
import yaml

from sidecar.app.run import run_app
from sidecar.config import load
from sidecar.domain import Category, Codec
from sidecar.errors import StreamUnavailable
from sidecar.recording.entry import Entry
from sidecar.recording.reader import Recording
from sidecar.replay.network import Network
from sidecar.replay.push import send
from sidecar.testcard.clip import Clip, write_clip
from tests.unit.app.app_house import configuration

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

SMALL = Clip(width=320, height=180, fps=15, clean_s=1.0, card_s=4.0)


def _prepare(folder: Path, codec: Codec) -> tuple[Path, Path]:
    """A clip with a card, and a configuration that takes it and records."""
    suffix = ".webm" if codec is Codec.VP8 else ".mp4"
    clip = folder / f"clip{suffix}"
    write_clip(clip, Category.SEXUAL_EXPLICIT, SMALL)
    path = configuration(folder, whip={"port": 0}, record={"folder": "kept"})
    whole = yaml.safe_load(path.read_text())
    whole["drain_s"] = 1
    path.write_text(yaml.safe_dump(whole))
    return clip, path


async def _sent(folder: Path, codec: Codec, network: Network) -> list[Entry]:
    """What a sidecar records of the clip that is sent to it."""
    clip, path = await asyncio.to_thread(_prepare, folder, codec)
    config = await asyncio.to_thread(load, path, {})
    stop, serving = asyncio.Event(), asyncio.Event()
    ports: dict[str, int] = {}

    def started(listening: dict[str, int]) -> None:
        ports.update(listening)
        serving.set()

    async with asyncio.TaskGroup() as group:
        app = group.create_task(
            run_app(config, stop=stop, started=started), name="sidecar"
        )
        await serving.wait()
        url = f"http://127.0.0.1:{ports['whip']}/whip/replayed"
        await send("clip", clip, url, None, network)
        stop.set()
        await app
    return await asyncio.to_thread(lambda: list(Recording([folder / "kept"])))


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
    clip, _ = await asyncio.to_thread(_prepare, tmp_path, Codec.VP8)
    with pytest.raises(StreamUnavailable, match="endpoint not reached"):
        await send("clip", clip, "http://127.0.0.1:9/whip/a", None, Network())
