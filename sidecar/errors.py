"""Every error the sidecar raises on purpose, by who has to act on it."""

from enum import StrEnum


class SidecarError(Exception):
    """Base of all errors raised on purpose; anything else is a bug."""


class ConfigError(SidecarError):
    """The operator edits a file. One fault or several, each with its mend.

    Args:
        faults: Sentences, each naming file, line or key, value and the mend.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class ManifestError(ConfigError):
    """A model's manifest or file is missing, malformed or does not match its hash."""


class StreamError(SidecarError):
    """One stream cannot go on; every other stream is untouched.

    Args:
        stream_id: The stream concerned.
        message: What happened, without credentials.
        retry: Whether connecting again may help.
        retry_after_s: The server's own wish (HTTP `Retry-After`), seconds.
    """

    def __init__(
        self,
        stream_id: str,
        message: str,
        *,
        retry: bool,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{stream_id}: {message}")
        self.stream_id = stream_id
        self.message = message
        self.retry = retry
        self.retry_after_s = retry_after_s


class StreamUnavailable(StreamError):
    """Not there now, or lost: try again with back-off."""

    def __init__(
        self, stream_id: str, message: str, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(stream_id, message, retry=True, retry_after_s=retry_after_s)


class WorkerLost(StreamUnavailable):
    """The process that received the stream is gone; another one takes it over."""


class UnsupportedReason(StrEnum):
    """Why a stream can never be seen as it is."""

    CODEC = "undecodable_codec"
    REFUSED = "refused"
    INPUT = "unreadable_input"


class StreamUnsupported(StreamError):
    """Trying again will not help; shown to the operator as it is."""

    def __init__(
        self,
        stream_id: str,
        message: str,
        *,
        reason: UnsupportedReason = UnsupportedReason.REFUSED,
    ) -> None:
        super().__init__(stream_id, message, retry=False)
        self.reason = reason


class EngineError(SidecarError):
    """One batch failed; its samples become UNKNOWN."""


class EndpointError(EngineError):
    """One server of a remote engine did not do its part; another one may."""

    def __init__(self, url: str, message: str) -> None:
        super().__init__(f"{url}: {message}")
        self.url = url


class EngineDead(EngineError):
    """Too many batches failed in a row; the process ends so that it is restarted."""


class GivenWayReason(StrEnum):
    """Why a sample was not classified; the values are those of `UnknownReason`."""

    OVERLOADED = "overloaded"
    STALE = "stale"


class SampleGivenWay(EngineError):
    """A waiting sample made room for newer ones, or grew too old to be worth it."""

    def __init__(self, stream_id: str, reason: GivenWayReason) -> None:
        super().__init__(f"{stream_id}: sample gave way: {reason}")
        self.stream_id = stream_id
        self.reason = reason


class PublishError(SidecarError):
    """A message did not get through; the takedown stays in the outbox."""


class BrokerUnavailable(PublishError):
    """No connection to the broker; tried again with back-off."""


class PublishRefused(PublishError):
    """The broker answered no (MQTT 5 reason code)."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"broker refused a message on {topic!r}: {reason}")
        self.topic = topic
        self.reason = reason


class OutboxFull(PublishError):
    """The outbox has reached its limit; readiness turns red."""


class VersionConflict(SidecarError):
    """Somebody else changed the policies meanwhile; says who and what."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class AuditFailed(SidecarError):
    """The audit log cannot be written; what has to stand in it is not done."""


class RecordingError(SidecarError):
    """Replay input is broken, at a line that is named."""
