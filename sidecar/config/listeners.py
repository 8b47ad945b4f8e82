"""Sections about what is listened on, and how WebRTC reaches us."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from sidecar.config.fields import BesideConfig, ExistingFile, IceUrl, Secret
from sidecar.config.section import Id, Port, Seconds, Section, checked_id
from sidecar.errors import ConfigError
from sidecar.web.auth import require_token_beyond_loopback

RoleName = Literal["observer", "operator"]
_FIRST_USER_PORT: Final = 1024
_TOKEN_KEYS: Final = {"operator": "token", "observer": "observer_token"}


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


class TokenConfig(Section):
    """One more token, under a name that the audit log shows."""

    name: Id
    role: RoleName = "operator"
    token: Secret

    _checked_name = field_validator("name")(checked_id)


class ControlConfig(Section):
    """The control API, the operator's page, metrics and health."""

    host: str = "127.0.0.1"
    port: Port = 8080
    token: Secret | None = None  # the operator's
    observer_token: Secret | None = None  # may look only
    tokens: tuple[TokenConfig, ...] = ()
    tls: TlsFiles | None = None
    max_streams: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    secrets_dir: BesideConfig | None = None  # of token files a PUT may name
    media_dir: BesideConfig | None = None  # of video files a PUT may name
    state_dir: BesideConfig | None = None  # audit log and the like; None: the outbox's

    thumbnails: bool = False  # blurred and grey, on demand, each look in the audit log

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        known = self.named_tokens()
        for name, (_, token) in known.items():
            _require_guard(self.host, token, _TOKEN_KEYS.get(name, f"tokens.{name}"))
        if not known:
            _require_guard(self.host, None, "token")
        if known and all(role == "observer" for role, _ in known.values()):
            raise ValueError("token: is missing; with observers alone nobody could act")
        if len({t.get_secret_value() for _, t in known.values()}) != len(known):
            raise ValueError("tokens: two of them are the same; make each its own")
        if len(known) != sum(t is not None for t in self._all_tokens()):
            raise ValueError(
                "tokens: two share a name; 'operator' is token, 'observer' is "
                "observer_token"
            )
        return self

    def named_tokens(
        self,
    ) -> dict[str, tuple[RoleName, SecretStr]]:
        """Role and token by name."""
        found: dict[str, tuple[RoleName, SecretStr]] = {}
        if self.token is not None:
            found["operator"] = ("operator", self.token)
        if self.observer_token is not None:
            found["observer"] = ("observer", self.observer_token)
        for one in self.tokens:
            found[one.name] = (one.role, one.token)
        return found

    def _all_tokens(self) -> list[SecretStr | None]:
        return [self.token, self.observer_token, *(one.token for one in self.tokens)]


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
