"""Messages: every field of the contract, and nothing else."""

import json
from datetime import timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from pydantic import ValidationError

from sidecar.clock import ManualClock
from sidecar.domain import (
    Action,
    Category,
    LabelScore,
    ModelRef,
    PolicyRef,
    Scores,
    SourceKind,
    Stream,
    UnknownReason,
    Verdict,
    VerdictState,
)
from sidecar.publish import wire
from sidecar.publish.ids import Ids, is_action_id, uuid7
from sidecar.publish.message import SidecarIdentity, Writer
from sidecar.publish.parts import share, stamp
from sidecar.publish.topics import Topics
from tests.contract.bus import channel_of, validate
from tests.unit.publish import strategies as some

ID = "0198c1f2-0000-7000-8000-000000000000"
WRITER = Writer(Topics("edge-3"), SidecarIdentity("edge-3", "0.1.0"), some.wall)


def test_action_says_everything_the_contract_lists() -> None:
    """An ordinary takedown comes out field by field as in CONTRACT.md."""
    stream = Stream("studio-7", SourceKind.WHEP, publisher="u-812")
    message = WRITER.action(ID, some.takedown(at=10.0), stream)
    assert message.topic == "moderation/v1/default/streams/studio-7/actions/takedown"
    assert (message.qos, message.retain) == (1, False)
    assert message.properties.correlation == ID
    assert message.properties.response_topic == f"moderation/v1/default/acks/{ID}"
    assert message.expires_at == some.wall(3610.0).timestamp()
    assert json.loads(message.payload) == {
        "schema": "moderation.action/1",
        "id": ID,
        "action": "takedown",
        "dry_run": False,
        "subject": {
            "stream": "studio-7",
            "publisher": "u-812",
            "source": "whep",
            "track": "video0",
        },
        "reason": {
            "category": "sexual.explicit",
            "label": "Porn",
            "score": 0.97,
            "enter": 0.85,
            "hits": 3,
            "of": 5,
            "within_s": 6.0,
            "unknown": None,
        },
        "policy": {
            "name": "default",
            "hash": "sha256:" + "1" * 64,
            "rule": "explicit-takedown",
        },
        "model": {"name": "testcard", "hash": "sha256:" + "0" * 64},
        "evidence": [
            {
                "captured_at": "2026-11-23T22:14:13.070Z",
                "score": 0.97,
                "unchanged_since": None,
            }
        ],
        "evidence_ref": None,
        "captured_at": "2026-11-23T22:14:13.070Z",
        "decided_at": "2026-11-23T22:14:13.120Z",
        "expires_at": "2026-11-23T23:14:13.120Z",
        "sidecar": {"id": "edge-3", "version": "0.1.0"},
        "timings_ms": {
            "receive": 11.0,
            "decode": 3.0,
            "queue": 4.0,
            "inference": 15.0,
            "decide": 17.0,
        },
    }


@given(some.actions, some.streams)
def test_any_action_is_as_its_schema_says(action: Action, stream: Stream) -> None:
    """Whatever the policy decides becomes a valid message that reads back the same."""
    message = WRITER.action(ID, action, stream)
    validate(message.topic, message.payload)
    read = wire.ActionPayload.model_validate_json(message.payload)
    assert read.model_dump_json(by_alias=True).encode() == message.payload
    assert read.action == action.kind
    assert read.reason.category == action.reason.category
    assert len(read.evidence) == len(action.evidence)
    if action.reason.score is not None:
        assert read.reason.score == round(action.reason.score, 6)


@given(some.actions, some.streams)
def test_free_text_of_a_platform_never_goes_out(action: Action, stream: Stream) -> None:
    """A publisher that does not have the shape of an id is left out."""
    value = json.loads(WRITER.action(ID, action, stream).payload)
    publisher = value["subject"]["publisher"]
    assert publisher is None or publisher == stream.publisher
    assert publisher is None or "/" not in publisher


@given(some.ids, some.verdicts, some.instants, some.models, some.policies)
def test_any_verdict_is_as_its_schema_says(
    stream_id: str,
    verdict: Verdict,
    now: float,
    model: ModelRef,
    policy: PolicyRef,
) -> None:
    """Retained, valid, and reads back the same, with and without model and policy."""
    bare = WRITER.verdict(stream_id, verdict, now)
    full = WRITER.verdict(
        stream_id, verdict, now, policy=policy, model=model, models=(model, model)
    )
    for message in (bare, full):
        assert message.retain
        assert validate(message.topic, message.payload)["state"] == verdict.state
        read = wire.VerdictPayload.model_validate_json(message.payload)
        assert read.model_dump_json(by_alias=True).encode() == message.payload


def test_unknown_carries_its_reason_and_age() -> None:
    """An unseen stream says why, and how long ago it was last seen."""
    verdict = Verdict(VerdictState.UNKNOWN, 5.0, 3.0, UnknownReason.STALE)
    value = json.loads(WRITER.verdict("a", verdict, 10.0).payload)
    assert value["reason"] == "stale"
    assert value["age_s"] == 7.0
    assert value["seen_at"] == "2026-11-23T22:14:06.120Z"
    assert value["since"] == "2026-11-23T22:14:08.120Z"


def test_an_ended_stream_empties_its_verdict() -> None:
    """An empty retained message takes the verdict off the broker."""
    message = WRITER.no_verdict("a")
    assert message.payload == b""
    assert message.retain
    assert validate(message.topic, message.payload) == {}


@given(some.scores)
def test_any_scores_are_as_their_schema_says(scores: Scores) -> None:
    """Odd scores (out of range, not a number) are bent into 0…1, never sent odd."""
    message = WRITER.scores(scores)
    value = validate(message.topic, message.payload)
    assert (message.qos, message.retain) == (0, False)
    assert set(value["categories"]) == set(scores.by_category)


def test_a_kept_score_says_since_when() -> None:
    """Scores that were kept from an equal picture carry that picture's instant."""
    kept = Scores("a", {}, ModelRef("m", "sha256:0"), 10.0, unchanged_since=7.0)
    value = json.loads(WRITER.scores(kept).payload)
    assert value["unchanged_since"] == "2026-11-23T22:14:10.120Z"
    assert value["captured_at"] == "2026-11-23T22:14:13.120Z"


def test_each_score_names_its_model() -> None:
    """Of several models: the one that gave it, and all that looked."""
    first, second = ModelRef("a", "sha256:aa"), ModelRef("b", "sha256:bb")
    by = {
        Category.SAFE: LabelScore(0.5, "ok"),
        Category.DRUGS: LabelScore(0.25, "x", second),
    }
    value = json.loads(
        WRITER.scores(Scores("a", by, first, 1.0, others=(second,))).payload
    )
    assert value["categories"]["safe"]["model"]["name"] == "a"
    assert value["categories"]["drugs"]["model"] == {"name": "b", "hash": "sha256:bb"}
    assert [one["name"] for one in value["models"]] == ["a", "b"]


def test_status_and_last_will() -> None:
    """A status is stamped; the last will, written ahead of its time, is not."""
    online = WRITER.status("degraded", ("outbox_full",), 1.0)
    will = WRITER.status("offline")
    assert online.topic == "moderation/v1/default/sidecars/edge-3/status"
    assert validate(online.topic, online.payload)["reasons"] == ["outbox_full"]
    assert validate(will.topic, will.payload)["at"] is None


def test_status_reasons_are_words() -> None:
    """A sentence (free text) is refused."""
    with pytest.raises(ValidationError):
        WRITER.status("degraded", ("The disk is full!",), 1.0)


def test_without_scores_there_are_no_timings() -> None:
    """An action that no sample led to has empty legs, not invented ones."""
    action = some.takedown()
    bare = Action(
        kind=action.kind,
        stream_id="a",
        reason=action.reason,
        policy=action.policy,
        model=None,
        dry_run=True,
        captured_at=0.0,
        decided_at=0.0,
    )
    value = json.loads(WRITER.action(ID, bare, Stream("a", SourceKind.FILE)).payload)
    assert set(value["timings_ms"].values()) == {None}
    assert value["model"] is None


def test_stamps_are_utc() -> None:
    """A local time never wears a `Z`."""
    local = some.EPOCH.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert stamp(local) == "2026-11-23T22:14:03.120Z"


def test_share_is_rounded_to_six_digits() -> None:
    """Scores carry six digits; not-a-number is 0."""
    assert share(0.123456789) == 0.123457
    assert share(1.0000002) == 1.0
    assert share(float("nan")) == 0.0


def test_consumers_may_ignore_what_they_do_not_know() -> None:
    """A field added later does not break a reader of this version."""
    message = WRITER.status("online", (), 0.0)
    value = {**json.loads(message.payload), "new": 1}
    assert wire.StatusPayload.model_validate(value).state == "online"


def test_prefix_and_site_lead_every_topic() -> None:
    """Topics follow the settings."""
    topics = Topics("s", site="eu", prefix="x")
    assert topics.action("a", "blur") == "x/eu/streams/a/actions/blur"
    assert topics.set("+") == "x/eu/sidecars/s/streams/+/set"
    assert topics.report("+") == "x/eu/streams/+/report"
    assert topics.scores("a") == "x/eu/streams/a/scores"


def test_foreign_topics_belong_to_no_channel() -> None:
    """The tests' own validator knows the contract's topics and no others."""
    assert channel_of("moderation/v1/default/acks/1") == "ack"
    with pytest.raises(AssertionError, match="no such topic"):
        channel_of("moderation/v1/default/nonsense")


def test_ids_are_uuid7_of_their_time() -> None:
    """The first 48 bits are the milliseconds; version and variant are set."""
    assert uuid7(0x0198C1F2ABCD, b"\xff" * 10) == "0198c1f2-abcd-7fff-bfff-ffffffffffff"
    assert uuid7(0, b"\x00" * 10) == "00000000-0000-7000-8000-000000000000"


def test_ids_differ_and_follow_time() -> None:
    """No id is given twice, and a later one sorts later."""
    clock = ManualClock(wall=some.EPOCH)
    ids = Ids(clock)
    first = [ids.new() for _ in range(100)]
    clock.advance(0.001)
    later = ids.new()
    assert len(set(first)) == 100
    assert max(first) < later
    assert all(is_action_id(one) for one in first)
    assert not is_action_id("0198c1f2-abcd-4fff-bfff-ffffffffffff")


def test_category_words_of_reports_are_the_houses() -> None:
    """A report may name every category but `safe`; none is forgotten."""
    names = set(get_args(wire.ReportCategory))
    assert names == {c.value for c in Category} - {"safe"}
