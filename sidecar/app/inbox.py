"""What platforms and moderators say over MQTT, done."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from sidecar.app.spec import Origin
from sidecar.app.stages import StreamFactory
from sidecar.app.streams import Streams
from sidecar.config.schema import StreamConfig, WhepConfig
from sidecar.log import get_logger
from sidecar.publish.inbound import Report, Reviewed, SetStream, Told

log = get_logger(__name__)


@dataclass(slots=True)
class Inbox:
    """What comes in over MQTT, done."""

    factory: StreamFactory
    streams: Streams | None = None
    on_outcome: Callable[[Reviewed], None] | None = None

    def take(self, inbound: Told) -> None:
        """Starts or stops a stream, looks closely at one, or notes an outcome."""
        if self.streams is None:
            return
        if isinstance(inbound, Reviewed):
            if self.on_outcome is not None:
                self.on_outcome(inbound)
            return
        if isinstance(inbound, Report):
            watch = self.streams.get(inbound.stream_id)
            if watch is not None:
                watch.sampler.burst()
            return
        self._set(self.streams, inbound)

    def _set(self, streams: Streams, inbound: SetStream) -> None:
        spec = streams.spec(inbound.stream_id)
        if spec is not None and spec.origin not in {Origin.MQTT, Origin.API}:
            log.warning("set_refused", stream=inbound.stream_id, origin=spec.origin)
            return
        if inbound.url is None:
            streams.exchange(inbound.stream_id, None)
            return
        if streams.full(inbound.stream_id, self.factory.config.control.max_streams):
            log.warning("set_refused", stream=inbound.stream_id, reason="too_many")
            return
        try:
            config = _stream_of(inbound, inbound.url)
        except ValidationError as exc:
            reason = exc.errors()[0]["msg"]
            log.warning("set_refused", stream=inbound.stream_id, reason=reason)
            return
        if not streams.runs(inbound.stream_id, config):
            new = self.factory.from_config(config, Origin.MQTT)
            streams.exchange(inbound.stream_id, new)


def _stream_of(inbound: SetStream, url: str) -> StreamConfig:
    return StreamConfig(
        id=inbound.stream_id,
        whep=WhepConfig(url=url),
        publisher=inbound.publisher,
        labels=dict(inbound.labels),
    )
