"""What the live feed is made of: one row a stream, actions, and the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar import __version__
from sidecar.app.house import House
from sidecar.app.story import action_view
from sidecar.app.streams import Streams
from sidecar.clock import Clock
from sidecar.oversight.timelines import top_of
from sidecar.pipeline import Watch
from sidecar.publish.mqtt import MqttPublisher
from sidecar.web.health import Health
from sidecar.web.table import Row


@dataclass(frozen=True, slots=True)
class LiveRows:
    """A `LiveSource` over the running sidecar.

    Attributes:
        names: Site and sidecar, and whether thumbnails are allowed.
    """

    streams: Streams
    house: House
    publisher: MqttPublisher
    health: Health
    clock: Clock
    names: Mapping[str, str | bool]

    def rows(self) -> Mapping[str, Row]:
        """All streams."""
        offset = self._offset()
        return {watch.stream.id: self._row(watch, offset) for watch in self.streams}

    def spark(self, stream_id: str) -> Sequence[float]:
        """One stream's last scores."""
        known = self.house.timelines.get(stream_id)
        return [] if known is None else [round(score, 3) for _, score in known.spark]

    def actions(self, after: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
        """The version of the actions, and those that changed after `after`."""
        feed, offset = self.house.feed, self._offset()
        if feed.version == after:
            return feed.version, []
        changed = feed.since(after)
        return feed.version, [
            action_view(item, offset).model_dump(mode="json") for item in changed
        ]

    def head(self) -> Mapping[str, Any]:
        """What is said of the whole."""
        outbox = self.publisher.health()
        return {
            **self.names,
            "version": __version__,
            "now": round(self.clock.wall().timestamp(), 3),
            "faults": [
                {"component": f.component, "reason": f.reason, "detail": f.detail}
                for f in self.health.faults
            ],
            "broker": outbox.connected,
            "undelivered": outbox.undelivered,
            "awaiting": outbox.awaiting,
            "policies": self._policies(),
            "shadow": self.house.shadow_head(),
        }

    def _policies(self) -> str:
        """Changes whenever the policies in force do."""
        hashes = (policy.hash[-8:] for policy in self.streams.policies.policies)
        return "-".join(hashes)

    def _row(self, watch: Watch, offset: float) -> Row:
        stream, verdict = watch.stream, watch.verdict
        scores = watch.scores
        category, score = (None, None) if scores is None else top_of(scores)
        pause = self.house.pause_of(stream.id)
        seen = verdict.seen_at
        return Row(
            lasting={
                "kind": stream.source.value,
                "labels": dict(stream.labels),
                "publisher": stream.publisher,
            },
            news={
                "state": watch.status.state.value,
                "message": watch.status.message,
                "verdict": verdict.state.value,
                "reason": verdict.reason,
                "categories": list(verdict.categories),
                "since": round(verdict.since + offset, 1),
                "seen": None if seen is None else round(seen + offset, 2),
                "policy": watch.policy.name,
                "top": category,
                "score": None if score is None else round(score, 3),
                "interval": round(watch.sampler.interval_s, 2),
                "cut": watch.cut,
                "paused": None if pause is None else pause.until,
                "shadow": self.house.shadow_count(stream.id),
            },
        )

    def _offset(self) -> float:
        """Unix seconds less monotonic ones."""
        return self.clock.wall().timestamp() - self.clock.monotonic()
