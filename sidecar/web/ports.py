"""What the control API needs from the rest of the sidecar."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from sidecar.web.schemas import OutboxView, PolicyView, StreamRequest, StreamView


class PutOutcome(StrEnum):
    """What a PUT did."""

    CREATED = "created"
    UPDATED = "updated"


class Control(Protocol):
    """The composition root's side of the control API; all errors are ControlError."""

    def list_streams(self) -> Sequence[StreamView]:
        """All streams, in any order."""
        ...

    def get(self, stream_id: str) -> StreamView:
        """One stream. Raises UnknownStream."""
        ...

    async def put(self, stream_id: str, request: StreamRequest) -> PutOutcome:
        """Starts or changes a stream. It need not be live when this returns.

        Raises:
            StreamConflict: The id belongs to the configuration or a WHIP publisher.
            RequestRefused: A file, secret or host is not allowed or not there.
            TooManyStreams: No more can be watched.
        """
        ...

    async def delete(self, stream_id: str) -> None:
        """Stops a stream. Raises UnknownStream, StreamConflict."""
        ...

    async def report(self, stream_id: str) -> None:
        """Bursts a stream. Raises UnknownStream."""
        ...

    async def reverse(self, stream_id: str) -> str:
        """Writes a `reverse_takedown` to the outbox; gives its id.

        Raises:
            UnknownStream: Nothing is known of the id. A stream that has ended after its
                takedown is still known.
            NothingToReverse: There was no takedown or interrupt.
            PublishError: The outbox cannot take it.
        """
        ...

    async def outbox(self) -> OutboxView:
        """What is not yet delivered."""
        ...

    def policies(self) -> Sequence[PolicyView]:
        """In the order in which they are tried."""
        ...
