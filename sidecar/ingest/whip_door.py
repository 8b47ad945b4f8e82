"""Who and what gets through a WHIP endpoint's door: settings, and checks on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.domain import is_stream_id
from sidecar.ingest import sdp
from sidecar.ingest.http_rules import (
    SDP_TYPE,
    bearer_token,
    entity_tags,
    header,
    media_type,
    same_token,
)
from sidecar.ingest.receiver import IceServer
from sidecar.ingest.whip_reply import WhipRefusal


@dataclass(frozen=True, slots=True)
class WhipSettings:
    """Who may publish, and how much.

    Attributes:
        path_prefix: Of the endpoint's URLs, for Location.
        shared_token: Opens every stream that has no token of its own.
        stream_tokens: Per stream id. With neither kind, anybody may publish.
        max_sessions: At once, those still negotiating included.
        max_body: Bytes of an offer or fragment.
        connect_timeout_s: From the answer to ICE and DTLS being up.
        packet_timeout_s: Without a packet for this long a publisher is gone.
        allow_origins: Pages that may publish (CORS); `*` for any.
        publisher_ice_servers: Told to publishers in Link headers. Never our own by
            default: their credentials would be told as well.
    """

    path_prefix: str = "/whip"
    shared_token: str | None = field(default=None, repr=False)
    stream_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_sessions: int = 256
    max_body: int = sdp.MAX_BYTES
    connect_timeout_s: float = 15.0
    packet_timeout_s: float = 10.0
    allow_origins: tuple[str, ...] = ()
    publisher_ice_servers: tuple[IceServer, ...] = field(default=(), repr=False)


def check_token(
    settings: WhipSettings, stream_id: str, headers: Mapping[str, str]
) -> None:
    """Refuses ids that are none (400), no token (401), a wrong one (403)."""
    if not is_stream_id(stream_id):
        raise WhipRefusal(400, "a stream id is 1 to 128 of A-Z a-z 0-9 . _ ~ -")
    own = settings.stream_tokens.get(stream_id)
    expected = own if own is not None else settings.shared_token
    if expected is None and not settings.stream_tokens:
        return
    given = bearer_token(header(headers, "authorization"))
    if given is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="whip"'}
        raise WhipRefusal(401, "a bearer token is needed", challenge)
    if expected is None or not same_token(given, expected):
        raise WhipRefusal(403, "this token does not open this stream")


def check_body(
    settings: WhipSettings, headers: Mapping[str, str], body: bytes, wanted: str
) -> None:
    """Refuses another media type (415) and too much (413)."""
    if media_type(header(headers, "content-type")) != wanted:
        accept = "Accept-Post" if wanted == SDP_TYPE else "Accept-Patch"
        raise WhipRefusal(415, f"send {wanted}", {accept: wanted})
    if len(body) > settings.max_body:
        raise WhipRefusal(413, f"at most {settings.max_body} bytes")


def restarts(headers: Mapping[str, str], etag: str) -> bool:
    """Whether a PATCH is for a new ICE session, by If-Match `*` (RFC 9725).

    Raises:
        WhipRefusal: It is for no (428), or for another ICE session (412).
    """
    wanted = header(headers, "if-match")
    if wanted is None:
        raise WhipRefusal(428, "send If-Match with the session's ETag")
    if wanted in {"*", '"*"'}:  # the latter stands in the RFC's example
        return True
    if etag not in entity_tags(wanted):
        raise WhipRefusal(412, "this is not the session's ETag")
    return False
