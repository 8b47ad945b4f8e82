"""`--via`: which way a video goes into a running sidecar, as the options say."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.config.variables import variable
from sidecar.errors import ConfigError
from sidecar.replay.inputs import Inputs
from sidecar.replay.network import Network
from sidecar.replay.push import send
from sidecar.replay.serve import Control, Place, serve

TOKEN: Final = "SIDECAR_REPLAY_TOKEN"  # noqa: S105 - the variable's name
CONTROL_TOKEN: Final = "SIDECAR_CONTROL_TOKEN"  # noqa: S105 - the variable's name


@dataclass(frozen=True, slots=True)
class Sending:
    """What was asked for.

    Attributes:
        via: `whip` or `whep`.
        urls: Of the sidecar's WHIP, for `whip`: one.
        listen: `HOST:PORT` of our endpoint, for `whep`.
        control: URL of the control API of the sidecar that is to watch, for `whep`.
        token_file: Of the WHIP or WHEP endpoint; else `SIDECAR_REPLAY_TOKEN`.
        control_token_file: Of the control API; else `SIDECAR_CONTROL_TOKEN`.
        network: The way.
    """

    via: str
    urls: Sequence[str]
    listen: str
    control: str | None
    token_file: Path | None
    control_token_file: Path | None
    network: Network

    def run(self, given: Inputs, tell: Callable[[str], None]) -> None:
        """Sends the one video of `given`, in real time.

        Raises:
            ConfigError: An option is missing or not usable.
            StreamError: See `send` and `serve`.
        """
        if self.via not in {"whip", "whep"}:
            raise ConfigError(f"--via {self.via!r} is not known; use whip or whep")
        if self.via == "whip" and len(self.urls) != 1:
            raise ConfigError(
                "--via whip needs one URL, the sidecar's: --via whip"
                " http://HOST:PORT/whip/STREAM"
            )
        if self.via == "whep" and self.urls:
            raise ConfigError(f"{self.urls[0]}: a URL goes with --via whip only")
        if len(given.videos) != 1:
            raise ConfigError("--via sends one video; give one")
        ((name, path),) = given.videos.items()
        token = _token("--token-file", self.token_file, TOKEN)
        if self.via == "whip":
            asyncio.run(send(name, path, self.urls[0], token, self.network))
            return
        host, port = _address(self.listen)
        place = Place(host, port, token, self._controlled())
        asyncio.run(serve(name, path, place, self.network, tell))

    def _controlled(self) -> Control | None:
        if self.control is None:
            return None
        option = "--control-token-file"
        token = _token(option, self.control_token_file, CONTROL_TOKEN)
        return Control(self.control, token)


def _token(option: str, file: Path | None, name: str) -> str | None:
    """From the file, or the environment: arguments are seen by every user."""
    if file is None:
        option, token = name, variable(name)
    else:
        option = f"{option} {file}"
        try:
            token = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            why = f"{option}: cannot be read: {type(exc).__name__}"
            raise ConfigError(why) from exc
    if token is not None and not _usable(token):
        raise ConfigError(f"{option}: give one line, the token alone")
    return token


def _usable(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
        raise ConfigError(f"--listen {text!r}: give HOST:PORT, such as 127.0.0.1:8090")
    return host.strip("[]"), int(port)
