"""Every request that changes something goes to the audit log, with its outcome."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.audit.chain import Deed, Entry
from sidecar.errors import AuditFailed
from sidecar.log import get_logger
from sidecar.web.auth import CALLER, SAFE_METHODS
from sidecar.web.callers import LOCAL, Caller

log = get_logger(__name__)

DETAIL: Final = "sidecar.deed"
"""Key in the ASGI scope: what a handler adds to the entry, a mapping."""

_UNTOLD: Final = frozenset(
    {
        "/api/login",
        "/api/policies/apply",
        "/api/policies/preview",
        "/api/policies/undo",
        "/api/policies/whatif",
    }
)
_MAX_PATH: Final = 200


class Deeds(Protocol):
    """The audit log, as the web needs it."""

    async def note(self, deed: Deed) -> None:
        """Puts it on disk. Raises AuditFailed."""
        ...

    def recent(self) -> Sequence[Entry]:
        """The last entries, newest first."""
        ...


class NoDeeds:
    """Keeps nothing: for applications without an audit log."""

    async def note(self, deed: Deed) -> None:
        """Lets it go."""

    def recent(self) -> Sequence[Entry]:
        """None."""
        return ()


def deed_by(
    caller: Caller, act: str, about: str, detail: Mapping[str, Any] | None = None
) -> Deed:
    """What `caller` did."""
    role = caller.role.value if caller.proven else LOCAL.name
    return Deed(caller.name, role, act, about, dict(detail or {}))


class Witness:
    """ASGI middleware: notes each change before its answer goes out.

    An entry that the disk refuses does not take back what was done: it is logged, and
    readiness turns red by the log's own doing. Logins and changes of policies are noted
    by their handlers, which do nothing unless they can.
    """

    def __init__(self, app: ASGIApp, deeds: Deeds) -> None:
        self._app = app
        self._deeds = deeds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on, watching the answer."""
        caller = scope.get(CALLER)
        told = scope.get("method") not in SAFE_METHODS and scope["path"] not in _UNTOLD
        if not told or not isinstance(caller, Caller):
            await self._app(scope, receive, send)
            return

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._note(scope, caller, message["status"])
            await send(message)

        await self._app(scope, receive, noting_send)

    async def _note(self, scope: Scope, caller: Caller, status: int) -> None:
        detail = {"status": status, **scope.get(DETAIL, {})}
        act = f"http.{scope['method'].lower()}"
        about = scope["path"][:_MAX_PATH]
        try:
            await self._deeds.note(deed_by(caller, act, about, detail))
        except AuditFailed as exc:
            log.error("audit_failing", error=str(exc))
