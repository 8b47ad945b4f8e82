"""Who may use a listener: a token beyond loopback, and no foreign page on loopback."""

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.errors import ConfigError
from sidecar.stats import Stats
from sidecar.web.problems import ProblemResponse

OPEN_PATHS: Final = frozenset({"/livez", "/readyz"})
"""Answered without a token; they name components and codes, no details."""

AUTHORIZED: Final = "sidecar.authorized"
"""Key in the ASGI scope: whether the caller may see details."""

MIN_TOKEN_CHARS: Final = 16  # 96 bits, if made as docs/operating.md says

_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


def is_loopback(host: str) -> bool:
    """Whether `host` reaches this machine only; a name other than localhost may not."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def require_token_beyond_loopback(
    host: str, token: str | None, key: str = "control.token"
) -> None:
    """Raises ConfigError if `host` is beyond loopback without a (usable) `token`."""
    if token is None:
        if not is_loopback(host):
            raise ConfigError(
                f"{key}: is missing, and {host!r} can be reached from other machines; "
                "set a token, or listen on 127.0.0.1"
            )
        return
    if len(token) < MIN_TOKEN_CHARS or not (token.isascii() and token.isprintable()):
        raise ConfigError(
            f"{key}: is not usable; take at least {MIN_TOKEN_CHARS} printable ASCII "
            "characters without blanks, for instance of `openssl rand -hex 24`"
        )
    if any(char.isspace() for char in token):
        raise ConfigError(f"{key}: contains blanks; a bearer token has none")


class Guard:
    """ASGI middleware: bearer token in constant time, or else same-host pages only.

    With a token: every path but `OPEN_PATHS` answers 401 without it. Without one (then
    the listener is on loopback): a `Host` that is not loopback (DNS rebinding) or a
    foreign `Origin` (a page in a browser on this machine) is answered 403.
    """

    def __init__(self, app: ASGIApp, token: str | None, stats: Stats) -> None:
        self._app = app
        self._digest = None if token is None else _digest(token.encode())
        self._stats = stats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the request through, or answers it."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope["headers"])
        scope[AUTHORIZED] = refusal is None
        if refusal is None or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, _with_headers(send))
            return
        self._stats.http_refusals.labels("control", str(refusal.status_code)).inc()
        await refusal(scope, receive, _with_headers(send))

    def _refusal(self, headers: list[tuple[bytes, bytes]]) -> ProblemResponse | None:
        if self._digest is None:
            return None if _is_same_host(headers) else _foreign()
        given = _values(headers, b"authorization")
        if len(given) == 1 and _matches(given[0], self._digest):
            return None
        return _unauthorized(tried=bool(given))


def _matches(value: bytes, digest: bytes) -> bool:
    scheme, _, token = value.partition(b" ")
    same = hmac.compare_digest(_digest(token.strip()), digest)
    return scheme.lower() == b"bearer" and same


def _digest(token: bytes) -> bytes:
    """So that the comparison does not show the token's length either."""
    return hashlib.sha256(token).digest()


def _is_same_host(headers: list[tuple[bytes, bytes]]) -> bool:
    hosts = _values(headers, b"host")
    origins = _values(headers, b"origin")
    if len(hosts) != 1 or not is_loopback(_host_of(b"//" + hosts[0])):
        return False
    return all(o.partition(b"//")[2].lower() == hosts[0].lower() for o in origins)


def _host_of(url: bytes) -> str:
    try:
        return urlsplit(url.decode("latin-1")).hostname or ""
    except ValueError:
        return ""


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]


def _foreign() -> ProblemResponse:
    return ProblemResponse(
        HTTPStatus.FORBIDDEN,
        "foreign_host_or_origin",
        "without a token only requests to a loopback name, from no other site's page, "
        "are answered; set control.token for anything else",
    )


def _unauthorized(*, tried: bool) -> ProblemResponse:
    challenge = 'Bearer realm="sidecar"'
    if tried:
        challenge += ', error="invalid_token"'
    return ProblemResponse(
        HTTPStatus.UNAUTHORIZED,
        "unauthorized",
        "send the header `Authorization: Bearer TOKEN`",
        headers={"WWW-Authenticate": challenge},
    )


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return send_with_headers
