"""How to reach the broker and what to take from it: plain frozen values."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from sidecar.errors import ConfigError
from sidecar.publish.signing import Signer

TLS_PORT: Final = 8883


class MqttProtocol(StrEnum):
    """Which MQTT to speak."""

    V5 = "5"
    V311 = "3.1.1"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """The server's certificate and host name are always verified.

    Attributes:
        enabled: None: exactly when the port is 8883.
        ca_file: PEM; None: the system's authorities.
        cert_file: Client certificate chain, PEM.
        key_file: Its key, PEM; None: inside `cert_file`.
    """

    enabled: bool | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class InboundSettings:
    """What is listened to; everything else is not even subscribed to.

    Attributes:
        acks: Enforcers' acknowledgements. Needed where a policy demands `enforced`.
        set: Starting and stopping streams.
        report: Viewers' and moderators' reports.
        outcomes: Reviewers' outcomes.
        whep_hosts: What `set` may name: `host` (any port) or `host:port`.
    """

    acks: bool = False
    set: bool = False
    report: bool = False
    outcomes: bool = False
    whep_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """The broker and how to treat it.

    Attributes:
        client_id: None: `sidecar-` and the sidecar's id.
        publish_timeout_s: A message not acknowledged for so long breaks the connection.
        window: Messages under way at once; the broker's receive maximum may be lower.
        backoff_first_s: Full jitter below this, doubled each time up to the cap.
        refused_retry_s: After the broker said no to a message.
        enforce_retry_s: Delivered, but nobody said `enforced`: sent again.
        action_qos: 1, or 2 by choice.
        scores: Whether telemetry is published.
        signer: Signs actions (MQTT 5 only).
    """

    host: str
    port: int = 1883
    protocol: MqttProtocol = MqttProtocol.V5
    tls: TlsSettings = TlsSettings()
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_id: str | None = None
    prefix: str = "moderation/v1"
    site: str = "default"
    keepalive_s: int = 15
    connect_timeout_s: float = 5.0
    publish_timeout_s: float = 5.0
    window: int = 16
    backoff_first_s: float = 0.5
    backoff_cap_s: float = 15.0
    refused_retry_s: float = 30.0
    enforce_retry_s: float = 30.0
    action_qos: int = 1
    scores: bool = False
    inbound: InboundSettings = InboundSettings()
    signer: Signer | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuses what cannot work together."""
        if self.signer is not None and self.protocol is MqttProtocol.V311:
            raise ConfigError(
                "mqtt: a signature travels in MQTT 5 properties; set protocol to '5'"
            )

    @property
    def uses_tls(self) -> bool:
        """As set, or by the port."""
        if self.tls.enabled is None:
            return self.port == TLS_PORT
        return self.tls.enabled

    def backoff(self, attempt: int, uniform: float) -> float:
        """Seconds before try `attempt` (0 first): full jitter, capped.

        Args:
            attempt: How many have failed in a row, less one.
            uniform: In [0, 1).
        """
        ceiling = self.backoff_first_s * 2.0 ** min(attempt, 32)
        return uniform * min(self.backoff_cap_s, ceiling)


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Where undelivered actions are kept, and how many at most."""

    path: Path
    max_rows: int = 10_000
