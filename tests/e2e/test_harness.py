"""The end-to-end harness itself, without the sidecar."""

import pytest

from tests.e2e.conftest import Site

pytestmark = pytest.mark.e2e


def test_session_survives_broker_crash(site: Site) -> None:
    """What is said after SIGKILL and restart is heard, by the session kept on disk."""
    site.collector.publish("moderation/v1/e2e/acks/1", b"first")
    site.collector.wait(lambda m: m.payload == b"first", 45, "first")
    site.broker.kill()
    site.broker.restart()
    site.collector.publish("moderation/v1/e2e/acks/1", b"second")
    site.collector.wait(lambda m: m.payload == b"second", 45, "second")


def test_collector_names_faults(site: Site) -> None:
    """A message that breaks its schema, or is on no topic of ours, is a fault."""
    topic = "moderation/v1/e2e/sidecars/x/status"
    site.collector.publish(topic, b'{"schema": "moderation.status/1"}')
    site.collector.publish("moderation/v1/e2e/what", b"{}")
    site.collector.wait(lambda m: m.topic.endswith("what"), 45, "the second")
    faults = "\n".join(site.collector.faults)
    site.collector.faults.clear()
    assert "'state' is a required property" in faults
    assert "not a topic of the contract" in faults
