"""The routes under `/api`: streams, verdicts, reports, reversals, outbox, policies."""

from collections import Counter
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response

from sidecar.domain import STREAM_ID_PATTERN
from sidecar.web.ports import Control, PutOutcome
from sidecar.web.problems import ProblemView
from sidecar.web.schemas import (
    ActionAccepted,
    OutboxView,
    PoliciesView,
    StreamRequest,
    StreamsView,
    StreamVerdictView,
    StreamView,
    VerdictsView,
)

StreamId = Annotated[
    str, Path(pattern=f"^{STREAM_ID_PATTERN}$", description="The stream's id.")
]

_MEANING: Final = {
    400: "The body could not be read.",
    401: "No token, or a wrong one.",
    403: "An observer's token, a foreign Host or Origin, or not from the page.",
    404: "There is no such stream.",
    408: "The request took too long.",
    409: "The stream belongs to the configuration or a publisher; nothing to reverse.",
    413: "The body is too large.",
    412: "Somebody else was quicker; look again at what is in force.",
    422: "The id or the body is not acceptable; `faults` says where.",
    428: "If-Match is missing: which version is to be changed?",
    429: "Too often; wait.",
    503: "Too many streams, or the outbox cannot take the action.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` for these statuses, and those any request may meet."""
    return {
        status: {
            "description": _MEANING[status],
            "content": {
                "application/problem+json": {
                    "schema": {"$ref": f"#/components/schemas/{ProblemView.__name__}"}
                }
            },
        }
        for status in sorted({401, 403, 408, 413, *statuses})
    }


class StreamRoutes:
    """Routes that hand on to `control` and shape its answers."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def router(self) -> APIRouter:
        """All of them, under `/api`."""
        router = APIRouter(prefix="/api")
        add = router.add_api_route
        one = "/streams/{stream_id}"
        add("/streams", self.streams, methods=["GET"], responses=problems())
        add(one, self.stream, methods=["GET"], responses=problems(404, 422))
        add(
            one,
            self.put,
            methods=["PUT"],
            responses={
                201: {"description": "Created.", "model": StreamView},
                **problems(400, 404, 409, 422, 503),
            },
        )
        add(
            one,
            self.delete,
            methods=["DELETE"],
            status_code=204,
            responses=problems(404, 409, 422),
        )
        add(
            f"{one}/verdict",
            self.verdict,
            methods=["GET"],
            responses=problems(404, 422),
        )
        add("/verdicts", self.verdicts, methods=["GET"], responses=problems())
        add(
            f"{one}/report",
            self.report,
            methods=["POST"],
            status_code=202,
            responses=problems(404, 422),
        )
        add(
            f"{one}/reverse",
            self.reverse,
            methods=["POST"],
            status_code=202,
            responses=problems(404, 409, 422, 503),
        )
        add("/outbox", self.outbox, methods=["GET"], responses=problems())
        add("/policies", self.policies, methods=["GET"], responses=problems())
        return router

    async def streams(self) -> StreamsView:
        """All streams as they stand."""
        return StreamsView(streams=list(self._control.list_streams()))

    async def stream(self, stream_id: StreamId) -> StreamView:
        """One stream as it stands."""
        return self._control.get(stream_id)

    async def put(
        self, stream_id: StreamId, request: StreamRequest, response: Response
    ) -> StreamView:
        """Starts to watch a stream, or changes how; the same request again is fine."""
        outcome = await self._control.put(stream_id, request)
        if outcome is PutOutcome.CREATED:
            response.status_code = 201
            response.headers["Location"] = f"/api/streams/{stream_id}"
        return self._control.get(stream_id)

    async def delete(self, stream_id: StreamId) -> None:
        """Stops to watch a stream and empties its retained verdict."""
        await self._control.delete(stream_id)

    async def verdict(self, stream_id: StreamId) -> StreamVerdictView:
        """The present verdict of one stream."""
        return _verdict_of(self._control.get(stream_id))

    async def verdicts(self) -> VerdictsView:
        """The present verdicts of all streams."""
        found = [_verdict_of(view) for view in self._control.list_streams()]
        counts = Counter[str](one.verdict.state for one in found)
        return VerdictsView(counts=dict(counts), verdicts=found)

    async def report(self, stream_id: StreamId) -> Response:
        """Somebody reported the stream: it is looked at closely for a while."""
        await self._control.report(stream_id)
        return Response(status_code=202)

    async def reverse(self, stream_id: StreamId) -> ActionAccepted:
        """A person cleared the case: publishes `reverse_takedown`."""
        return ActionAccepted(id=await self._control.reverse(stream_id))

    async def outbox(self) -> OutboxView:
        """What is decided and not yet delivered."""
        return await self._control.outbox()

    async def policies(self) -> PoliciesView:
        """The policies in force, in the order in which they are tried."""
        return PoliciesView(policies=list(self._control.policies()))


def _verdict_of(view: StreamView) -> StreamVerdictView:
    return StreamVerdictView(id=view.id, policy=view.policy, verdict=view.verdict)
