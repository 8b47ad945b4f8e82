"""The routes of the threshold page: what is in force, what if, try, apply, undo."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Header, Request

from sidecar.web.auth import CALLER
from sidecar.web.callers import Caller
from sidecar.web.deeds import DETAIL
from sidecar.web.policy_schemas import (
    ApplyRequest,
    Changes,
    ChangesRequest,
    CurrentView,
    HistoryView,
    PreviewView,
    UndoRequest,
    VersionView,
    WhatIfView,
)
from sidecar.web.problems import MatchMissing, TokenNeeded
from sidecar.web.stream_routes import problems

IfMatch = Annotated[
    str | None,
    Header(max_length=64, description="The `etag` of the version that was seen."),
]


class PolicyDesk(Protocol):
    """The composition root's side of the threshold page; all errors ControlError."""

    async def current(self) -> CurrentView:
        """What is in force."""
        ...

    async def history(self) -> HistoryView:
        """All versions, newest first."""
        ...

    async def preview(self, changes: Changes) -> PreviewView:
        """What would change, in words."""
        ...

    async def preview_undo(self) -> PreviewView:
        """What an undo would change."""
        ...

    async def what_if(self, changes: Changes) -> WhatIfView:
        """What would have happened."""
        ...

    async def apply(
        self, request: ApplyRequest, caller: Caller, seen: str
    ) -> VersionView:
        """Makes the changes a new version, in force when this returns."""
        ...

    async def undo(
        self, request: UndoRequest, caller: Caller, seen: str
    ) -> VersionView:
        """Makes what held before a new version."""
        ...

    async def try_as_shadow(self, changes: Changes) -> CurrentView:
        """Puts the policies in force with these changes into the shadow."""
        ...

    async def end_shadow(self) -> None:
        """Nothing is in the shadow any more."""
        ...


class PolicyRoutes:
    """Routes that hand on to `desk`."""

    def __init__(self, desk: PolicyDesk) -> None:
        self._desk = desk

    def router(self) -> APIRouter:
        """All of them, under `/api`."""
        router = APIRouter(prefix="/api")
        add = router.add_api_route
        get, post = ["GET"], ["POST"]
        changing = problems(400, 409, 412, 422, 428, 503)
        add("/policies/current", self.current, methods=get, responses=problems(409))
        add("/policies/history", self.history, methods=get, responses=problems())
        add("/policies/undo", self.preview_undo, methods=get, responses=problems(409))
        trying = problems(400, 409, 422)
        add("/policies/preview", self.preview, methods=post, responses=trying)
        add("/policies/whatif", self.what_if, methods=post, responses=trying)
        add("/policies/apply", self.apply, methods=post, responses=changing)
        add("/policies/undo", self.undo, methods=post, responses=changing)
        add("/shadow", self.try_as_shadow, methods=["PUT"], responses=trying)
        add(
            "/shadow",
            self.end_shadow,
            methods=["DELETE"],
            status_code=204,
            responses=problems(),
        )
        return router

    async def current(self) -> CurrentView:
        """The policies in force, their version, and what is in the shadow."""
        return await self._desk.current()

    async def history(self) -> HistoryView:
        """Who changed the policies, when and why."""
        return await self._desk.history()

    async def preview(self, body: ChangesRequest) -> PreviewView:
        """The sentences that have to be confirmed to apply these changes."""
        return await self._desk.preview(body.changes)

    async def preview_undo(self) -> PreviewView:
        """The sentences that have to be confirmed to undo the last version."""
        return await self._desk.preview_undo()

    async def what_if(self, body: ChangesRequest) -> WhatIfView:
        """Which actions these changes would have added and removed of late."""
        return await self._desk.what_if(body.changes)

    async def apply(
        self, body: ApplyRequest, request: Request, if_match: IfMatch = None
    ) -> VersionView:
        """A new version, in force at once; 412 if somebody else was quicker."""
        caller = _proven(request)
        return await self._desk.apply(body, caller, _seen(if_match))

    async def undo(
        self, body: UndoRequest, request: Request, if_match: IfMatch = None
    ) -> VersionView:
        """A new version that says what the one before the last said."""
        caller = _proven(request)
        return await self._desk.undo(body, caller, _seen(if_match))

    async def try_as_shadow(
        self, body: ChangesRequest, request: Request
    ) -> CurrentView:
        """What these changes would do is counted and shown from now on, never sent."""
        request.scope[DETAIL] = {
            "changes": [change.model_dump() for change in body.changes]
        }
        return await self._desk.try_as_shadow(body.changes)

    async def end_shadow(self) -> None:
        """The trial is over."""
        await self._desk.end_shadow()


def _proven(request: Request) -> Caller:
    """Whoever changes policies has a token, also on loopback. Raises TokenNeeded."""
    caller = request.scope[CALLER]
    assert isinstance(caller, Caller)
    if not caller.proven:
        raise TokenNeeded(
            "policies are changed with an operator's token only; set control.token"
        )
    return caller


def _seen(if_match: str | None) -> str:
    if if_match is None:
        raise MatchMissing("send the etag of the version that you saw as If-Match")
    return if_match
