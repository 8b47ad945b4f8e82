"""Entries become lines and lines become entries again, or are refused in words."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.domain import Category, LabelScore, ModelRef, Scores, VerdictState
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.lines import Session, Writer, close_line, lost_line
from sidecar.recording.parser import LineFault, Parser, Tally, parse_head
from tests.unit.recording.strategies import STREAMS, entries, seeds

SESSION = Session("s1", datetime(2026, 11, 27, 9, 30, 0, 5, UTC), "east", "a", "0.1.0")

HEAD = Writer(SESSION).head()
STREAM = '{"kind":"stream","stream":"a","source":"whep","labels":{}}'
BY = (
    '{"kind":"by","by":0,"models":[{"name":"m","hash":"sha256:1"}],'
    '"labels":{"drugs":{"label":"d","model":0}}}'
)
SAMPLE = {
    "kind": "sample",
    "stream": "a",
    "at": 1.5,
    "captured_at": 1.25,
    "by": 0,
    "scores": {"drugs": 0.5},
    "legs": [0, 0.1, 0, 0.2],
    "verdict": "clear",
}
ACTION = {
    "action": "flag",
    "rule": "r",
    "policy": "p",
    "hash": "sha256:2",
    "category": "drugs",
    "score": 0.5,
    "dry_run": False,
}


def _parser() -> Parser:
    parser = Parser(Tally())
    assert parser.take(STREAM) is None
    assert parser.take(BY) is None
    return parser


@given(seeds)
def test_what_is_written_is_read(draw: Random) -> None:
    """Every entry comes back equal, at microseconds and six decimals."""
    found = entries(draw)
    writer, tally = Writer(SESSION), Tally()
    parser = Parser(tally)
    lines = [line for entry in found for line in writer.lines(entry)]
    assert all("\n" not in line for line in lines)
    read = [entry for line in lines if (entry := parser.take(line)) is not None]
    assert read == found
    assert tally.entries == len(found)


def test_a_stream_and_a_model_are_introduced_once() -> None:
    """Lines stay short: what was said before is referred to."""
    entry = Parser(Tally())
    for line in (STREAM, BY):
        entry.take(line)
    sample = entry.take(json.dumps(SAMPLE))
    assert sample is not None
    writer = Writer(SESSION)
    assert [json.loads(line)["kind"] for line in writer.lines(sample)] == [
        "stream",
        "by",
        "sample",
    ]
    assert [json.loads(line)["kind"] for line in writer.lines(sample)] == ["sample"]


def test_a_sum_that_ends_a_little_above_one_is_one() -> None:
    """The policy takes it; a reader takes nothing beyond 1."""
    by = {Category.DRUGS: LabelScore(1.0005, "d")}
    scores = Scores("a", by, ModelRef("m", "sha256:1"), captured_at=1.0)
    clear = VerdictState.CLEAR
    entry = Entry(EntryKind.SAMPLE, STREAMS[0], 1.0, clear, None, scores)
    parser = Parser(Tally())
    read = [parser.take(line) for line in Writer(SESSION).lines(entry)][-1]
    assert read is not None
    assert read.scores is not None
    assert read.scores.by_category[Category.DRUGS].score == 1.0


def test_the_first_line_names_session_and_epoch() -> None:
    """They come back, the epoch in UTC to the microsecond."""
    zone = SESSION.epoch.astimezone(tz=None)
    assert parse_head(Writer(SESSION, 7).head()) == (SESSION, 7)
    assert zone == parse_head(HEAD)[0].epoch
    assert json.loads(HEAD)["epoch"] == "2026-11-27T09:30:00.000005Z"


def test_an_offset_moves_every_instant() -> None:
    """A later session's entries stand on the first one's clock."""
    parser = Parser(Tally(), session=1, offset_s=timedelta(hours=1).total_seconds())
    for line in (STREAM, BY):
        parser.take(line)
    entry = parser.take(json.dumps(SAMPLE))
    assert entry is not None
    assert entry.scores is not None
    assert (entry.at, entry.scores.captured_at, entry.session) == (3601.5, 3601.25, 1)


def test_losses_and_the_close_are_counted() -> None:
    """What a recorder could not keep, and that it was stopped before the end."""
    tally = Tally()
    parser = Parser(tally)
    for line in (lost_line(3), lost_line(4), close_line("interrupted")):
        assert parser.take(line) is None
    parser.take(close_line("rotated"))
    assert (tally.lost, tally.interrupted, tally.entries) == (7, 1, 0)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("[]", "not a JSON object"),
        ("{", "not JSON"),
        ('{"kind":NaN}', "NaN is no number"),
        ("[" * 100_000, "nested too deep"),
        ("{}", "'kind' is missing"),
        ('{"kind":"x"}', "'kind': 'x' is not known"),
        ('{"kind":"lost","entries":-1}', "no whole number"),
        ('{"kind":"lost","entries":true}', "no whole number"),
        (STREAM.replace('"a"', '"a/b"'), "is no stream id"),
        (STREAM.replace("whep", "rtmp"), "'source': 'rtmp' is not known"),
        (STREAM.replace("{}}", '{"a":1}}'), "'labels' are texts"),
        (STREAM.replace("{}}", "[]}"), "no object"),
        (BY.replace('{"label":"d","model":0}', "1"), "'drugs' is missing or no object"),
        (BY.replace('"model":0', '"model":1'), "drugs: there is no model 1"),
        (BY.replace('"drugs":{"label":"d","model":0}', ""), "'labels' is empty"),
        (BY.replace('{"name":"m","hash":"sha256:1"}', "1"), "no list of objects"),
        (BY.replace("drugs", "csea.x"), "'csea.x' is not known"),
    ],
)
def test_a_wrong_line_is_refused_in_words(line: str, told: str) -> None:
    """Never a crash, never a guess."""
    with pytest.raises(LineFault, match=told):
        _parser().take(line)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stream": "b"}, "was not introduced"),
        ({"at": "1"}, "'at' is missing or no number"),
        ({"at": True}, "'at' is missing or no number"),
        ({"at": 1e99}, "'at' is out of range"),
        ({"by": 1}, "'by': 1 was not introduced"),
        ({"scores": {"drugs": 1.5}}, "not within 0 and 1"),
        ({"scores": {}}, "not of the categories"),
        ({"scores": {"other": 0.5}}, "not of the categories"),
        ({"legs": [0]}, "'legs' are 4 numbers"),
        ({"legs": None}, "'legs' are 4 numbers"),
        ({"verdict": "unknown"}, "'reason' is missing"),
        ({"verdict": "fine"}, "'verdict': 'fine' is not known"),
        ({"actions": 1}, "'actions' is missing or no list"),
        ({"actions": [1]}, "no list of objects"),
        ({"unchanged_since": "x"}, "'unchanged_since' is missing or no number"),
        ({"actions": [ACTION | {"dry_run": 1}]}, "'dry_run' is true or false"),
        ({"actions": [ACTION | {"action": "ban"}]}, "'ban' is not known"),
        ({"actions": [ACTION | {"score": 7}]}, "not within 0 and 1"),
    ],
)
def test_a_wrong_sample_is_refused_in_words(
    change: dict[str, object], told: str
) -> None:
    """The word tells the key and what was found."""
    with pytest.raises(LineFault, match=told):
        _parser().take(json.dumps(SAMPLE | change))


def test_time_does_not_go_back_within_a_stream() -> None:
    """Replay relies on it."""
    parser = _parser()
    parser.take(json.dumps(SAMPLE))
    with pytest.raises(LineFault, match="goes back in time"):
        parser.take(json.dumps(SAMPLE | {"at": 1.4}))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{}", "this is no recording"),
        (HEAD.replace("recording/1", "recording/2"), "another version"),
        (HEAD.replace("2026-11", "2026-13"), "no UTC time"),
        (HEAD.replace("Z", ""), "no UTC time"),
        (HEAD.replace('"file":1', '"file":null'), "no whole number"),
    ],
)
def test_a_wrong_first_line_is_refused_in_words(line: str, told: str) -> None:
    """A newer schema, or no recording at all."""
    with pytest.raises(LineFault, match=told):
        parse_head(line)


_json = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
_keys = st.sampled_from([*SAMPLE, *ACTION, "reason", "actions", "labels", "entries"])
_broken = st.dictionaries(_keys, _json | st.sampled_from([*SAMPLE.values(), [ACTION]]))


_lines = st.text() | _json.map(json.dumps)


@given(_lines | _broken.map(lambda broken: json.dumps(SAMPLE | broken)))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_line_is_an_entry_or_a_fault(line: str) -> None:
    """Whatever stands there, nothing else comes of it."""
    for take in (_parser().take, parse_head):
        with suppress(LineFault):
            take(line)


def test_streams_of_the_strategies_are_distinct() -> None:
    """The generators cover labels, and all sources."""
    assert len({stream.source for stream in STREAMS}) == len(STREAMS)
