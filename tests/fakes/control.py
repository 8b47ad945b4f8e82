"""A small honest `Control`: a dictionary of streams, one the configuration's."""

from collections.abc import Sequence

from sidecar.errors import OutboxFull
from sidecar.web.ports import PutOutcome
from sidecar.web.problems import (
    NothingToReverse,
    RequestRefused,
    StreamConflict,
    TooManyStreams,
    UnknownStream,
)
from sidecar.web.schemas import (
    OutboxView,
    PendingView,
    PolicyView,
    RuleView,
    SourceView,
    StreamRequest,
    StreamView,
    VerdictView,
)

CONFIGURED = "studio-7"
WHOLE = "full"
LIMIT = 50


def stream_view(stream_id: str, request: StreamRequest | None = None) -> StreamView:
    """A stream that is being connected to; as in production, UNKNOWN at first."""
    verdict = VerdictView.model_validate(
        {
            "state": "unknown",
            "reason": "starting",
            "categories": [],
            "since": "2026-01-01T00:00:00Z",
            "age_s": 1.0,
            "seen_age_s": None,
        }
    )
    return StreamView(
        id=stream_id,
        source=SourceView(kind="whep", location=_location(request)),
        origin="config" if request is None else "api",
        publisher=request.publisher if request else None,
        labels=dict(request.labels) if request else {},
        state="connecting",
        state_age_s=1.0,
        verdict=verdict,
        policy="default",
    )


def _location(request: StreamRequest | None) -> str:
    if request is None or request.whep is None:
        return "https://media.example/studio-7/whep"
    return request.whep.url


class FakeControl:
    """Keeps what is put, refuses what the composition root would refuse."""

    def __init__(self) -> None:
        self.streams = {CONFIGURED: stream_view(CONFIGURED)}
        self.reported: list[str] = []
        self.taken_down = {CONFIGURED}
        self.outbox_full = False

    def list_streams(self) -> Sequence[StreamView]:
        """All, in order of their coming."""
        return list(self.streams.values())

    def get(self, stream_id: str) -> StreamView:
        """One."""
        try:
            return self.streams[stream_id]
        except KeyError:
            raise UnknownStream(f"no stream {stream_id}") from None

    async def put(self, stream_id: str, request: StreamRequest) -> PutOutcome:
        """Adds or replaces, unless the configuration owns it or the limit is met."""
        known = stream_id in self.streams
        self._own(stream_id)
        if request.whep and request.whep.token_file == "missing":  # noqa: S105
            raise RequestRefused("there is no secret file of this name")
        if not known and len(self.streams) >= LIMIT:
            raise TooManyStreams(f"{LIMIT} streams are the limit")
        self.streams[stream_id] = stream_view(stream_id, request)
        return PutOutcome.UPDATED if known else PutOutcome.CREATED

    async def delete(self, stream_id: str) -> None:
        """Removes."""
        self.get(stream_id)
        self._own(stream_id)
        del self.streams[stream_id]

    async def report(self, stream_id: str) -> None:
        """Notes it."""
        self.get(stream_id)
        self.reported.append(stream_id)

    async def reverse(self, stream_id: str) -> str:
        """Works for the configured stream only, once."""
        self.get(stream_id)
        if self.outbox_full:
            raise OutboxFull("the outbox holds 100000 actions, its limit")
        if stream_id not in self.taken_down:
            raise NothingToReverse(f"nothing was taken down of {stream_id}")
        self.taken_down.remove(stream_id)
        return "0198c1f2-0000-7000-8000-000000000000"

    async def outbox(self) -> OutboxView:
        """One that waits."""
        pending = PendingView(id="x", action="takedown", stream=CONFIGURED, age_s=2.0)
        return OutboxView(connected=False, depth=1, oldest_age_s=2.0, pending=[pending])

    def policies(self) -> Sequence[PolicyView]:
        """One with one rule."""
        rule = RuleView(name="explicit", action="takedown", enter=0.85)
        return [
            PolicyView(
                name="default", hash="sha256:0", dry_run=False, ids=["*"], rules=[rule]
            )
        ]

    def _own(self, stream_id: str) -> None:
        if stream_id == CONFIGURED:
            raise StreamConflict(f"{stream_id} is the configuration's; edit the file")
