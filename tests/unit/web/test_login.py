"""Logging in, roles, forged requests, and what of it stands in the audit log."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from sidecar.audit.chain import Deed, Entry
from sidecar.clock import ManualClock
from sidecar.errors import AuditFailed
from sidecar.stats import Stats
from sidecar.web.auth import Access
from sidecar.web.callers import Callers, Principal, Role
from sidecar.web.control import control_app
from sidecar.web.deeds import NoDeeds
from sidecar.web.health import Health
from sidecar.web.sessions import LIFETIME_S
from tests.fakes.control import CONFIGURED, FakeControl

pytestmark = pytest.mark.anyio

DESK1, DESK2 = "desk1-token-0123456789", "desk2-token-0123456789"
HOST = "http://sidecar.example:8080"
PAGE = {"x-sidecar-page": "1", "origin": HOST, "sec-fetch-site": "same-origin"}


class Noted:
    """Deeds in a list; refuses them if told so."""

    def __init__(self) -> None:
        self.deeds: list[Deed] = []
        self.failing = False

    async def note(self, deed: Deed) -> None:
        """Keeps it."""
        if self.failing:
            raise AuditFailed("audit log: no space left on device")
        self.deeds.append(deed)

    def recent(self) -> Sequence[Entry]:
        """None."""
        return ()


class House:
    """An application with an operator and an observer, and browsers to ask it."""

    def __init__(self, *, secure: bool = False, tokens: bool = True) -> None:
        self.clock = ManualClock(1000.0)
        self.noted = Noted()
        people = [
            Principal.of("desk1", Role.OPERATOR, DESK1),
            Principal.of("desk2", Role.OBSERVER, DESK2),
        ]
        callers = Callers(people if tokens else [])
        access = Access.of(callers, self.clock, secure=secure)
        self.app = control_app(FakeControl(), Health(), Stats(), access, self.noted)

    @asynccontextmanager
    async def browser(
        self, base: str = HOST, address: str = "10.0.0.1"
    ) -> AsyncIterator[httpx.AsyncClient]:
        """Keeps cookies."""
        transport = httpx.ASGITransport(self.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url=base) as found:
            yield found


async def login(browser: httpx.AsyncClient, token: str, **headers: str) -> Any:  # noqa: ANN401 a reply
    """Asks for a cookie."""
    given = {**PAGE, **headers}
    return await browser.post("/api/login", json={"token": token}, headers=given)


async def test_a_token_buys_a_cookie_that_opens() -> None:
    """Http-only, same-site, for this host; without it 401 as before."""
    house = House()
    async with house.browser() as browser:
        assert (await browser.get("/api/me")).status_code == 401
        reply = await login(browser, DESK1)
        assert reply.json()["name"] == "desk1"
        cookie = reply.headers["set-cookie"]
        for word in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={LIFETIME_S}"):
            assert word in cookie
        assert "Secure" not in cookie
        assert DESK1 not in cookie
        me = (await browser.get("/api/me")).json()
        assert (me["name"], me["role"], me["proven"]) == ("desk1", "operator", True)
        assert me["expires_at"] == "2026-01-01T12:00:00Z"
    assert [(d.actor, d.act) for d in house.noted.deeds] == [("desk1", "login")]


async def test_under_tls_the_cookie_stays_there() -> None:
    """Secure, and by its name kept to this very host."""
    async with House(secure=True).browser("https://sidecar.example:8080") as browser:
        reply = await login(browser, DESK1, origin="https://sidecar.example:8080")
        assert reply.headers["set-cookie"].startswith("__Host-sidecar_")
        assert "Secure" in reply.headers["set-cookie"]


async def test_a_cookie_ends_by_time_and_by_logging_out() -> None:
    """After twelve hours, or at once."""
    house = House()
    async with house.browser() as browser:
        await login(browser, DESK1)
        kept = dict(browser.cookies)
        assert (await browser.post("/api/logout", headers=PAGE)).status_code == 204
        browser.cookies.update(kept)
        assert (await browser.get("/api/me")).status_code == 401
        await login(browser, DESK1)
        house.clock.advance(LIFETIME_S)
        assert (await browser.get("/api/me")).status_code == 401


async def test_observers_look_and_operators_act() -> None:
    """By cookie and by bearer alike; nothing is done or noted for an observer."""
    house = House()
    path = f"/api/streams/{CONFIGURED}/reverse"
    async with house.browser() as browser:
        await login(browser, DESK2)
        assert (await browser.get("/api/streams")).status_code == 200
        refused = await browser.post(path, headers=PAGE)
        assert (refused.status_code, refused.json()["code"]) == (403, "operator_needed")
        bearer = {"authorization": f"Bearer {DESK2}"}
        assert (await browser.post(path, headers=bearer)).status_code == 403
        done = await browser.post(path, headers={"authorization": f"Bearer {DESK1}"})
        assert done.status_code == 202
    last = house.noted.deeds[-1]
    assert (last.actor, last.role, last.act, last.about) == (
        "desk1",
        "operator",
        "http.post",
        path,
    )
    assert last.detail == {"status": 202}
    assert len(house.noted.deeds) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-sidecar-page": "1", "origin": "https://evil.example"},
        {"x-sidecar-page": "1", "sec-fetch-site": "cross-site"},
        {"x-sidecar-page": "1", "sec-fetch-site": "same-site"},
        {"origin": HOST},
    ],
)
async def test_a_forged_request_is_refused(headers: dict[str, str]) -> None:
    """The cookie alone moves nothing, and no foreign page logs a browser in."""
    house = House()
    async with house.browser() as browser:
        assert (
            await browser.post("/api/login", json={"token": DESK1}, headers=headers)
        ).status_code == 403
        await login(browser, DESK1)
        refused = await browser.post(
            f"/api/streams/{CONFIGURED}/reverse", headers=headers
        )
        assert refused.json()["code"] == "not_from_the_page"


async def test_guessing_is_slow_and_noted() -> None:
    """Five at once from one address, then one in ten seconds; others may log in."""
    house = House()
    async with house.browser() as browser, house.browser(address="10.0.0.2") as other:
        codes = [(await login(browser, f"guess-{n}")).status_code for n in range(6)]
        assert codes == [401] * 5 + [429]
        assert (await login(browser, DESK1)).status_code == 429
        assert (await login(other, DESK1)).status_code == 200
        house.clock.advance(10)
        assert (await login(browser, DESK1)).status_code == 200
    acts = [deed.act for deed in house.noted.deeds]
    assert acts == ["login.failed"] * 5 + ["login"] * 2
    assert all("guess" not in repr(deed) for deed in house.noted.deeds)


async def test_nobody_logs_in_unseen() -> None:
    """If the audit log cannot be written there is no cookie; other work goes on."""
    house = House()
    house.noted.failing = True
    async with house.browser() as browser:
        reply = await login(browser, DESK1)
        assert (reply.status_code, reply.json()["code"]) == (503, "audit_failing")
        assert "set-cookie" not in reply.headers
        bearer = {"authorization": f"Bearer {DESK1}"}
        path = f"/api/streams/{CONFIGURED}/reverse"
        assert (await browser.post(path, headers=bearer)).status_code == 202


async def test_without_tokens_there_is_nothing_to_log_in_to() -> None:
    """Whoever is on this machine may act, and is called local."""
    house = House(tokens=False)
    async with house.browser("http://127.0.0.1:8080") as browser:
        me = (await browser.get("/api/me")).json()
        assert (me["name"], me["role"], me["proven"]) == ("local", "operator", False)
        reply = await login(browser, DESK1, origin="http://127.0.0.1:8080")
        assert reply.json()["code"] == "login_not_needed"
        assert (await browser.post("/api/logout")).status_code == 204
    assert house.noted.deeds[-1].role == "local"


async def test_two_cookies_of_one_name_are_none() -> None:
    """Somebody else put one there; neither is believed."""
    house = House()
    async with house.browser() as browser:
        await login(browser, DESK1)
        ((name, value),) = browser.cookies.items()
        browser.cookies.clear()
        twice = {"cookie": f"{name}={value}; {name}={value}"}
        assert (await browser.get("/api/me", headers=twice)).status_code == 401
        once = {"cookie": f"a=b; {name}={value}; c"}
        assert (await browser.get("/api/me", headers=once)).status_code == 200


async def test_an_application_without_a_log_works() -> None:
    """It notes nothing."""
    deeds = NoDeeds()
    await deeds.note(Deed("a", "b", "c", "d", {}))
    assert deeds.recent() == ()
