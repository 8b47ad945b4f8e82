"""Ed25519 (RFC 8032) over the payload bytes, so that the sender can be told apart."""

import base64
from pathlib import Path
from typing import Protocol, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sidecar.errors import ConfigError


class Signer(Protocol):
    """Gives the MQTT 5 user properties that prove who wrote a payload."""

    def sign(self, payload: bytes) -> tuple[tuple[str, str], ...]:
        """User properties to send along with `payload`."""
        ...


class Ed25519Signer:
    """Signs with one key: `sig` is base64 of the 64 bytes, `kid` names the key."""

    def __init__(self, key: Ed25519PrivateKey, key_id: str) -> None:
        self._key = key
        self._key_id = key_id

    @classmethod
    def load(cls, path: Path, key_id: str) -> Self:
        """Reads an unencrypted PKCS#8 PEM file. Raises ConfigError."""
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as exc:
            raise ConfigError(
                f"signing key {path}: {exc}; "
                "make one with `openssl genpkey -algorithm ed25519`"
            ) from exc
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"signing key {path}: not an Ed25519 key")
        return cls(key, key_id)

    def sign(self, payload: bytes) -> tuple[tuple[str, str], ...]:
        """`sig` and `kid`."""
        signature = base64.b64encode(self._key.sign(payload)).decode()
        return (("sig", signature), ("kid", self._key_id))
