"""A whole sidecar with synthetic streams, as a process: what the page is tested on.

python -m tests.e2e.page_process CONFIG COUNT
"""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from sidecar.app.build import build
from sidecar.app.run import _run
from sidecar.config import load
from sidecar.log import setup
from tests.fakes.synthetic_streams import add_synthetic


async def serve(path: Path, count: int) -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    config = load(path)
    setup(config.log.format, config.log.level)
    async with AsyncExitStack() as stack:
        app = await build(config, stack, path, asyncio.Event())
        await _run(app, stop, lambda _ports: add_synthetic(app, count))


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
