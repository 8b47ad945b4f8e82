"""Who is told how far each action got."""

from typing import Protocol

from sidecar.domain import Action, Delivery, Stream


class Progress(Protocol):
    """Told on the event loop; must not block. `now` is monotonic seconds."""

    def stored(
        self, action_id: str, action: Action, stream: Stream, now: float
    ) -> None:
        """It is on disk, under this id."""
        ...

    def moved(self, action_id: str, delivery: Delivery, now: float) -> None:
        """It got this far; may be an earlier process's, or told twice."""
        ...


class NoProgress:
    """Nobody wants to know."""

    def stored(
        self, action_id: str, action: Action, stream: Stream, now: float
    ) -> None:
        """Nothing."""

    def moved(self, action_id: str, delivery: Delivery, now: float) -> None:
        """Nothing."""
