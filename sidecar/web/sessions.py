"""Pure: sessions as signed cookies, which a restart of the sidecar does not end.

A cookie says who, until when, and a nonce, under an HMAC whose key is made of that
one's token: another token ends all of its sessions.
"""

import hmac
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from sidecar.web.callers import Callers, Principal

LIFETIME_S: Final = 12 * 3600
_MOST_ENDED: Final = 10_000
_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Session:
    """A session that holds."""

    principal: Principal
    expires_at: int
    nonce: str


class Sessions:
    """Issues cookies, and takes them back.

    Those that were ended are remembered until they would have expired, but not over a
    restart.
    """

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._ended: OrderedDict[str, int] = OrderedDict()

    def issue(self, principal: Principal, nonce: str, now: float) -> str:
        """A cookie's value from `now` (Unix seconds) on; `nonce` is random hex."""
        body = f"{principal.name}:{int(now) + LIFETIME_S}:{nonce}"
        return f"{body}:{_mac(principal, body)}"

    def session(self, cookie: str, now: float) -> Session | None:
        """The session a cookie stands for; None if it does not hold."""
        parts = cookie.split(":")
        if len(parts) != _PARTS or not cookie.isascii():
            return None
        name, expires, nonce, mac = parts
        principal = self._callers.by_name(name)
        if principal is None:
            return None
        body = f"{name}:{expires}:{nonce}"
        if not hmac.compare_digest(_mac(principal, body), mac):
            return None
        if int(expires) <= now or nonce in self._ended:
            return None
        return Session(principal, int(expires), nonce)

    def end(self, session: Session, now: float) -> None:
        """Its cookie is good for nothing any more."""
        for nonce, expires_at in list(self._ended.items()):
            if expires_at > now and len(self._ended) < _MOST_ENDED:
                break
            del self._ended[nonce]
        self._ended[session.nonce] = session.expires_at


def _mac(principal: Principal, body: str) -> str:
    key = hmac.digest(principal.digest, b"sidecar session/1", "sha256")
    return hmac.digest(key, body.encode(), "sha256").hex()
