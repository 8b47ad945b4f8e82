"""Real media servers: publishers push to them by WHIP, the sidecar pulls by WHEP."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pytest

from tests.e2e.conftest import Site
from tests.e2e.processes import Child, free_port, listening, missing, program, until


class Server(Protocol):
    """A media server that runs and has one stream; what all kinds can do."""

    @property
    def whep(self) -> str:
        """The URL of its WHEP endpoint."""

    @property
    def token(self) -> str | None:
        """The bearer token of its stream, if it wants one."""

    @property
    def children(self) -> list[Child]:
        """Its processes."""

    def publish(self) -> Child:
        """Starts a publisher whose card comes after six seconds; it is sending."""

    def kill(self) -> None:
        """SIGKILL."""

    def restart(self) -> None:
        """Starts again; what it knew is gone."""


@dataclass(frozen=True, slots=True)
class MediaServer:
    """How one kind of server is started and addressed.

    Attributes:
        name: Of its program.
        whip: Path of its WHIP endpoint.
        whep: Path of its WHEP endpoint.
        port: Fixed HTTP port; None: a free one, told by `env`.
        token: Bearer token of the stream, if it wants one.
        env: Added to its environment; `{port}` and `{udp}` are filled in.
        codec: What it forwards.
        source: Where the program comes from, for the message when it is missing.
        optional: Skipped where it is missing, even where all else is required.
    """

    name: str
    whip: str
    whep: str
    source: str
    port: int | None = None
    token: str | None = None
    codec: str = "h264"
    optional: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


# Pion's own example server: one stream, H.264, forwards no PLI but asks the publisher
# for a keyframe every 3 s, answers DELETE by hanging up.
PION = MediaServer(
    name="whip-whep",
    whip="/whip",
    whep="/whep",
    port=8080,
    source="go install github.com/pion/webrtc/v4/examples/whip-whep@v4.2.26",
)
BROADCAST_BOX = MediaServer(
    name="broadcast-box",
    whip="/api/whip",
    whep="/api/whep",
    token="studio",  # noqa: S106 the stream's key
    optional=True,
    env={
        "HTTP_ADDRESS": "127.0.0.1:{port}",
        "UDP_MUX_PORT": "{udp}",
        "DISABLE_FRONTEND": "TRUE",
        "DISABLE_STATUS": "TRUE",
        "NETWORK_TEST_ON_START": "FALSE",
        "APP_ENV": "production",
    },
    source="github.com/glimesh/broadcast-box, built with go install",
)


def _binary(kind: MediaServer) -> str:
    """The path of the server's program; skips the test if it is not installed."""
    if not kind.optional:
        return program(kind.name)
    found = shutil.which(kind.name)
    if found is None:
        pytest.skip(f"no {kind.name} is installed ({kind.source})")
    return found


class RunningServer:
    """A media server's process that takes publishers by WHIP; see `Server`."""

    def __init__(self, kind: MediaServer, site: Site) -> None:
        self.kind = kind
        self._site = site
        self._port = kind.port or free_port()
        self._command = [_binary(kind)]
        self._log = site.folder / f"{kind.name}.log"
        values = {"port": self._port, "udp": free_port()}
        self._env = {key: text.format(**values) for key, text in kind.env.items()}
        self.whep, self._whip = self._url(kind.whep), self._url(kind.whip)
        self.token = kind.token
        self._child = self._start()

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    def _start(self) -> Child:
        if listening(self._port):
            missing(f"port {self._port}, fixed in {self.kind.name}, is taken")
        child = Child(self.kind.name, self._command, self._log, env=self._env)
        until(lambda: listening(self._port), 45, f"{self.kind.name} listens")
        assert child.alive, child.tail()
        return child

    @property
    def children(self) -> list[Child]:
        """Its process."""
        return [self._child]

    def publish(self) -> Child:
        """A publisher by WHIP, connected."""
        options: dict[str, object] = {"codec": self.kind.codec, "card_at": 1}
        if self.token is not None:
            token = self._site.folder / "whip-token"
            token.write_text(self.token)
            options["token_file"] = token
        return self._site.publisher(self._whip, **options).child

    def kill(self) -> None:
        """SIGKILL."""
        self._child.kill()

    def restart(self) -> None:
        """Starts again; what it knew is gone."""
        self._child = self._start()
