"""What must hold of tokens, hosts and origins."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ConfigError
from sidecar.stats import Stats
from sidecar.web.auth import Access, Guard, is_loopback, require_token_beyond_loopback
from sidecar.web.control import control_app
from sidecar.web.health import Health
from tests.fakes.control import FakeControl

TOKEN = "0123456789abcdef-_~."  # noqa: S105 of the tests


async def _get(
    token: str | None,
    path: str = "/api/streams",
    headers: list[tuple[str, str]] | None = None,
    base: str = "http://127.0.0.1:8080",
) -> tuple[httpx.Response, Stats]:
    stats = Stats()
    app = control_app(FakeControl(), Health(), stats, Access.by(token))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        return await client.get(path, headers=headers or []), stats


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST."]
)
def test_loopback_needs_no_token(host: str) -> None:
    """What only this machine reaches may go without."""
    assert is_loopback(host)
    require_token_beyond_loopback(host, None)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "", "10.0.0.1", "sidecar", "localhost.example", "::ffff:1.2.3.4"],  # noqa: S104
)
def test_beyond_loopback_a_token_is_required(host: str) -> None:
    """The error names key, host and mend; with a token the same host is fine."""
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match=r"control\.token: is missing.*127\.0\.0\.1"):
        require_token_beyond_loopback(host, None)
    require_token_beyond_loopback(host, TOKEN)


def test_ipv4_in_ipv6_loopback_is_loopback() -> None:
    """`::ffff:127.0.0.1` is this machine."""
    assert is_loopback("::ffff:127.0.0.1")


@pytest.mark.parametrize("token", ["", "short", "x" * 15, "x" * 20 + "é", "x y" * 9])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104
def test_a_weak_or_unusable_token_is_refused(host: str, token: str) -> None:
    """Too short, not ASCII, with blanks: refused, on loopback too, and not echoed."""
    with pytest.raises(ConfigError, match=r"whip\.token") as caught:
        require_token_beyond_loopback(host, token, "whip.token")
    assert not token or token not in str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_token_opens(scheme: str) -> None:
    """The scheme's case does not matter, the token's does."""
    reply, _ = await _get(TOKEN, headers=[("authorization", f"{scheme} {TOKEN}")])
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", f"Bearer {TOKEN.upper()}")],
        [("authorization", f"Bearer {TOKEN}x")],
        [("authorization", f"Basic {TOKEN}")],
        [("authorization", TOKEN)],
        [("authorization", "Bearer ")],
        [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer x")],
    ],
)
async def test_anything_else_is_401(headers: list[tuple[str, str]]) -> None:
    """A challenge comes back, and the refusal is counted."""
    reply, stats = await _get(TOKEN, headers=headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith('Bearer realm="sidecar"')
    assert ("invalid_token" in reply.headers["www-authenticate"]) == bool(headers)
    assert b'endpoint="control",status="401"} 1.0' in stats.render()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path", ["/api/verdicts", "/metrics", "/openapi.json", "/nothing", "/livez/x"]
)
async def test_only_the_probes_are_open(path: str) -> None:
    """Everything but /livez and /readyz wants the token, even what is not there."""
    assert (await _get(TOKEN, path))[0].status_code == 401
    for probe in ("/livez", "/readyz"):
        assert (await _get(TOKEN, probe))[0].status_code == 200


@pytest.mark.anyio
async def test_with_a_token_any_host_name_will_do() -> None:
    """Behind a proxy or in a container the name is not ours to know."""
    headers = [("authorization", f"Bearer {TOKEN}")]
    reply, _ = await _get(TOKEN, headers=headers, base="http://sidecar.example")
    assert reply.status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:8080", None, 200),
        ("localhost:8080", None, 200),
        ("[::1]:8080", None, 200),
        ("localhost:8080", "http://localhost:8080", 200),
        ("localhost:8080", "http://localhost:9999", 403),
        ("localhost:8080", "https://evil.example", 403),
        ("localhost:8080", "null", 403),
        ("evil.example:8080", None, 403),
        ("127.0.0.1.evil.example", None, 403),
        ("[::1", None, 403),
        ("", None, 403),
    ],
)
async def test_without_a_token_foreign_pages_are_kept_out(
    host: str, origin: str | None, status: int
) -> None:
    """DNS rebinding and cross-site requests from a local browser are answered 403."""
    headers = [("host", host), *([("origin", origin)] if origin else [])]
    reply, _ = await _get(None, headers=headers)
    assert reply.status_code == status


@pytest.mark.anyio
async def test_other_protocols_are_not_served() -> None:
    """A WebSocket scope goes nowhere."""

    async def never(*_: object) -> None:
        raise AssertionError("reached")

    await Guard(never, Access.by(None), Stats())({"type": "websocket"}, never, never)  # type: ignore[arg-type]


@given(st.text(max_size=40))
def test_any_text_is_loopback_or_not(host: str) -> None:
    """No host name makes the check fail otherwise than by its answer."""
    assert is_loopback(host) in {True, False}
