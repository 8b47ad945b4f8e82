"""What HTTP says, for WHEP and WHIP alike: pure functions over header values."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from sidecar.errors import StreamError, StreamUnavailable, StreamUnsupported

SDP_TYPE: Final = "application/sdp"
FRAGMENT_TYPE: Final = "application/trickle-ice-sdpfrag"  # RFC 8840

_TOKEN_RETRY_S: Final = 60.0  # a wrong token is mended by a person, not by hammering
_PASSING: Final = frozenset({404, 408, 409, 423, 425, 429})
_LARGEST_RETRY_S: Final = 10 * 365 * 86_400.0


def header(headers: Mapping[str, str], name: str) -> str | None:
    """The value under `name`, whatever the case of either."""
    wanted = name.lower()
    for key, value in headers.items():
        if key.lower() == wanted:
            return value.strip()
    return None


def media_type(value: str | None) -> str:
    """The media type of a `Content-Type` value, lower case, without parameters."""
    return (value or "").partition(";")[0].strip().lower()


def bearer_token(value: str | None) -> str | None:
    """The token of an `Authorization: Bearer …` value (RFC 6750), or None."""
    scheme, _, token = (value or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def same_token(given: str, expected: str) -> bool:
    """Whether both are equal, in a time that does not tell how much of it is."""
    raw = given.encode(errors="surrogatepass"), expected.encode(errors="surrogatepass")
    return hmac.compare_digest(*raw)


def entity_tags(value: str) -> frozenset[str]:
    """The members of an `If-Match` list; weak ones never match (RFC 9110, 13.1.1)."""
    return frozenset(tag.strip() for tag in value.split(","))


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Seconds of a `Retry-After`: delta-seconds or HTTP-date; None if unreadable."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 9 else _LARGEST_RETRY_S  # noqa: PLR2004
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def may_follow(here: str, there: str) -> bool:
    """Whether credentials for `here` may be sent to `there`.

    Same scheme, host and port; or the same host's step up from http to https.
    """
    try:
        a, b = urlsplit(here), urlsplit(there)
        ports = _port(a.scheme, a.port), _port(b.scheme, b.port)
    except ValueError:
        return False
    if not a.hostname or a.hostname != b.hostname:
        return False
    if a.scheme == b.scheme:
        return a.scheme in {"http", "https"} and ports[0] == ports[1]
    return (a.scheme, b.scheme) == ("http", "https")


def _port(scheme: str, port: int | None) -> int | None:
    return port or {"http": 80, "https": 443}.get(scheme)


def shown(url: str) -> str:
    """`url` fit for a log line or an error: no user part, query or fragment."""
    try:
        parts = urlsplit(url)
        where = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(unreadable URL)"
    host = f"[{where}]" if ":" in where else where
    return f"{parts.scheme}://{host}{port}{parts.path}"


def refusal(stream_id: str, status: int, retry_s: float | None) -> StreamError:
    """The error that a WHEP server's answer `status` (no 2xx) amounts to.

    401 and 403 are retried slowly, what may pass (404, 409, 425, 429, 5xx …) by
    back-off or the server's `Retry-After`; any other means that this server and this
    client do not understand each other, and is shown as unsupported.
    """
    said = f"the WHEP server answered {status}"
    if status in {401, 403}:
        wait = max(retry_s or 0.0, _TOKEN_RETRY_S)
        message = f"{said}: its bearer token is missing or not accepted"
        return StreamUnavailable(stream_id, message, retry_after_s=wait)
    if status in _PASSING or (500 <= status < 600 and status not in {501, 505}):  # noqa: PLR2004
        return StreamUnavailable(stream_id, said, retry_after_s=retry_s)
    if status == 406:  # noqa: PLR2004
        said += " (it knows none of our codecs)"
    return StreamUnsupported(stream_id, said)
