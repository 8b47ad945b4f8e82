"""A real HTTP server on loopback, in this process, for an ASGI application."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import uvicorn


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:  # noqa: ANN401 -- any ASGI app
    """The base URL of `app`, served until the block is left."""
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, ws="none", timeout_graceful_shutdown=1
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]), name="http-server")
            await server.up.wait()
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                server.should_exit = True


class _Server(uvicorn.Server):
    """Tells when it is up, and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    def capture_signals(self) -> Any:  # noqa: ANN401 -- a context manager
        """None are captured."""
        return nullcontext()
