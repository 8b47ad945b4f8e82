"""One HTTP listener inside our own task group: bound early, stopped in order."""

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from sidecar.errors import ConfigError

_BACKLOG: Final = 128
_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)
_UNREAD_MS: Final = 60_000
_NEVER_ASK: Final = "-"  # without one, OpenSSL would ask on the terminal


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where to listen and how much to bear.

    Attributes:
        key: The section of the configuration, named in errors: `control`, `whip`.
        host: A name or an address.
        port: 0 takes a free one.
        cert_file: PEM chain; together with `key_file` makes it HTTPS.
        key_file: PEM key without passphrase.
        max_connections: Beyond it, requests are answered 503.
        keep_alive_s: An idle connection is closed after this.
        stop_grace_s: What running requests get at the stop; then they are cancelled.
    """

    key: str
    host: str = "127.0.0.1"
    port: int = 0
    cert_file: Path | None = None
    key_file: Path | None = None
    max_connections: int = 128
    keep_alive_s: int = 5
    stop_grace_s: int = 3


class HttpServer:
    """uvicorn without its own signal handling, logs, or way of ending the process."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._settings = settings
        self._config = _uvicorn_config(app, settings)
        self._socket: socket.socket | None = None
        self.started = asyncio.Event()
        self._ended = asyncio.Event()
        self._server = _Server(self._config, self.started.set)

    def bind(self) -> None:
        """Loads the certificate and takes the port; blocks, call before the loop.

        Raises:
            ConfigError: Naming host, port or file, and the mend.
        """
        if self._socket is not None:
            return
        self._load_tls()
        self._socket = _listen(self._settings)

    def _load_tls(self) -> None:
        try:
            self._config.load()
        except OSError as exc:  # ssl.SSLError is one
            why = exc.reason if isinstance(exc, ssl.SSLError) else exc.strerror
            raise ConfigError(
                f"{self._settings.key}.tls: {self._settings.cert_file} and "
                f"{self._settings.key_file} cannot be used: {why}; give a PEM chain "
                "and its key without passphrase, readable by this user"
            ) from exc

    @property
    def port(self) -> int:
        """The bound port. Raises RuntimeError before `bind`."""
        if self._socket is None:
            raise RuntimeError("not bound yet")
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """`http(s)://host:port`, with the bound port."""
        scheme = "https" if self._settings.cert_file else "http"
        host = self._settings.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    async def run(self) -> None:
        """Serves until `stop`; when it returns or is cancelled, all is closed.

        Raises:
            ConfigError: As `bind`, which is called if it was not.
        """
        self.bind()
        try:
            await self._server.serve(sockets=[self._socket] if self._socket else [])
        finally:
            await self._close()
            self._ended.set()

    async def stop(self) -> None:
        """No new connections; running requests get `stop_grace_s`. Needs `run`."""
        self._server.should_exit = True
        await self._ended.wait()

    def close(self) -> None:
        """Gives the port back if `run` never began."""
        if self._socket is not None:
            self._socket.close()

    async def _close(self) -> None:
        """What uvicorn leaves open when it is cancelled or a request overstays."""
        for listener in self._server.listeners:
            listener.close()
        self.close()
        state = self._server.server_state
        tasks = set(state.tasks)
        for task in tasks:
            task.cancel()
        for connection in list(state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        if tasks:
            await asyncio.wait(tasks)


class _Server(uvicorn.Server):
    """uvicorn's server: signals belong to the composition root."""

    def __init__(
        self, config: uvicorn.Config, on_started: Callable[[], object]
    ) -> None:
        super().__init__(config)
        self._on_started = on_started

    @property
    def listeners(self) -> list[asyncio.base_events.Server]:
        """Empty until it has started."""
        return list(getattr(self, "servers", []))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tells that it accepts connections."""
        await super().startup(sockets)
        self._on_started()


class PromptH11(H11Protocol):
    """HTTP/1.1 with a deadline for each request's head, which uvicorn does not have.

    Without it, clients that connect and say nothing hold all `max_connections`.
    """

    HEAD_TIMEOUT_S = 10.0
    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """The first head is awaited."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """A whole head ends the wait; the beginning of a next one starts it."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is awaited any more."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        cycle = getattr(self, "cycle", None)  # uvicorn types it without its None
        if cycle is not None and not cycle.response_complete:
            self._unwatch()
        elif self._overdue is None:
            self._overdue = self.loop.call_later(
                self.HEAD_TIMEOUT_S, self.transport.abort
            )

    def _unwatch(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None


def _uvicorn_config(app: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=PromptH11,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.stop_grace_s,
        h11_max_incomplete_event_size=16_384,
        ssl_certfile=settings.cert_file,
        ssl_keyfile=settings.key_file,
        ssl_keyfile_password=_NEVER_ASK,
    )


def _listen(settings: ServerSettings) -> socket.socket:
    where = f"{settings.host}:{settings.port}"
    try:
        found = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )
        family, _, _, _, address = found[0]
        listener = socket.create_server(
            (str(address[0]), int(address[1])), family=family, backlog=_BACKLOG
        )
    except socket.gaierror as exc:
        raise ConfigError(
            f"{settings.key}.host: {settings.host!r} is not known; "
            "give an address of this machine, for instance 127.0.0.1"
        ) from exc
    except OSError as exc:
        raise ConfigError(_bind_fault(settings.key, where, exc)) from exc
    # asyncio sets it only where the protocol number says TCP; create_server's says 0.
    # With Nagle each reply on a kept-alive connection waits some 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if _USER_TIMEOUT is not None:  # a peer that reads nothing is let go, Linux only
        listener.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, _UNREAD_MS)
    return listener


def _bind_fault(key: str, where: str, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"{key}.port: {where} is taken; stop who has it, or choose another port"
    if exc.errno == errno.EACCES:
        return f"{key}.port: {where} needs privileges; choose a port from 1024 up"
    if exc.errno == errno.EADDRNOTAVAIL:
        return f"{key}.host: {where} is no address of this machine; take one of its own"
    return f"{key}.host: cannot listen on {where}: {exc.strerror}; choose another"
