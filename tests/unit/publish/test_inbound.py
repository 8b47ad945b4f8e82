"""Inbound messages: a value or a refusal, whatever the bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import Category, Outcome
from sidecar.publish.inbound import (
    LIMIT_BYTES,
    Ack,
    AckState,
    Inbound,
    InboundRefused,
    Report,
    Reviewed,
    SetStream,
    parse,
)
from sidecar.publish.topics import Topics

TOPICS = Topics("edge-3")
ID = "0198c1f2-0000-7000-8000-000000000000"
HOSTS = ("media.example", "10.0.0.1:8889", "[::1]:8889")
ACK = {"schema": "moderation.ack/1", "state": "enforced", "by": "gate-1"}
SET = {"schema": "moderation.set/1", "url": "https://media.example/whep/a"}
OUTCOME = {"schema": "moderation.outcome/1", "outcome": "clear", "by": "reviewer-12"}
REPORT = {"schema": "moderation.report/1", "kind": "viewer"}


def take(topic: str, value: dict[str, Any] | bytes) -> Inbound:
    """Parses `value` as it would come in on `topic`."""
    payload = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse(TOPICS, topic, payload, HOSTS)


def reason(topic: str, value: dict[str, Any] | bytes) -> str:
    """Why it is refused."""
    with pytest.raises(InboundRefused) as caught:
        take(topic, value)
    return caught.value.reason


def test_an_ack_is_understood() -> None:
    """Who did what to which action."""
    assert take(TOPICS.ack(ID), ACK) == Ack(ID, AckState.ENFORCED, "gate-1")


def test_a_report_is_understood() -> None:
    """With and without a category."""
    topic = TOPICS.report("a")
    assert take(topic, REPORT) == Report("a", "viewer")
    got = take(topic, {**REPORT, "category": "drugs"})
    assert got == Report("a", "viewer", Category.DRUGS)


def test_an_outcome_is_understood() -> None:
    """Which action, right or not, and who says so; nothing else is taken."""
    topic = TOPICS.outcome(ID)
    assert take(topic, OUTCOME) == Reviewed(ID, Outcome.CLEAR, "reviewer-12")
    confirm = {**OUTCOME, "outcome": "confirm"}
    assert take(topic, confirm) == Reviewed(ID, Outcome.CONFIRM, "reviewer-12")
    for odd in ({"outcome": "maybe"}, {"by": "Anna Miller"}, {"note": "x"}):
        assert reason(topic, {**OUTCOME, **odd}) == "not_as_agreed"
    assert reason(TOPICS.outcome("not-an-id"), OUTCOME) == "bad_id"


def test_a_set_is_understood() -> None:
    """A URL with its publisher and labels starts; an empty message stops."""
    topic = TOPICS.set("a")
    full = {**SET, "source": "whep", "publisher": "u-1", "labels": {"tier": "new"}}
    got = take(topic, full)
    assert isinstance(got, SetStream)
    assert (got.stream_id, got.url, got.publisher) == ("a", SET["url"], "u-1")
    assert dict(got.labels) == {"tier": "new"}
    assert take(topic, b"") == SetStream("a")


@pytest.mark.parametrize(
    "url",
    [
        "https://media.example/whep/a",
        "http://media.example:8080/whep/a?x=1",
        "http://10.0.0.1:8889/cam",
        "http://[::1]:8889/cam",
        "https://media.example",
    ],
)
def test_allowed_hosts_may_be_watched(url: str) -> None:
    """A host in the list with any port, or a listed host and port."""
    got = take(TOPICS.set("a"), {**SET, "url": url})
    assert isinstance(got, SetStream)
    assert got.url == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://evil.example/whep", "host_not_allowed"),
        ("http://10.0.0.1/cam", "host_not_allowed"),
        ("http://10.0.0.1:80/cam", "host_not_allowed"),
        ("https://media.example.evil.example/x", "host_not_allowed"),
        ("https://169.254.169.254/latest", "host_not_allowed"),
        ("https://media.example@evil.example/", "bad_url"),
        ("https://user:pass@media.example/", "bad_url"),
        ("https://evil.example\\@media.example/", "bad_url"),
        ("https://media.example#@evil.example/", "bad_url"),
        ("https://MEDIA.example/", "bad_url"),
        ("https://media.example:99999/", "bad_url"),
        ("https://media.example:0/", "bad_url"),
        ("file:///etc/passwd", "bad_url"),
        ("ftp://media.example/", "bad_url"),
        ("https://media.example/\n", "bad_url"),
        ("https://media.example/ a", "bad_url"),
        ("https://mediа.example/", "bad_url"),  # noqa: RUF001  # a Cyrillic letter
    ],
)
def test_nobody_steers_the_sidecar_elsewhere(url: str, why: str) -> None:
    """Hosts that are not listed, and every trick with the parts of a URL."""
    assert reason(TOPICS.set("a"), {**SET, "url": url}) == why


@pytest.mark.parametrize(
    "change",
    [
        {"source": "file"},
        {"source": "whip"},
        {"url": None},
        {"url": 7},
        {"token": "x"},
        {"publisher": "a b"},
        {"labels": {"a": 1}},
        {"labels": {"a/b": "c"}},
        {"labels": {str(i): "x" for i in range(33)}},
        {"url": "https://media.example/" + "a" * 2048},
        {"schema": "moderation.set/2"},
    ],
)
def test_a_set_that_is_not_as_agreed(change: dict[str, Any]) -> None:
    """Unknown keys, wrong types, files, too many labels: refused."""
    assert reason(TOPICS.set("a"), {**SET, **change}) == "not_as_agreed"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[" * 15_000,
        b'{"a":' * 3_000,
        b"\xff\xfe",
        b'{"schema":"moderation.ack/1","state":"failed","state":"enforced","by":"x"}',
        b'{"schema":"moderation.ack/1","state":NaN,"by":"x"}',
        b'{"schema":"moderation.ack/1","state":' + b"9" * 5000 + b',"by":"x"}',
    ],
)
def test_what_is_not_json(payload: bytes) -> None:
    """Torn, deep, repeated keys, NaN, endless numbers: refused."""
    assert reason(TOPICS.ack(ID), payload) == "not_json"


def test_oversized() -> None:
    """Beyond 16 KiB nothing is even read."""
    payload = json.dumps(ACK).encode() + b" " * LIMIT_BYTES
    assert reason(TOPICS.ack(ID), payload) == "oversized"


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        (TOPICS.ack("nonsense"), "bad_id"),
        (TOPICS.ack(ID.upper()), "bad_id"),
        (TOPICS.report("a b"), "bad_id"),
        (TOPICS.report(""), "bad_id"),
        (TOPICS.set("ü"), "bad_id"),
        (TOPICS.report("a/b"), "unknown_topic"),
        (TOPICS.status, "unknown_topic"),
        ("x", "unknown_topic"),
        ("", "unknown_topic"),
    ],
)
def test_hostile_ids_and_foreign_topics(topic: str, why: str) -> None:
    """Ids are checked before anything is done with them."""
    assert reason(topic, ACK) == why


@pytest.mark.parametrize(
    "change", [{"by": "a b"}, {"by": "\ud800"}, {"state": 1}, {"state": "done"}]
)
def test_an_ack_that_is_not_as_agreed(change: dict[str, Any]) -> None:
    """Free text, surrogates, wrong types and words."""
    assert reason(TOPICS.ack(ID), {**ACK, **change}) == "not_as_agreed"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
payloads = (
    st.binary(max_size=200)
    | json_values.map(lambda v: json.dumps(v).encode())
    | st.tuples(
        st.sampled_from([ACK, SET, REPORT]),
        st.dictionaries(
            st.sampled_from(["schema", "state", "by", "url", "kind", "labels", "x"]),
            json_values,
        ),
    ).map(lambda pair: json.dumps({**pair[0], **pair[1]}).encode())
)
topics = st.text(max_size=60) | st.sampled_from(
    [
        TOPICS.ack(ID),
        TOPICS.set("a"),
        TOPICS.report("a"),
        TOPICS.ack("+"),
        TOPICS.outcome(ID),
    ]
)


@given(topics, payloads)
def test_any_bytes_are_a_value_or_a_refusal(topic: str, payload: bytes) -> None:
    """Nothing that comes from the bus raises anything but InboundRefused."""
    try:
        value = parse(TOPICS, topic, payload, HOSTS)
    except InboundRefused:
        return
    assert isinstance(value, Ack | SetStream | Report)
