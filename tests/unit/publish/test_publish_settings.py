"""Settings, signatures, trust and the small pure parts of publishing."""

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ConfigError
from sidecar.publish.legs import Legs
from sidecar.publish.message import Kind, Message, Properties
from sidecar.publish.properties import for_publish
from sidecar.publish.publisher import PublisherHealth
from sidecar.publish.settings import MqttProtocol, MqttSettings, TlsSettings
from sidecar.publish.signing import Ed25519Signer
from sidecar.publish.throttle import Throttle
from sidecar.publish.tls import tls_context
from sidecar.stats import Stats


def test_tls_follows_the_port_unless_said() -> None:
    """8883 means TLS; both ways can be forced."""
    assert MqttSettings("h", 8883).uses_tls
    assert not MqttSettings("h", 1883).uses_tls
    assert MqttSettings("h", 1883, tls=TlsSettings(enabled=True)).uses_tls
    assert not MqttSettings("h", 8883, tls=TlsSettings(enabled=False)).uses_tls


def test_a_password_is_not_shown() -> None:
    """The settings' own text, as in a traceback, has no secret."""
    assert "hunter2" not in repr(MqttSettings("h", password="hunter2"))  # noqa: S106


def test_a_signature_needs_mqtt_5() -> None:
    """It travels in user properties, which 3.1.1 does not have."""
    signer = Ed25519Signer(Ed25519PrivateKey.generate(), "k")
    with pytest.raises(ConfigError, match="MQTT 5"):
        MqttSettings("h", protocol=MqttProtocol.V311, signer=signer)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_jittered_and_capped(attempt: int, uniform: float) -> None:
    """Between 0 and the doubled ceiling, never above the cap."""
    delay = MqttSettings("h").backoff(attempt, uniform)
    assert 0 <= delay <= min(15.0, 0.5 * 2.0 ** min(attempt, 100))


def test_a_signature_verifies(tmp_path: Path) -> None:
    """What `sig` says verifies under the public key over the payload's bytes."""
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(_pem(key))
    (sig, value), kid = Ed25519Signer.load(path, "k1").sign(b"payload")
    assert sig == "sig"
    assert kid == ("kid", "k1")
    key.public_key().verify(base64.b64decode(value), b"payload")


def test_a_wrong_key_file_is_named(tmp_path: Path) -> None:
    """Missing, garbled, or of another kind: the file and the mend."""
    garbled = tmp_path / "garbled.pem"
    garbled.write_text("nonsense")
    other = tmp_path / "other.pem"
    other.write_bytes(_pem(ec.generate_private_key(ec.SECP256R1())))
    for path in (tmp_path / "none.pem", garbled, other):
        with pytest.raises(ConfigError, match=path.name):
            Ed25519Signer.load(path, "k")


def test_wrong_tls_files_are_named(tmp_path: Path) -> None:
    """A CA or client certificate that cannot be read stops the start, by name."""
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nonsense")
    with pytest.raises(ConfigError, match=r"CA file .*wrong.pem"):
        tls_context(TlsSettings(ca_file=wrong))
    with pytest.raises(ConfigError, match=r"client certificate .*wrong.pem"):
        tls_context(TlsSettings(cert_file=wrong))


def test_throttle_says_the_first_and_then_counts() -> None:
    """Once an interval and key, with how many there were."""
    throttle = Throttle(30.0)
    assert throttle.count("a", 0.0) == 1
    assert throttle.count("a", 1.0) is None
    assert throttle.count("b", 1.0) == 1
    assert throttle.count("a", 29.9) is None
    assert throttle.count("a", 30.0) == 3


def test_legs_are_timed_once() -> None:
    """Repeats and foreign actions (of an earlier process) are not timed."""
    stats = Stats()
    legs = Legs(stats)
    legs.stored("a", captured_at=1.0, took_s=0.01, at=2.0)
    for at in (3.0, 9.0):
        legs.delivered("a", at)
    legs.delivered("foreign", 3.0)
    legs.enforced("a", 5.0)
    legs.enforced("foreign", 5.0)

    def total(leg: str) -> float | None:
        return stats.registry.get_sample_value("sidecar_leg_seconds_sum", {"leg": leg})

    assert total("outbox") == 0.01
    assert total("publish") == 1.0
    assert total("packet_to_broker") == 2.0
    assert total("enforce") == 2.0


def test_legs_remember_no_more_than_they_should() -> None:
    """Ten thousand actions, then the oldest is no longer timed."""
    stats = Stats()
    legs = Legs(stats)
    for number in range(10_001):
        legs.stored(str(number), 0.0, 0.0, 0.0)
    legs.delivered("0", 1.0)
    legs.delivered("10000", 1.0)
    count = stats.registry.get_sample_value(
        "sidecar_leg_seconds_count", {"leg": "publish"}
    )
    assert count == 1


def test_health_names_its_problems() -> None:
    """Readiness gets words; a healthy publisher has none."""
    assert PublisherHealth(connected=True).problems == ()
    bad = PublisherHealth(
        connected=False, full=True, storage_error="x", refused=("action",)
    )
    assert bad.problems == (
        "broker_unavailable",
        "outbox_full",
        "outbox_failing",
        "broker_refuses",
    )


def test_properties_of_an_action() -> None:
    """MQTT 5 carries content type, id, ack topic, what is left of its time."""
    given_ = Properties(correlation="id", response_topic="t", user=(("kid", "k"),))
    message = Message(Kind.ACTION, "t", b"", 1, retain=False, properties=given_)
    properties = for_publish(message, 0.0)
    assert not hasattr(properties, "MessageExpiryInterval")
    for expires_at, left in ((100.9, 90), (5.0, 1), (1e15, 0xFFFFFFFF)):
        message = Message(
            Kind.ACTION,
            "t",
            b"",
            1,
            retain=False,
            properties=given_,
            expires_at=expires_at,
        )
        assert as_json(for_publish(message, 10.0))["MessageExpiryInterval"] == left
    value = as_json(properties)
    assert value["CorrelationData"] == b"id".hex()
    assert value["ResponseTopic"] == "t"
    assert value["UserProperty"] == [("kid", "k")]


def as_json(properties: Any) -> dict[str, Any]:  # noqa: ANN401  # paho is untyped here
    """What would be sent."""
    return dict(properties.json())


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
