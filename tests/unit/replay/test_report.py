"""Figures and timelines in one file that needs nothing else."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from sidecar.cli import cli
from sidecar.decide.policyset import Policy, PolicySet, Selector
from sidecar.domain import Category, SourceKind, Stream, VerdictState
from sidecar.errors import ConfigError
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.folder import OneFile
from sidecar.recording.lines import Session
from sidecar.recording.rerun import Rerun
from sidecar.replay import report as module
from sidecar.replay.demands import judge
from sidecar.replay.labels import Label
from sidecar.replay.metrics import figures
from sidecar.replay.outcome import Outcome
from sidecar.replay.report import report
from sidecar.replay.run import entry_of
from sidecar.replay.virtual import EPOCH
from tests.unit.recording.test_whatif import RULE, A, B, X, sample

POLICIES = PolicySet((Policy("p", Selector(), (RULE,), None, 10.0),))
EVIL = Stream("x", SourceKind.WHIP)


def _entries() -> list[Entry]:
    """One stream shows something for a while, one is harmless, one never seen."""
    found = [Entry(EntryKind.BEGAN, s, 0.0) for s in (A, B, EVIL)]
    for second in range(1, 1500):
        shown = 600 <= second < 660
        found.append(sample(A, float(second), {X: 0.9 if shown else 0.1}, late=0.0))
        found.append(sample(B, second + 0.5, {X: 0.02}, late=0.0))
    return found


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """Of these entries under a takedown rule."""
    made = Outcome(POLICIES)
    rerun = Rerun(POLICIES)
    for judged in rerun.run(_entries()):
        made.add(entry_of(judged))
    return made


def _page(outcome: Outcome, labels: list[Label]) -> str:
    found = figures(
        {name: one.watched_s for name, one in outcome.streams.items()},
        [one for s in outcome.streams.values() for one in s.actions],
        labels,
        outcome.log.snapshot(),
    )
    return report(outcome, labels, found, judge(found, {"recall": 1.0}))


def test_the_page_needs_nothing_else(outcome: Outcome) -> None:
    """No script, no address, a policy that forbids both; every picture is sound XML."""
    page = _page(outcome, [Label("a", 595, 660, X)])
    assert "<script" not in page
    assert not re.search(r"(?:src|href|url)\s*[=(]", page)
    assert "default-src 'none'" in page
    pictures = re.findall(r"<svg.*?</svg>", page)
    assert len(pictures) == 3
    for picture in pictures:
        ET.fromstring(picture)  # noqa: S314 - our own


def test_what_went_wrong_stands_first(outcome: Outcome) -> None:
    """Found, missed and false are told in words, beside each stream."""
    page = _page(outcome, [Label("a", 595, 660, X)])
    assert page.index(">a<") < page.index(">b<")
    assert "found after 6.0 s" in page
    missed = _page(outcome, [Label("b", 10, 20, X)])
    assert "missed sexual.explicit" in missed
    assert "false sexual.explicit" in missed
    assert "NOT MET" in missed


def test_a_timeline_shows_scores_thresholds_windows_and_actions(
    outcome: Outcome,
) -> None:
    """Lines are thinned, and keep their peaks."""
    page = _page(outcome, [Label("a", 595, 660, X)])
    (first, *_) = re.findall(r"<svg.*?</svg>", page)
    assert first.count("<polyline") == 1
    points = re.findall(r'points="([^"]*)"', first)[0].split()
    assert 400 <= len(points) <= 480
    assert min(float(point.split(",")[1]) for point in points) == pytest.approx(27.4)
    assert "takedown by cut at 10:01" in first
    assert "label sexual.explicit" in first
    assert 'stroke-dasharray="7 4"' in first


def test_a_stream_that_was_never_seen_is_a_blind_span(outcome: Outcome) -> None:
    """It is drawn, and is not clean."""
    never = outcome.streams["x"]
    assert never.verdicts[0].verdict is VerdictState.UNKNOWN
    outcome.streams["x"].ended_at = 100.0
    assert "not seen</title>" in report(outcome)


def test_a_name_cannot_break_the_page(outcome: Outcome) -> None:
    """Whatever a rule, a policy or a model is called."""
    evil = Policy("<b>&", Selector(), (RULE,), None, 10.0)
    made = Outcome(PolicySet((evil,)))
    made.add(Entry(EntryKind.BEGAN, A, 0.0))
    made.partial = True
    page = report(made)
    assert "<b>&" not in page
    assert "&lt;b&gt;&amp;" in page
    assert "this is part of it" in page
    assert outcome.streams


def test_the_least_interesting_streams_are_counted_only(
    monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    """A page of ten thousand timelines helps nobody."""
    monkeypatch.setattr(module, "_MOST_STREAMS", 1)
    assert "And 2 more, of less interest." in report(outcome)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The same entries in a file."""
    with OneFile(tmp_path / "r.jsonl.gz", Session("s", EPOCH)) as file:
        for entry in _entries():
            file.write(replace(entry, verdict=VerdictState.CLEAR))
        file.close("stopped")
    (tmp_path / "labels.csv").write_text(
        "stream,start,end,category\na,595,660,sexual.explicit\nz,1,2,drugs\n"
    )
    return tmp_path


def test_the_command_writes_everything_that_is_asked_for(recorded: Path) -> None:
    """Figures, demands, JUnit, HTML; the exit code says whether all were met."""
    arguments = [
        *("replay", str(recorded / "r.jsonl.gz")),
        *("--labels", str(recorded / "labels.csv"), "--prevalence", "0.25"),
        *("--html", str(recorded / "a.html"), "--junit", str(recorded / "a.xml")),
    ]
    done = CliRunner().invoke(cli, [*arguments, "--fail-under", "recall=1", "--json"])
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert said["figures"]["recall"]["value"] == 1.0
    assert said["figures"]["precision_at_prevalence"] == {"0.25": 1.0}
    assert said["demands"] == [
        {"name": "recall", "wanted": 1.0, "found": 1.0, "met": True}
    ]
    assert "for instance 'z'" in done.stderr
    assert (recorded / "a.html").read_text().startswith("<!doctype html>")
    assert (recorded / "a.xml").read_bytes().startswith(b"<?xml")
    short = "time_to_detect_p50_s=1"
    done = CliRunner().invoke(cli, [*arguments, "--fail-under", short])
    assert done.exit_code == 1
    assert "NOT MET" in done.stdout
    assert "recall, by stream" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--fail-under", "recall=1"], "--fail-under needs --labels"),
        (["--junit", "a.xml"], "--junit needs --labels"),
        (["--labels", "{}/labels.csv", "--fail-under", "x=1"], "'x' is not known"),
        (["--html", "{}/none/a.html"], "cannot be written"),
    ],
)
def test_what_does_not_go_together_is_told(
    recorded: Path, arguments: list[str], told: str
) -> None:
    """With the option."""
    filled = [one.format(recorded) for one in arguments]
    done = CliRunner().invoke(cli, ["replay", str(recorded / "r.jsonl.gz"), *filled])
    assert isinstance(done.exception, ConfigError)
    assert told in str(done.exception)


def test_categories_are_the_taxonomys() -> None:
    """The label file of the fixtures speaks of one that exists."""
    assert Category("sexual.explicit") is X
