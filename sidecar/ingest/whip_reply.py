"""What the WHIP endpoint says back: replies as values, refusals as exceptions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from sidecar.ingest.http_rules import FRAGMENT_TYPE, SDP_TYPE, header

METHODS: Final = "POST, PATCH, DELETE, OPTIONS"


class TellableServer(Protocol):
    """A STUN or TURN server, as `ice.IceServer` is one."""

    @property
    def urls(self) -> Sequence[str]:
        """As in RFC 7064 and RFC 7065."""
        ...

    @property
    def username(self) -> str | None:
        """For TURN."""
        ...

    @property
    def credential(self) -> str | None:
        """For TURN."""
        ...


@dataclass(frozen=True, slots=True)
class WhipReply:
    """An HTTP response: status, headers and body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class WhipRefusal(Exception):
    """A request is turned down; becomes a `WhipReply` inside the endpoint."""

    def __init__(
        self, status: int, text: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers or {}

    def reply(self) -> WhipReply:
        """The refusal as plain text that a publisher's log can show."""
        headers = {"Content-Type": "text/plain; charset=utf-8", **self.headers}
        return WhipReply(self.status, headers, f"{self.text}\n".encode())


def busy(status: int, text: str, retry_after_s: float) -> WhipRefusal:
    """A refusal that asks to come back later."""
    return WhipRefusal(status, text, {"Retry-After": str(max(1, round(retry_after_s)))})


def cors(headers: Mapping[str, str], allow_origins: tuple[str, ...]) -> dict[str, str]:
    """The CORS headers for a request's Origin: none unless that origin is allowed."""
    origin = header(headers, "origin")
    if origin is None or not ({origin, "*"} & set(allow_origins)):
        return {}
    return {
        "Access-Control-Allow-Origin": "*" if "*" in allow_origins else origin,
        "Access-Control-Expose-Headers": "Location, ETag, Link, Retry-After",
        "Vary": "Origin",
    }


def options(allowed: Mapping[str, str]) -> WhipReply:
    """What may be done here (RFC 9725), with `allowed` from `cors`."""
    headers = {"Allow": METHODS, "Accept-Post": SDP_TYPE, "Accept-Patch": FRAGMENT_TYPE}
    if allowed:
        headers["Access-Control-Allow-Methods"] = METHODS
        headers["Access-Control-Allow-Headers"] = (
            "Authorization, Content-Type, If-Match"
        )
        headers["Access-Control-Max-Age"] = "600"
    return WhipReply(200, {**headers, **allowed})


def links(servers: Sequence[TellableServer]) -> dict[str, str]:
    """The Link header that tells a publisher its ICE servers (RFC 9725)."""
    values = [_link(url, server) for server in servers for url in server.urls]
    return {"Link": ", ".join(values)} if values else {}


def _link(url: str, server: TellableServer) -> str:
    parts = [f"<{url}>", 'rel="ice-server"']
    if server.username is not None and server.credential is not None:
        parts.append(f"username={_quoted(server.username)}")
        parts.append(f"credential={_quoted(server.credential)}")
        parts.append('credential-type="password"')
    return "; ".join(parts)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
