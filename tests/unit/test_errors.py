"""What must hold of the errors: who has to act, and whether trying again helps."""

import inspect

import pytest

from sidecar import errors
from sidecar.domain import UnknownReason
from sidecar.errors import (
    BrokerUnavailable,
    ConfigError,
    EngineDead,
    EngineError,
    GivenWayReason,
    ManifestError,
    OutboxFull,
    PublishError,
    PublishRefused,
    SampleGivenWay,
    SidecarError,
    StreamError,
    StreamUnavailable,
    StreamUnsupported,
    UnsupportedReason,
)


def test_every_error_is_a_sidecar_error() -> None:
    """`except SidecarError` is all that is raised on purpose, and nothing else."""
    found = [
        member
        for _, member in inspect.getmembers(errors, inspect.isclass)
        if issubclass(member, Exception)
    ]
    assert all(issubclass(member, SidecarError) for member in found)
    assert issubclass(ManifestError, ConfigError)
    assert issubclass(EngineDead, EngineError)
    assert issubclass(BrokerUnavailable, PublishError)
    assert issubclass(OutboxFull, PublishError)


def test_a_config_error_keeps_each_fault() -> None:
    """Several faults are told at once, a line each."""
    error = ConfigError("a.yaml:1: x", "a.yaml:2: y")
    assert error.faults == ("a.yaml:1: x", "a.yaml:2: y")
    assert str(error).splitlines() == ["a.yaml:1: x", "a.yaml:2: y"]


def test_unavailable_is_tried_again_when_the_server_says() -> None:
    """A lost stream is retried, no sooner than the server wishes."""
    error = StreamUnavailable("a", "503", retry_after_s=7.0)
    assert isinstance(error, StreamError)
    assert (error.retry, error.retry_after_s) == (True, 7.0)
    assert (error.stream_id, error.message, str(error)) == ("a", "503", "a: 503")
    assert StreamUnavailable("a", "gone").retry_after_s is None


@pytest.mark.parametrize("reason", UnsupportedReason)
def test_unsupported_is_given_up_with_its_reason(reason: UnsupportedReason) -> None:
    """What can never be seen is not tried again, and shown as what it is."""
    error = StreamUnsupported("a", "VP9 only", reason=reason)
    assert (error.retry, error.reason, error.retry_after_s) == (False, reason, None)
    assert StreamUnsupported("a", "no").reason is UnsupportedReason.REFUSED


def test_a_refused_publish_names_topic_and_reason() -> None:
    """The operator sees which ACL to mend."""
    error = PublishRefused("moderation/v1/x", "not authorised")
    assert (error.topic, error.reason) == ("moderation/v1/x", "not authorised")
    assert "'moderation/v1/x'" in str(error)
    assert "not authorised" in str(error)


@pytest.mark.parametrize("reason", GivenWayReason)
def test_a_sample_that_gave_way_says_why(reason: GivenWayReason) -> None:
    """Its reason is a word that the verdict UNKNOWN knows."""
    error = SampleGivenWay("a", reason)
    assert isinstance(error, EngineError)
    assert UnknownReason(error.reason.value)
    assert "a" in str(error)
