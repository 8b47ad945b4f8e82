"""What must hold of a listener: how it binds, starts, bears and stops."""

import asyncio
import datetime as dt
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.types import Receive, Scope, Send

from sidecar.errors import ConfigError
from sidecar.web.server import HttpServer, PromptH11, ServerSettings

SETTINGS = ServerSettings("control")


async def hello(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers everything with 200."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Slow:
    """Answers when told to; says when a request has come."""

    def __init__(self) -> None:
        self.come = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Waits for `go`."""
        self.come.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        await hello(scope, receive, send)


@asynccontextmanager
async def serving(server: HttpServer) -> AsyncIterator[HttpServer]:
    """Runs `server` until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        await server.started.wait()
        yield server
        await server.stop()


@pytest.mark.anyio
async def test_serves_on_a_free_port_and_gives_it_back() -> None:
    """Port 0 becomes a real one, known at once; after the stop it is free again."""
    server = HttpServer(hello, SETTINGS)
    server.bind()
    port = server.port
    async with serving(server), httpx.AsyncClient() as client:
        reply = await client.get(server.url)
        assert (reply.status_code, reply.text) == (200, "hello")
        assert "server" not in reply.headers
        assert server.url == f"http://127.0.0.1:{port}"
    with socket.create_server(("127.0.0.1", port)):
        pass


@pytest.mark.anyio
async def test_an_idle_connection_does_not_delay_the_stop() -> None:
    """Keep-alive connections are closed at the stop."""
    server = HttpServer(hello, ServerSettings("control", stop_grace_s=100))
    async with httpx.AsyncClient() as client, serving(server):
        await client.get(server.url)
        with anyio.fail_after(50):
            await server.stop()


@pytest.mark.anyio
async def test_a_running_request_is_finished_at_the_stop() -> None:
    """Within the grace, an answer that was begun is given."""
    slow = Slow()
    server = HttpServer(slow, SETTINGS)
    async with httpx.AsyncClient() as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        await server.started.wait()
        request = tasks.create_task(client.get(server.url))
        await slow.come.wait()
        stop = tasks.create_task(server.stop())
        await asyncio.sleep(0)
        slow.go.set()
        assert (await request).text == "hello"
        await stop


@pytest.mark.anyio
async def test_a_request_that_overstays_is_cancelled() -> None:
    """The stop has a deadline; nothing is left running after it."""
    slow = Slow()
    server = HttpServer(slow, ServerSettings("control", stop_grace_s=0))
    async with httpx.AsyncClient() as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run())
        await server.started.wait()
        request = tasks.create_task(_fails(client, server.url))
        await slow.come.wait()
        with anyio.fail_after(30):
            await server.stop()
        await request
    assert slow.cancelled


@pytest.mark.anyio
async def test_cancelling_closes_everything() -> None:
    """A cancelled task group leaves no listener, connection or request behind."""
    slow = Slow()
    server = HttpServer(slow, SETTINGS)
    async with httpx.AsyncClient() as client, asyncio.TaskGroup() as tasks:
        run = tasks.create_task(server.run())
        await server.started.wait()
        request = tasks.create_task(_fails(client, server.url))
        await slow.come.wait()
        run.cancel()
        await request
    assert slow.cancelled
    assert run.cancelled()


async def _fails(client: httpx.AsyncClient, url: str) -> None:
    with pytest.raises(httpx.TransportError):
        await client.get(url)


@pytest.mark.anyio
async def test_signals_are_left_alone() -> None:
    """The composition root's handlers stay in place while it serves."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with serving(HttpServer(hello, SETTINGS)):
        during = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert during == before


@pytest.mark.anyio
async def test_silent_connections_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who connects and never completes a request's head is not borne for ever."""
    monkeypatch.setattr(PromptH11, "HEAD_TIMEOUT_S", 0.01)
    server = HttpServer(hello, SETTINGS)
    async with serving(server):
        for beginning in (b"", b"GET / HTTP/1.1\r\nHost: a\r\nX: "):
            stream = await anyio.connect_tcp("127.0.0.1", server.port)
            async with stream:
                if beginning:
                    await stream.send(beginning)
                with (
                    anyio.fail_after(9),  # before the unpatched 10 s
                    pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)),
                ):
                    await stream.receive()


@pytest.mark.anyio
async def test_the_head_deadline_spares_a_request_that_is_served() -> None:
    """Once the head is whole, no deadline runs and the handler may take its time."""
    slow = Slow()
    server = HttpServer(slow, SETTINGS)
    async with (
        serving(server),
        httpx.AsyncClient() as client,
        asyncio.TaskGroup() as tasks,
    ):
        request = tasks.create_task(client.get(server.url))
        await slow.come.wait()
        (connection,) = server._server.server_state.connections
        assert isinstance(connection, PromptH11)
        assert connection._overdue is None
        slow.go.set()
        assert (await request).status_code == 200


@pytest.mark.anyio
async def test_beyond_max_connections_is_503() -> None:
    """Too many at once are told so, not left hanging."""
    server = HttpServer(hello, ServerSettings("control", max_connections=2))
    async with serving(server), httpx.AsyncClient() as client:
        first = await anyio.connect_tcp("127.0.0.1", server.port)
        async with first:
            assert (await client.get(server.url)).status_code == 503


@pytest.mark.anyio
async def test_an_oversized_head_is_400() -> None:
    """Headers beyond the bound end the connection with an answer."""
    server = HttpServer(hello, SETTINGS)
    async with serving(server):
        stream = await anyio.connect_tcp("127.0.0.1", server.port)
        async with stream:
            await stream.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000)
            assert b" 400 " in await stream.receive()


def test_a_taken_port_is_the_operators_to_mend() -> None:
    """The error names section, host, port and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = HttpServer(hello, ServerSettings("control", port=port))
        with pytest.raises(ConfigError, match=rf"control\.port: 127\.0\.0\.1:{port} "):
            server.bind()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "2001:db8::1"])
def test_a_foreign_host_is_the_operators_to_mend(host: str) -> None:
    """An address or name that is not this machine's is named."""
    server = HttpServer(hello, ServerSettings("whip", host=host))
    with pytest.raises(ConfigError, match=r"whip\.host: ") as caught:
        server.bind()
    assert host in str(caught.value)


def test_a_privileged_port_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """EACCES is translated; so is any other refusal of the system."""
    for number, words in ((13, "needs privileges"), (12, "cannot listen on")):

        def refuse(*_: object, number: int = number, **__: object) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(socket, "create_server", refuse)
        with pytest.raises(ConfigError, match=words):
            HttpServer(hello, ServerSettings("control", port=80)).bind()


def test_the_port_is_unknown_before_bind() -> None:
    """Asking too early is a bug, not port 0."""
    server = HttpServer(hello, SETTINGS)
    with pytest.raises(RuntimeError):
        _ = server.port
    server.close()


def test_binding_twice_keeps_the_port_and_close_frees_it() -> None:
    """`bind` may be called early; `close` is for a start that was given up."""
    server = HttpServer(hello, SETTINGS)
    server.bind()
    port = server.port
    server.bind()
    assert server.port == port
    server.close()
    with socket.create_server(("127.0.0.1", port)):
        pass


def _certificate(folder: Path, passphrase: bytes | None = None) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    encryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(pem))
    key_file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption)
    )
    return cert_file, key_file


@pytest.mark.anyio
async def test_https_with_a_certificate(tmp_path: Path) -> None:
    """With certificate and key it speaks TLS, 1.2 or newer."""
    cert_file, key_file = _certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(cert_file))
    server = HttpServer(
        hello, ServerSettings("control", "localhost", 0, cert_file, key_file)
    )
    server.bind()
    async with serving(server), httpx.AsyncClient(verify=context) as client:
        assert server.url.startswith("https://localhost:")
        assert (await client.get(server.url)).text == "hello"


@pytest.mark.parametrize("fault", ["missing", "garbage", "passphrase"])
def test_an_unusable_certificate_is_the_operators_to_mend(
    tmp_path: Path, fault: str
) -> None:
    """Missing, broken or locked files are named; nobody is asked for a passphrase."""
    cert_file, key_file = _certificate(
        tmp_path, b"locked" if fault == "passphrase" else None
    )
    if fault == "missing":
        key_file.unlink()
    if fault == "garbage":
        cert_file.write_text("not a certificate")
    settings = ServerSettings("control", "127.0.0.1", 0, cert_file, key_file)
    with pytest.raises(ConfigError, match=r"control\.tls: .*key\.pem"):
        HttpServer(hello, settings).bind()
