"""Pure: who may call, and as what."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a caller may do: look, or act as well."""

    OBSERVER = "observer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        name: Of the token; `local` where none is configured.
        role: What it may do.
        proven: Whether a token stands behind it.
    """

    name: str
    role: Role
    proven: bool = True


LOCAL = Caller("local", Role.OPERATOR, proven=False)
"""Anybody on this machine, where no token is configured."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A token that is configured, by its hash."""

    name: str
    role: Role
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, name: str, role: Role, token: str) -> "Principal":
        """The one who has `token`."""
        return cls(name, role, digest_of(token.encode()))

    @property
    def caller(self) -> Caller:
        """Itself, as who sent a request."""
        return Caller(self.name, self.role)


class Callers:
    """All principals. Raises ValueError if two share a name or a token."""

    def __init__(self, principals: Iterable[Principal] = ()) -> None:
        self._principals = tuple(principals)
        names = {principal.name for principal in self._principals}
        digests = {principal.digest for principal in self._principals}
        if not len(names) == len(digests) == len(self._principals):
            raise ValueError("two tokens share their name or their text")

    def __bool__(self) -> bool:
        return bool(self._principals)

    def by_token(self, token: bytes) -> Principal | None:
        """The one who has `token`; takes the same time for any."""
        digest, found = digest_of(token), None
        for principal in self._principals:
            if hmac.compare_digest(principal.digest, digest):
                found = principal
        return found

    def by_name(self, name: str) -> Principal | None:
        """The one of that name."""
        return next((p for p in self._principals if p.name == name), None)

    def tag(self) -> str:
        """Eight characters that differ between sidecars with different tokens."""
        mixed = b"".join(sorted(principal.digest for principal in self._principals))
        return hmac.digest(mixed, b"sidecar cookie tag", "sha256").hex()[:8]


def digest_of(token: bytes) -> bytes:
    """So that a comparison does not show the token's length either."""
    return hashlib.sha256(token).digest()
