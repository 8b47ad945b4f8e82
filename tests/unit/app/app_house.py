"""A whole sidecar built from a configuration file, with no broker to reach."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from sidecar.app.build import App, build
from sidecar.config import load

NO_BROKER = 9  # the discard port: nothing answers there


def configuration(folder: Path, **changes: object) -> Path:
    """Writes a valid configuration with `changes` at its top level."""
    rule = {
        "name": "cut",
        "category": "sexual.explicit",
        "action": "takedown",
        "enter": 0.9,
        "exit": 0.5,
        "hits": 2,
        "of": 3,
        "within_s": 5,
    }
    whole: dict[str, object] = {
        "mqtt": {"host": "127.0.0.1", "port": NO_BROKER},
        "outbox": {"path": "outbox.sqlite"},
        "control": {"port": 0, "media_dir": str(folder)},
        "policies": [{"name": "default", "rules": [rule]}],
    }
    whole.update(changes)
    path = folder / "sidecar.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


@asynccontextmanager
async def app_house(folder: Path, **changes: object) -> AsyncIterator[App]:
    """Built and open for streams, nothing else running; all closed at the end."""
    path = await asyncio.to_thread(configuration, folder, **changes)
    config = await asyncio.to_thread(load, path, {})
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        app = await build(config, stack, path)

        def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            return group.create_task(work, name=name)

        app.streams.open(spawn)
        try:
            yield app
        finally:
            await app.streams.close()
            await app.publisher.drain(0.1)
