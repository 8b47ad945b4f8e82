"""Logging in with a token, and out again; who one is."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from sidecar.clock import Clock
from sidecar.web.auth import CALLER, SESSION, Access, is_from_our_page
from sidecar.web.callers import Caller, Principal, Role
from sidecar.web.deeds import Deeds, deed_by
from sidecar.web.problems import ControlError
from sidecar.web.rate_limit import ClientBuckets, Rate, TokenBucket
from sidecar.web.sessions import LIFETIME_S
from sidecar.web.stream_routes import problems

_PER_CLIENT: Final = Rate(per_s=0.1, burst=5)
_OVERALL: Final = Rate(per_s=1.0, burst=30)
_STRANGER: Final = Caller("stranger", Role.OBSERVER)


class LoginRequest(BaseModel):
    """A token out of the configuration."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    token: Annotated[str, Field(min_length=1, max_length=1024, repr=False)]


class MeView(BaseModel):
    """Who the caller is."""

    name: str
    role: Role
    proven: bool = Field(description="Whether a token stands behind it.")
    expires_at: datetime | None = Field(
        default=None, description="Of the session, if a cookie was sent."
    )


class WrongToken(ControlError):
    """No such token is configured."""

    status = HTTPStatus.UNAUTHORIZED
    code = "wrong_token"


class LoginNotNeeded(ControlError):
    """No token is configured."""

    status = HTTPStatus.CONFLICT
    code = "login_not_needed"


class NotFromThePage(ControlError):
    """Another site's page tries to log a browser in."""

    status = HTTPStatus.FORBIDDEN
    code = "not_from_the_page"


class TooManyLogins(ControlError):
    """Tried too often."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "too_many_logins"


class LoginRoutes:
    """Routes that hand out cookies.

    Args:
        access: Who may log in.
        deeds: Logins go there, and those that failed.
        nonce: Gives random hex, new at each call.
    """

    def __init__(
        self,
        access: Access,
        deeds: Deeds,
        nonce: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._access = access
        self._deeds = deeds
        self._nonce = nonce
        self._clients = ClientBuckets(_PER_CLIENT)
        self._all = TokenBucket(_OVERALL, access.clock.monotonic())

    def router(self) -> APIRouter:
        """All of them, under `/api`."""
        router = APIRouter(prefix="/api")
        add = router.add_api_route
        add("/me", self.me, methods=["GET"], responses=problems())
        add(
            "/login",
            self.login,
            methods=["POST"],
            responses=problems(400, 409, 422, 429),
        )
        add(
            "/logout",
            self.logout,
            methods=["POST"],
            status_code=204,
            responses=problems(),
        )
        return router

    async def me(self, request: Request) -> MeView:
        """Who the caller is, and what it may do."""
        caller: Caller = request.scope[CALLER]
        session = request.scope.get(SESSION)
        until = None if session is None else _utc(session.expires_at)
        return MeView(
            name=caller.name, role=caller.role, proven=caller.proven, expires_at=until
        )

    async def login(
        self, body: LoginRequest, request: Request, response: Response
    ) -> MeView:
        """A cookie for a token; scripts cannot read it, other sites cannot use it."""
        access = self._access
        if not access.callers:
            raise LoginNotNeeded("no token is configured: everything is open here")
        if not is_from_our_page(request.scope["headers"]):
            raise NotFromThePage("log in on the sidecar's own page")
        self._check_rate(request, access.clock)
        principal = access.callers.by_token(body.token.encode())
        if principal is None:
            await self._deeds.note(deed_by(_STRANGER, "login.failed", ""))
            raise WrongToken("this token is not known; see control.token and the like")
        await self._deeds.note(deed_by(principal.caller, "login", ""))
        return self._begin(principal, response)

    def _begin(self, principal: Principal, response: Response) -> MeView:
        now = self._access.clock.wall().timestamp()
        response.set_cookie(
            self._access.cookie,
            self._access.sessions.issue(principal, self._nonce(), now),
            max_age=LIFETIME_S,
            path="/",
            secure=self._access.secure,
            httponly=True,
            samesite="strict",
        )
        return MeView(
            name=principal.name,
            role=principal.role,
            proven=True,
            expires_at=_utc(int(now) + LIFETIME_S),
        )

    async def logout(self, request: Request, response: Response) -> None:
        """The cookie is good for nothing from now on."""
        session = request.scope.get(SESSION)
        if session is not None:
            now = self._access.clock.wall().timestamp()
            self._access.sessions.end(session, now)
        response.delete_cookie(
            self._access.cookie,
            path="/",
            secure=self._access.secure,
            httponly=True,
            samesite="strict",
        )

    def _check_rate(self, request: Request, clock: Clock) -> None:
        """Raises TooManyLogins for one client, or for all together."""
        now = clock.monotonic()
        client = request.client.host if request.client else ""
        wait = self._clients.take(client, now) or self._all.take(now)
        if wait:
            raise TooManyLogins(f"too many logins; wait for {wait:.0f} s")


def _utc(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
