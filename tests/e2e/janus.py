"""A real Janus with its WHEP front: streaming mountpoints that plain RTP is sent to.

Janus comes from Debian, `janus-whep-server` by the same authors from npm: `npm ci` in
`tests/e2e/janus_whep`, or in a copy whose node_modules `JANUS_WHEP_MODULES` names.
"""

import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from tests.e2e.conftest import Site
from tests.e2e.processes import Child, free_port, listening, missing, program, until
from tests.e2e.rtp_source import PAYLOAD_TYPE, Feed, Source

_FRONT: Final = Path(__file__).with_name("janus_whep")
_LIBRARIES: Final = "/usr/lib"
_OTHER_PLUGINS: Final = (
    *("audiobridge", "duktape", "echotest", "lua", "nosip", "recordplay", "sip"),
    *("textroom", "videocall", "videoroom", "voicemail"),
)
_OTHER_TRANSPORTS: Final = ("http", "mqtt", "nanomsg", "pfunix", "rabbitmq")
_JANUS: Final = """\
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{libraries}/plugins"
  transports_folder = "{libraries}/transports"
  events_folder = "{libraries}/events"
  loggers_folder = "{libraries}/loggers"
  debug_level = 4
  debug_colors = false
}}
nat: {{ ice_ignore_list = "none" }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
_WEBSOCKETS: Final = """\
general: {{ ws = true, ws_port = {port}, ws_ip = "127.0.0.1", wss = false }}
admin: {{ admin_ws = false }}
"""
_MOUNTPOINT: Final = """\
{name}: {{
  type = "rtp", id = {number}, audio = false, video = true, is_private = true
  videoiface = "127.0.0.1", videoport = {port}, videortcpport = {rtcp_port}
  videopt = {payload_type}, videocodec = "{codec}"{fmtp}
}}
"""
_FMTP: Final = ', videofmtp = "profile-level-id=42e01f;packetization-mode=1"'


@dataclass(frozen=True, slots=True)
class Mountpoint:
    """One stream of a Janus.

    Attributes:
        name: Last segment of its WHEP URL.
        codec: VP8 or H264.
        token: Bearer token of its viewers.
    """

    name: str
    codec: str = "VP8"
    token: str | None = None


def _modules() -> Path:
    """The node_modules folder with the WHEP front; skips the test if there is none."""
    named = os.environ.get("JANUS_WHEP_MODULES")  # noqa: TID251 tests' switch
    folder = Path(named) if named else _FRONT / "node_modules"
    if not (folder / "janus-whep-server").is_dir():
        missing(f"no janus-whep-server in {folder}: run npm ci in {_FRONT}")
    return folder


def _libraries() -> Path:
    """Where Debian put the plugins: its path has the machine's architecture."""
    found = [p.parent for p in Path(_LIBRARIES).glob("*/janus/plugins")]
    if not found:
        missing("no plugins of Janus are installed")
    return found[0]


class Janus:
    """Janus and its WHEP front, processes of their own on free loopback ports.

    Media leaves it by the machine's own address: Janus gathers none for loopback.
    """

    def __init__(self, folder: Path, mountpoints: Sequence[Mountpoint]) -> None:
        self.folder = folder / "janus"
        self.folder.mkdir()
        self.mountpoints = {point.name: point for point in mountpoints}
        self.feeds = {
            point.name: Feed(
                point.codec, free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
            )
            for point in mountpoints
        }
        self._program, self._node = program("janus"), program("node")
        self._modules = _modules()
        self._port, self._janus_port = free_port(), free_port()
        self._sources: list[Child] = []
        self._configure()
        self.janus = self._start_janus()
        try:
            self.front = self._start_front()
        except BaseException:
            self.janus.end()
            raise

    @property
    def children(self) -> list[Child]:
        """Its processes."""
        return [self.janus, self.front]

    def whep(self, name: str) -> str:
        """The URL of a mountpoint's WHEP endpoint."""
        return f"http://127.0.0.1:{self._port}/whep/endpoint/{name}"

    def source(self, *names: str, **settings: object) -> Child:
        """Starts to send to mountpoints, to all if none is named; see `Source`."""
        feeds = tuple(self.feeds[name] for name in names or self.feeds)
        source = Source(feeds, **settings)  # type: ignore[arg-type]
        number = len(list(self.folder.glob("source-*.log")))
        child = Child(
            "rtp source",
            [sys.executable, "-m", "tests.e2e.rtp_source", json.dumps(asdict(source))],
            self.folder / f"source-{number}.log",
            stdout=self.folder / f"source-{number}.out",
        )
        until(lambda: said(child, "sending") or not child.alive, 45, "RTP is sent")
        assert child.alive, child.tail()
        self._sources.append(child)
        return child

    def kill(self) -> None:
        """SIGKILL to both."""
        for child in self.children:
            child.kill()

    def kill_janus(self) -> None:
        """SIGKILL to Janus alone: its WHEP front stays, and answers 503."""
        self.janus.kill()

    def restart(self) -> None:
        """Starts again what is dead; sessions are forgotten."""
        if not self.janus.alive:
            self.janus = self._start_janus()
        if not self.front.alive:
            self.front = self._start_front()

    def end(self) -> None:
        """Stops both, and what sends to them."""
        for child in reversed([*self.children, *self._sources]):
            child.end()

    def _configure(self) -> None:
        values: dict[str, Any] = {
            "folder": self.folder,
            "libraries": _libraries(),
            "plugins": _disabled(_OTHER_PLUGINS),
            "transports": _disabled(_OTHER_TRANSPORTS),
        }
        self._write("janus.jcfg", _JANUS.format(**values))
        websockets = _WEBSOCKETS.format(port=self._janus_port)
        self._write("janus.transport.websockets.jcfg", websockets)
        points = [
            _MOUNTPOINT.format(
                name=name,
                number=number,
                port=feed.port,
                rtcp_port=feed.rtcp_port,
                payload_type=PAYLOAD_TYPE,
                codec=feed.codec.lower(),
                fmtp=_FMTP if feed.codec == "H264" else "",
            )
            for number, (name, feed) in enumerate(self.feeds.items(), 1)
        ]
        self._write("janus.plugin.streaming.jcfg", "".join(points))

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def _start_janus(self) -> Child:
        command = [self._program, "-F", str(self.folder)]
        command += ["-C", str(self.folder / "janus.jcfg")]
        child = Child("janus", command, self.folder / "janus.log")
        self._wait(child, self._janus_port)
        return child

    def _start_front(self) -> Child:
        settings = {
            "janus": f"ws://127.0.0.1:{self._janus_port}",
            "port": self._port,
            "endpoints": [
                {"id": name, "mountpoint": number, "token": point.token}
                for number, (name, point) in enumerate(self.mountpoints.items(), 1)
            ],
        }
        server = str(_FRONT / "server.mjs")
        command = [self._node, server, str(self._modules), json.dumps(settings)]
        child = Child("whep front", command, self.folder / "front.log")
        self._wait(child, self._port)
        return child

    @staticmethod
    def _wait(child: Child, port: int) -> None:
        until(lambda: listening(port) or not child.alive, 45, f"{child.name} listens")
        assert child.alive, child.tail()


class JanusServer:
    """A Janus with one stream; see `media_servers.Server`."""

    def __init__(self, site: Site, codec: str) -> None:
        self._site = site
        self.token = "viewer-0123456789abcdef"  # noqa: S105 the test's own
        self._janus = Janus(site.folder, [Mountpoint("studio", codec, self.token)])
        self.whep = self._janus.whep("studio")

    @property
    def children(self) -> list[Child]:
        """Its processes."""
        return self._janus.children

    def publish(self) -> Child:
        """Plain RTP."""
        source = self._janus.source(card_at_s=1, fps=15, keyframe_every=15)
        self._site.children.append(source)
        return source

    def kill(self) -> None:
        """SIGKILL."""
        self._janus.kill()

    def restart(self) -> None:
        """Starts again."""
        self._janus.restart()


def said(child: Child, event: str) -> bool:
    """Whether an RTP source has said so."""
    return f'"{event}"' in child.stdout.read_text()


def _disabled(names: Sequence[str]) -> str:
    return ",".join(f"libjanus_{name}.so" for name in names)
