"""The control API as one FastAPI application: streams, verdicts, health, metrics."""

from typing import Final

from fastapi import APIRouter, FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.middleware import Middleware

from sidecar import __version__
from sidecar.stats import Stats
from sidecar.web.auth import Access, Guard
from sidecar.web.deeds import Deeds, NoDeeds, Witness
from sidecar.web.health import Health
from sidecar.web.limits import RequestLimits
from sidecar.web.login_routes import LoginRoutes
from sidecar.web.look_routes import LIVE_PATH
from sidecar.web.metrics import ProbeRoutes
from sidecar.web.page_routes import PageRoutes
from sidecar.web.ports import Control
from sidecar.web.problems import HANDLERS, ProblemView
from sidecar.web.stream_routes import StreamRoutes

_DESCRIPTION: Final = (
    "Which streams are watched, what is known of them, and how the sidecar is. Errors "
    "are `application/problem+json` with a stable `code`."
)


def control_app(
    control: Control,
    health: Health,
    stats: Stats,
    access: Access,
    deeds: Deeds | None = None,
    *more: APIRouter,
) -> FastAPI:
    """The application.

    Args:
        control: The streams, the outbox and the policies.
        health: What `/livez` and `/readyz` answer from.
        stats: What `/metrics` renders.
        access: Whose token is demanded on everything but the open paths; nobody's only
            on loopback (`require_token_beyond_loopback`).
        deeds: The audit log; None keeps none.
        more: Further routes.
    """
    deeds = deeds or NoDeeds()
    app = _App(
        title="Livestream moderation sidecar",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # both pages load scripts from a CDN
        redoc_url=None,
        exception_handlers=HANDLERS,
        middleware=[
            Middleware(Guard, access=access, stats=stats),
            Middleware(Witness, deeds=deeds),
            Middleware(RequestLimits, stats=stats, endless=frozenset({LIVE_PATH})),
        ],
        redirect_slashes=False,
    )
    bearer = Security(HTTPBearer(auto_error=False, description="If one is configured."))
    app.include_router(StreamRoutes(control).router(), dependencies=[bearer])
    app.include_router(LoginRoutes(access, deeds).router())
    app.include_router(PageRoutes().router())
    for router in more:
        app.include_router(router, dependencies=[bearer])
    app.include_router(ProbeRoutes(health, stats).router())
    return app


class _App(FastAPI):
    """FastAPI, with the problem document among OpenAPI's schemas."""

    def openapi(self) -> dict[str, object]:
        """The document, made once."""
        if not self.openapi_schema:
            schema = super().openapi()
            known = schema.setdefault("components", {}).setdefault("schemas", {})
            problem = ProblemView.model_json_schema(
                ref_template="#/components/schemas/{model}"
            )
            known.update(problem.pop("$defs", {}))
            known[ProblemView.__name__] = problem
            known.pop("HTTPValidationError", None)
            known.pop("ValidationError", None)
        found: dict[str, object] = self.openapi_schema or {}
        return found
