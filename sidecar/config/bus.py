"""Sections about the broker and the outbox."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from sidecar.config.fields import BesideConfig, ExistingFile, Secret
from sidecar.config.section import Id, Seconds, Section


class InboundConfig(Section):
    """Which inbound topics are listened to; all off by default."""

    acks: bool = False
    set: bool = False
    report: bool = False
    outcomes: bool = False
    set_hosts: tuple[str, ...] = ()

    @field_validator("set_hosts")
    @classmethod
    def _lower(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(host.lower() for host in hosts)

    @model_validator(mode="after")
    def _hosts_for_set(self) -> Self:
        if self.set and not self.set_hosts:
            raise ValueError(
                "'set' needs 'set_hosts': the WHEP hosts a message may point to"
            )
        return self


class SigningConfig(Section):
    """Ed25519 signatures over actions, MQTT 5 only."""

    key_file: ExistingFile
    key_id: Id


class MqttConfig(Section):
    """The broker."""

    host: Annotated[str, Field(pattern=r"^[^\s/@]+$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    version: Literal["5", "3.1.1"] = "5"
    tls: bool | None = None  # None: on when the port is 8883
    ca_file: ExistingFile | None = None
    cert_file: ExistingFile | None = None
    key_file: ExistingFile | None = None
    username: str | None = None
    password: Secret | None = None
    client_id: Id | None = None
    prefix: Annotated[str, Field(pattern=r"^[\w.~-]+(/[\w.~-]+)*$")] = "moderation/v1"
    action_qos: Literal[1, 2] = 1
    scores: bool = False
    inbound: InboundConfig = InboundConfig()
    keepalive_s: Annotated[int, Field(ge=5, le=65535)] = 30
    timeout_s: Seconds = 5.0
    signing: SigningConfig | None = None

    @field_validator("version", mode="before")
    @classmethod
    def _as_text(cls, version: object) -> object:
        return str(version) if isinstance(version, int | float) else version

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("'cert_file' and 'key_file' go together")
        if self.password is not None and self.username is None:
            raise ValueError("'password' needs 'username'")
        if self.signing is not None and self.version != "5":
            raise ValueError("'signing' needs version: '5'")
        return self


class OutboxConfig(Section):
    """Where undelivered actions wait."""

    path: BesideConfig
    limit: Annotated[int, Field(ge=1)] = 100_000
