"""The routes of the operator's page that look: the live feed, stories, actions."""

from collections.abc import Sequence
from typing import Annotated, Final, Protocol

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from sidecar.audit.chain import Entry
from sidecar.domain import Outcome
from sidecar.web.auth import CALLER
from sidecar.web.callers import Caller
from sidecar.web.deeds import DETAIL, Deeds, deed_by
from sidecar.web.live import LiveFeed, LiveResponse
from sidecar.web.look_schemas import (
    ActionsView,
    ActionView,
    LookRequest,
    OutcomeRequest,
    PauseRequest,
    PauseView,
    StoryView,
)
from sidecar.web.stream_routes import StreamId, problems

LIVE_PATH: Final = "/api/live"


class Overseer(Protocol):
    """The composition root's side of looking and stepping in."""

    def story(self, stream_id: str, minutes: float) -> StoryView:
        """One stream's. Raises UnknownStream."""
        ...

    def actions(self, limit: int) -> Sequence[ActionView]:
        """The newest."""
        ...

    async def pause(self, stream_id: str, request: PauseRequest, by: str) -> PauseView:
        """What is decided of the stream becomes a dry run. Raises RequestRefused."""
        ...

    async def resume(self, stream_id: str) -> None:
        """Takes it back. Raises UnknownStream if there was none."""
        ...

    async def glimpse(self, stream_id: str) -> bytes:
        """PNG of the next picture, grey and blurred. Raises ControlError."""
        ...

    async def review(self, action_id: str, outcome: Outcome, by: str) -> ActionView:
        """Notes an outcome. Raises UnknownAction."""
        ...


class AuditEntryView(BaseModel):
    """One entry of the audit log."""

    seq: int
    at: str
    actor: str
    role: str
    act: str
    about: str
    detail: dict[str, object]
    hash: str


class AuditView(BaseModel):
    """The last entries, newest first."""

    entries: list[AuditEntryView]


class LookRoutes:
    """Routes that hand on to `overseer` and shape its answers."""

    def __init__(self, overseer: Overseer, live: LiveFeed, deeds: Deeds) -> None:
        self._overseer = overseer
        self._live = live
        self._deeds = deeds

    def router(self) -> APIRouter:
        """All of them."""
        router = APIRouter(prefix="/api")
        add = router.add_api_route
        add(
            LIVE_PATH.removeprefix("/api"),
            self.live,
            methods=["GET"],
            response_class=StreamingResponse,
            responses={
                200: {
                    "description": "Server-sent events `news`.",
                    "content": {"text/event-stream": {}},
                },
                **problems(503),
            },
        )
        one = "/streams/{stream_id}"
        add(f"{one}/story", self.story, methods=["GET"], responses=problems(404, 422))
        add(
            f"{one}/pause",
            self.pause,
            methods=["PUT"],
            responses=problems(400, 422),
        )
        add(
            f"{one}/pause",
            self.resume,
            methods=["DELETE"],
            status_code=204,
            responses=problems(404, 422),
        )
        add(
            f"{one}/thumbnail",
            self.thumbnail,
            methods=["POST"],
            response_class=Response,
            responses={
                200: {"description": "A tiny grey PNG.", "content": {"image/png": {}}},
                **problems(404, 409, 422),
            },
        )
        add("/actions", self.actions, methods=["GET"], responses=problems(422))
        add(
            "/actions/{action_id}/outcome",
            self.review,
            methods=["PUT"],
            responses=problems(400, 404, 422),
        )
        add("/audit", self.audit, methods=["GET"], responses=problems())
        return router

    async def live(
        self, last_event_id: Annotated[str | None, Header(max_length=64)] = None
    ) -> StreamingResponse:
        """What changes, once a second; begins where Last-Event-ID left off."""
        self._live.check()
        return LiveResponse(self._live.events(last_event_id))

    async def story(
        self,
        stream_id: StreamId,
        minutes: Annotated[float, Query(gt=0, le=1440)] = 10.0,
    ) -> StoryView:
        """One stream: scores, verdicts, actions, and where it stands with each rule."""
        return self._overseer.story(stream_id, minutes)

    async def pause(
        self, stream_id: StreamId, body: PauseRequest, request: Request
    ) -> PauseView:
        """What is decided of the stream meanwhile is marked as a dry run."""
        request.scope[DETAIL] = {"minutes": body.minutes, "reason": body.reason}
        return await self._overseer.pause(stream_id, body, _caller(request).name)

    async def resume(self, stream_id: StreamId) -> None:
        """Automation goes on."""
        await self._overseer.resume(stream_id)

    async def thumbnail(
        self, stream_id: StreamId, body: LookRequest, request: Request
    ) -> Response:
        """A glimpse of the next picture; who looked, and why, is noted before."""
        detail = {"reason": body.reason}
        await self._deeds.note(
            deed_by(_caller(request), "stream.look", stream_id, detail)
        )
        image = await self._overseer.glimpse(stream_id)
        return Response(image, media_type="image/png")

    async def actions(
        self, limit: Annotated[int, Query(ge=1, le=1000)] = 200
    ) -> ActionsView:
        """The actions of late, with how far each got."""
        return ActionsView(actions=list(self._overseer.actions(limit)))

    async def review(
        self, action_id: str, body: OutcomeRequest, request: Request
    ) -> ActionView:
        """A reviewer's word on an action; it becomes a label."""
        request.scope[DETAIL] = {"outcome": body.outcome}
        outcome = Outcome(body.outcome)
        return await self._overseer.review(action_id, outcome, _caller(request).name)

    async def audit(self) -> AuditView:
        """Who did what of late."""
        return AuditView(entries=[_entry_view(e) for e in self._deeds.recent()])


def _caller(request: Request) -> Caller:
    found = request.scope[CALLER]
    assert isinstance(found, Caller)
    return found


def _entry_view(entry: Entry) -> AuditEntryView:
    deed = entry.deed
    return AuditEntryView(
        seq=entry.seq,
        at=entry.at,
        actor=deed.actor,
        role=deed.role,
        act=deed.act,
        about=deed.about,
        detail=dict(deed.detail),
        hash=entry.hash,
    )
