"""Sections about what is listened on, and how WebRTC reaches us."""

from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from sidecar.config.fields import BesideConfig, ExistingFile, IceUrl, Secret
from sidecar.config.section import Port, Seconds, Section, checked_id
from sidecar.errors import ConfigError
from sidecar.web.auth import require_token_beyond_loopback

_FIRST_USER_PORT: Final = 1024


def _require_guard(host: str, token: SecretStr | None, key: str) -> None:
    """ValueError if `host` is beyond loopback without a usable token."""
    try:
        text = None if token is None else token.get_secret_value()
        require_token_beyond_loopback(host, text, key)
    except ConfigError as exc:
        raise ValueError(str(exc)) from None


class TlsFiles(Section):
    """Certificate and key of a listener, PEM."""

    cert_file: ExistingFile
    key_file: ExistingFile


class ControlConfig(Section):
    """The control API, metrics and health."""

    host: str = "127.0.0.1"
    port: Port = 8080
    token: Secret | None = None
    tls: TlsFiles | None = None
    max_streams: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    secrets_dir: BesideConfig | None = None  # of token files a PUT may name
    media_dir: BesideConfig | None = None  # of video files a PUT may name

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        _require_guard(self.host, self.token, "token")
        return self


class WhipConfig(Section):
    """The WHIP endpoint, on a listener of its own."""

    host: str = "127.0.0.1"
    port: Port = 8081
    path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)+$")] = "/whip"
    token: Secret | None = None
    stream_tokens: dict[str, Secret] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    max_sessions: Annotated[int, Field(ge=1, le=100_000)] = 256
    allow_origins: tuple[str, ...] = ()
    tls: TlsFiles | None = None

    @field_validator("stream_tokens")
    @classmethod
    def _checked_ids(cls, tokens: dict[str, object]) -> dict[str, object]:
        for name in tokens:
            checked_id(name)
        return tokens

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        for name, token in self.stream_tokens.items():
            _require_guard(self.host, token, f"stream_tokens.{name}")
        if self.token is not None or not self.stream_tokens:
            _require_guard(self.host, self.token, "token")
        return self


class IceServerConfig(Section):
    """A STUN or TURN server; none is asked unless it stands here."""

    urls: IceUrl
    username: str | None = None
    credential: Secret | None = None


class WebrtcConfig(Section):
    """What all WebRTC sessions share."""

    ice_servers: tuple[IceServerConfig, ...] = ()
    port_range: tuple[Port, Port] | None = None
    connect_timeout_s: Seconds = 15.0
    packet_timeout_s: Seconds = 10.0

    @field_validator("port_range")
    @classmethod
    def _ordered(cls, ports: tuple[int, int] | None) -> tuple[int, int] | None:
        if ports is not None and not _FIRST_USER_PORT <= ports[0] <= ports[1]:
            raise ValueError("use [first, last] with 1024 <= first <= last")
        return ports
