"""The seam to the rest of the sidecar: what a publisher promises."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from sidecar.domain import Action, ModelRef, PolicyRef, Scores, Stream, Verdict
from sidecar.publish.message import StatusName


@dataclass(frozen=True, slots=True)
class PublisherHealth:
    """What readiness and the operator's page show.

    Attributes:
        connected: The broker said yes and the connection stands.
        undelivered: Actions that the broker has not acknowledged.
        awaiting: Actions delivered, but not yet said to be enforced.
        oldest_s: Age of the oldest undelivered action, seconds.
        full: The outbox takes no more.
        storage_error: What the disk said last, if it fails, or that it hangs.
        refused: Kinds of messages (or `subscribe`) that the broker refuses at present.
        last_error: The newest trouble with the broker, without credentials.
    """

    connected: bool
    undelivered: int = 0
    awaiting: int = 0
    oldest_s: float = 0.0
    full: bool = False
    storage_error: str | None = None
    refused: tuple[str, ...] = ()
    last_error: str | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """Reasons not to be ready, as words; empty when all is well."""
        found = {
            "broker_unavailable": not self.connected,
            "outbox_full": self.full,
            "outbox_failing": self.storage_error is not None,
            "broker_refuses": bool(self.refused),
        }
        return tuple(word for word, holds in found.items() if holds)


class Publisher(Protocol):
    """Takes what was decided, and gets it to the platform."""

    async def open(self) -> None:
        """Gets everything ready that needs no broker. Raises ConfigError."""
        ...

    async def run(self) -> None:
        """Connects and delivers until drained."""
        ...

    async def publish_action(self, action: Action, stream: Stream) -> str:
        """The action's id, once it is safe. Raises PublishError, OutboxFull."""
        ...

    def set_verdict(
        self,
        stream: Stream,
        verdict: Verdict | None,
        *,
        policy: PolicyRef | None = None,
        model: ModelRef | None = None,
        models: tuple[ModelRef, ...] = (),
    ) -> None:
        """The stream's present verdict; None when the stream has ended."""
        ...

    def publish_scores(self, scores: Scores) -> None:
        """Telemetry, if wanted; may be lost, and is then counted."""
        ...

    def set_status(self, state: StatusName, reasons: Iterable[str] = ()) -> None:
        """What the sidecar is up to, and why, in words such as `outbox_full`."""
        ...

    async def drain(self, deadline_s: float) -> int:
        """Delivers what is due, says `offline` and ends `run`; how many are left."""
        ...

    def health(self) -> PublisherHealth:
        """How it is doing."""
        ...
