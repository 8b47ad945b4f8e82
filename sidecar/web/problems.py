"""Errors as RFC 9457 problem documents, with a code a program can tell apart."""

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sidecar.errors import AuditFailed, PublishError, SidecarError

_Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

_MAX_FAULTS: Final = 20
_MAX_KEY_CHARS: Final = 60


class FieldFault(BaseModel):
    """One part of a request that was not accepted."""

    field: str = Field(description="Path of the key, `body.whep.url`.")
    problem: str = Field(description="What would be accepted. Never the value.")


class ProblemView(BaseModel):
    """The body of every error, `application/problem+json`."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    faults: list[FieldFault] = Field(default_factory=list)


class ControlError(SidecarError):
    """A request that cannot be served; `status` and `code` go into the answer."""

    status = HTTPStatus.BAD_REQUEST
    code = "bad_request"


class UnknownStream(ControlError):
    """There is no stream of this id."""

    status = HTTPStatus.NOT_FOUND
    code = "unknown_stream"


class UnknownAction(ControlError):
    """There is no action of this id, or not any more."""

    status = HTTPStatus.NOT_FOUND
    code = "unknown_action"


class StreamConflict(ControlError):
    """The stream belongs to the configuration or to a publisher, not to the API."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class ThumbnailsOff(ControlError):
    """The configuration does not allow to see anything of a picture."""

    status = HTTPStatus.FORBIDDEN
    code = "thumbnails_off"


class NoPicture(ControlError):
    """No picture came in time."""

    status = HTTPStatus.CONFLICT
    code = "no_picture"


class TokenNeeded(ControlError):
    """Only somebody with a token may do this, on loopback too."""

    status = HTTPStatus.FORBIDDEN
    code = "token_needed"


class PolicyConflict(ControlError):
    """Policies cannot be changed here and now; the detail says why."""

    status = HTTPStatus.CONFLICT
    code = "policy_conflict"


class OtherVersion(ControlError):
    """Somebody else changed the policies meanwhile; the detail says who and what."""

    status = HTTPStatus.PRECONDITION_FAILED
    code = "other_version"


class NotConfirmed(ControlError):
    """What was confirmed is not what would change."""

    status = HTTPStatus.CONFLICT
    code = "not_confirmed"


class MatchMissing(ControlError):
    """Which version is to be changed?"""

    status = HTTPStatus.PRECONDITION_REQUIRED
    code = "if_match_missing"


class NothingToReverse(ControlError):
    """No takedown or interrupt of this stream is known."""

    status = HTTPStatus.CONFLICT
    code = "nothing_to_reverse"


class RequestRefused(ControlError):
    """Well-formed, but not allowed here: a host, a missing secret file, no policy."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "refused"


class TooManyStreams(ControlError):
    """The limit of streams is reached."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "too_many_streams"


class ProblemResponse(Response):
    """A problem document; ASCII only, so that no foreign text can break it."""

    media_type = "application/problem+json"

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        faults: Sequence[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        view = ProblemView(
            title=HTTPStatus(status).phrase,
            status=status,
            code=code,
            detail=detail,
            faults=[],
        ).model_dump()
        view["faults"] = [{"field": f.field, "problem": f.problem} for f in faults]
        super().__init__(json.dumps(view), status, dict(headers or {}))


async def _on_control_error(_request: Request, exc: Exception) -> Response:
    status = exc.status if isinstance(exc, ControlError) else HTTPStatus.BAD_REQUEST
    code = exc.code if isinstance(exc, ControlError) else "bad_request"
    return ProblemResponse(status, code, str(exc))


async def _on_publish_error(_request: Request, exc: Exception) -> Response:
    return ProblemResponse(
        HTTPStatus.SERVICE_UNAVAILABLE, "not_published", str(exc), headers=_RETRY
    )


async def _on_audit_failed(_request: Request, exc: Exception) -> Response:
    return ProblemResponse(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "audit_failing",
        f"nothing was done, for it could not be noted: {exc}",
        headers=_RETRY,
    )


async def _on_http_error(_request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    headers = exc.headers if isinstance(exc, HTTPException) else None
    phrase = HTTPStatus(status).phrase
    return ProblemResponse(
        status, phrase.lower().replace(" ", "_"), phrase, headers=headers
    )


async def _on_invalid(_request: Request, exc: Exception) -> Response:
    errors = exc.errors() if isinstance(exc, RequestValidationError) else []
    faults = [_field_fault(error) for error in errors[:_MAX_FAULTS]]
    return ProblemResponse(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "invalid_request",
        f"{len(errors)} faults in the request; see `faults`",
        faults,
    )


def _field_fault(error: Mapping[str, Any]) -> FieldFault:
    """Names the key and what is accepted; the value may be a secret, so not that."""
    path = ".".join(_shown(str(part)) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return FieldFault(field=path, problem="unknown key; remove it")
    if error["type"] == "json_invalid":
        return FieldFault(field=path, problem="not valid JSON from this offset on")
    message = str(error["msg"]).removeprefix("Value error, ")
    return FieldFault(field=path, problem=message)


def _shown(key: str) -> str:
    plain = key.encode("ascii", "backslashreplace").decode("ascii")
    return plain if len(plain) <= _MAX_KEY_CHARS else plain[:_MAX_KEY_CHARS] + "..."


_RETRY: Final = {"Retry-After": "5"}

# Coroutines: Starlette would run plain functions in a thread each.
HANDLERS: Final[dict[int | type[Exception], _Handler]] = {
    ControlError: _on_control_error,
    PublishError: _on_publish_error,
    AuditFailed: _on_audit_failed,
    HTTPException: _on_http_error,
    RequestValidationError: _on_invalid,
}
"""What `FastAPI(exception_handlers=…)` takes."""
