"""Who may use a listener: a token beyond loopback, and no foreign page on loopback."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.clock import Clock, SystemClock
from sidecar.errors import ConfigError
from sidecar.stats import Stats
from sidecar.web.callers import LOCAL, Caller, Callers, Principal, Role
from sidecar.web.problems import ProblemResponse
from sidecar.web.sessions import Session, Sessions

OPEN_PATHS: Final = frozenset({"/livez", "/readyz", "/", "/api/login"})
"""Answered without a token: the probes, which name components and codes but no
details, and the page's door."""

PAGE_PREFIX: Final = "/page/"
"""Below it lie the page's own files, which are the same for everybody."""

AUTHORIZED: Final = "sidecar.authorized"
"""Key in the ASGI scope: whether the caller may see details."""

CALLER: Final = "sidecar.caller"
"""Key in the ASGI scope: the `Caller`; absent for strangers at open paths."""

SESSION: Final = "sidecar.session"
"""Key in the ASGI scope: the `Session` whose cookie was sent, if one was."""

PAGE_HEADER: Final = b"x-sidecar-page"
"""Must come with whatever changes something by cookie: no foreign page can add it."""

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

OBSERVERS_MAY: Final = frozenset(
    {"/api/login", "/api/logout", "/api/policies/whatif", "/api/policies/preview"}
)
"""What changes nothing, though it is asked by POST."""

MIN_TOKEN_CHARS: Final = 16  # 96 bits, if made as docs/operating.md says

_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
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


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call, and how cookies are to be kept.

    Attributes:
        callers: By their tokens; none: anybody on this machine.
        sessions: Of those who logged in.
        clock: For their end.
        secure: Whether the listener has TLS: the cookie is then kept to it.
    """

    callers: Callers
    sessions: Sessions
    clock: Clock
    secure: bool = False

    @classmethod
    def of(
        cls, callers: Callers, clock: Clock | None = None, *, secure: bool = False
    ) -> "Access":
        """For these callers."""
        return cls(callers, Sessions(callers), clock or SystemClock(), secure)

    @classmethod
    def by(cls, token: str | None) -> "Access":
        """For the one operator who has `token`; None: for anybody on this machine."""
        known = (
            [] if token is None else [Principal.of("operator", Role.OPERATOR, token)]
        )
        return cls.of(Callers(known))

    @property
    def cookie(self) -> str:
        """The cookie's name; browsers keep `__Host-` ones to this very host."""
        return f"{'__Host-' if self.secure else ''}sidecar_{self.callers.tag()}"


class Guard:
    """ASGI middleware: who calls, by token or cookie, and whether they may.

    With tokens: every path but the open ones answers 401 without one. What changes
    something by cookie needs the page's header and its origin (CSRF), and the role of
    an operator. Without tokens (then the listener is on loopback): a `Host` that is not
    loopback (DNS rebinding) or a foreign `Origin` (a page in a browser on this machine)
    is answered 403.
    """

    def __init__(self, app: ASGIApp, access: Access, stats: Stats) -> None:
        self._app = app
        self._access = access
        self._stats = stats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets the request through, or answers it."""
        if scope["type"] != "http":
            return
        found = self._caller(scope)
        scope[AUTHORIZED] = isinstance(found, Caller)
        refusal = self._check(scope, found) if isinstance(found, Caller) else found
        if refusal is None or _is_open(scope["path"], found):
            await self._app(scope, receive, _with_headers(send))
            return
        self._stats.http_refusals.labels("control", str(refusal.status_code)).inc()
        await refusal(scope, receive, _with_headers(send))

    def _caller(self, scope: Scope) -> Caller | ProblemResponse:
        headers = scope["headers"]
        if not self._access.callers:
            return LOCAL if _is_same_host(headers) else _foreign()
        given = _values(headers, b"authorization")
        if not given and (session := self._session(headers)) is not None:
            scope[SESSION] = session
            return session.principal.caller
        principal = self._by_token(given[0]) if len(given) == 1 else None
        if principal is None:
            return _unauthorized(tried=bool(given))
        return principal.caller

    def _check(self, scope: Scope, caller: Caller) -> ProblemResponse | None:
        scope[CALLER] = caller
        if scope["method"] in SAFE_METHODS:
            return None
        if SESSION in scope and not is_from_our_page(scope["headers"]):
            return _forged()
        if caller.role is Role.OPERATOR or scope["path"] in OBSERVERS_MAY:
            return None
        return _operators_only()

    def _by_token(self, value: bytes) -> Principal | None:
        scheme, _, token = value.partition(b" ")
        found = self._access.callers.by_token(token.strip())
        return found if scheme.lower() == b"bearer" else None

    def _session(self, headers: list[tuple[bytes, bytes]]) -> Session | None:
        text = cookie_in(headers, self._access.cookie)
        if text is None:
            return None
        now = self._access.clock.wall().timestamp()
        return self._access.sessions.session(text, now)


def cookie_in(headers: Iterable[tuple[bytes, bytes]], name: str) -> str | None:
    """The value of the cookie `name`; None if it is absent or there twice."""
    pairs = [
        part.strip().partition("=")
        for line in _values(headers, b"cookie")
        for part in line.decode("latin-1").split(";")
    ]
    found = [value for key, _, value in pairs if key == name]
    return found[0] if len(found) == 1 else None


def is_from_our_page(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a page of this listener sent it: its header, and no foreign origin."""
    headers = list(headers)
    sites = _values(headers, b"sec-fetch-site")
    return (
        bool(_values(headers, PAGE_HEADER))
        and all(site in {b"same-origin", b"none"} for site in sites)
        and _is_same_origin(headers)
    )


def _is_same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    hosts = [host.lower() for host in _values(headers, b"host")]
    origins = _values(headers, b"origin")
    return all([o.partition(b"//")[2].lower()] == hosts for o in origins)


def _is_open(path: str, found: Caller | ProblemResponse) -> bool:
    """Whether anybody may ask; a known caller's refusal stands."""
    if isinstance(found, Caller):
        return False
    if found.status_code == HTTPStatus.FORBIDDEN:  # a foreign host gets the probes only
        return path in {"/livez", "/readyz"}
    return path in OPEN_PATHS or path.startswith(PAGE_PREFIX)


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


def _forged() -> ProblemResponse:
    return ProblemResponse(
        HTTPStatus.FORBIDDEN,
        "not_from_the_page",
        "a request by cookie that changes something must come from the sidecar's own "
        "page, with the header X-Sidecar-Page; programs use a bearer token",
    )


def _operators_only() -> ProblemResponse:
    return ProblemResponse(
        HTTPStatus.FORBIDDEN,
        "operator_needed",
        "this token may look only; log in with an operator's token",
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
