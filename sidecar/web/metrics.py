"""`/metrics`, for Prometheus; `/livez` and `/readyz`, for whoever restarts us."""

from dataclasses import asdict
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from sidecar.stats import Stats
from sidecar.web.auth import AUTHORIZED
from sidecar.web.health import Fault, Health
from sidecar.web.schemas import AliveView, EngineView, FaultView, ReadyView
from sidecar.web.stream_routes import problems

_EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"

_Responses = dict[int | str, dict[str, Any]]
_NOT_READY: Final[_Responses] = {503: {"description": "Not.", "model": ReadyView}}
_NOT_ALIVE: Final[_Responses] = {503: {"description": "Not.", "model": AliveView}}


class ProbeRoutes:
    """Routes that machines ask often; none of them waits for anything."""

    def __init__(self, health: Health, stats: Stats) -> None:
        self._health = health
        self._stats = stats

    def router(self) -> APIRouter:
        """All of them, at the root."""
        router = APIRouter()
        add = router.add_api_route
        add("/livez", self.livez, methods=["GET"], responses=_NOT_ALIVE)
        add("/readyz", self.readyz, methods=["GET"], responses=_NOT_READY)
        add(
            "/metrics",
            self.metrics,
            methods=["GET"],
            response_class=Response,
            responses={
                200: {"description": "Prometheus text.", "content": {"text/plain": {}}},
                **problems(),
            },
        )
        return router

    async def livez(self, response: Response) -> AliveView:
        """503 once a watched thread has died; that the loop answers is the rest."""
        dead = self._health.dead
        response.status_code = 503 if dead else 200
        return AliveView(alive=not dead, dead=list(dead))

    async def readyz(self, request: Request, response: Response) -> ReadyView:
        """503 with the reasons' codes; details and engines for authorised callers."""
        faults = self._health.faults
        response.status_code = 503 if faults else 200
        detailed = bool(request.scope.get(AUTHORIZED, False))
        engines = [EngineView(**asdict(one)) for one in self._health.engines]
        return ReadyView(
            ready=not faults,
            reasons=[_view(fault, detailed) for fault in faults],
            engines=engines if detailed else [],
        )

    async def metrics(self) -> Response:
        """Every counter, gauge and histogram; see docs/operating.md."""
        return Response(self._stats.render(), media_type=_EXPOSITION)


def _view(fault: Fault, detailed: bool) -> FaultView:  # noqa: FBT001 private, one place
    detail = fault.detail if detailed and fault.detail else None
    return FaultView(component=fault.component, reason=fault.reason, detail=detail)
