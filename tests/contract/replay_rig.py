"""A running sidecar that records, and a clip with a card to send into it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from sidecar.app.run import run_app
from sidecar.config import load
from sidecar.domain import Category, Codec
from sidecar.recording.entry import Entry
from sidecar.recording.reader import Recording
from sidecar.testcard.clip import Clip, write_clip
from tests.unit.app.app_house import configuration

_SMALL = Clip(width=320, height=180, fps=15, clean_s=1.0, card_s=4.0)


def clip_of(folder: Path, codec: Codec) -> Path:
    """A clip with a card."""
    clip = folder / f"clip{'.webm' if codec is Codec.VP8 else '.mp4'}"
    write_clip(clip, Category.SEXUAL_EXPLICIT, _SMALL)
    return clip


def _prepare(folder: Path, **changes: object) -> Path:
    path = configuration(folder, whip={"port": 0}, record={"folder": "kept"}, **changes)
    whole = yaml.safe_load(path.read_text())
    whole["drain_s"] = 1
    path.write_text(yaml.safe_dump(whole))
    return path


@asynccontextmanager
async def running(folder: Path, **changes: object) -> AsyncIterator[dict[str, int]]:
    """A sidecar that records; its ports."""
    path = await asyncio.to_thread(lambda: _prepare(folder, **changes))
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
        try:
            yield ports
        finally:
            stop.set()
            await app


async def recorded(folder: Path) -> list[Entry]:
    """What was recorded, after the sidecar has ended."""
    return await asyncio.to_thread(lambda: list(Recording([folder / "kept"])))
