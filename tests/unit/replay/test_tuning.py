"""Tuning finds the better rule, tells what it cost, and refuses to guess."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from sidecar.cli import cli
from sidecar.config import load
from sidecar.domain import Category, SourceKind, Stream, VerdictState
from sidecar.errors import ConfigError
from sidecar.recording.column_log import columns_of
from sidecar.recording.columns import Columns
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.folder import OneFile
from sidecar.recording.lines import Session
from sidecar.replay.calibration import calibrate
from sidecar.replay.labels import Episode, Label
from sidecar.replay.metrics import figures
from sidecar.replay.tuned import policy_text
from sidecar.replay.tuning import Data, Tuned, Wishes, require_enough, tune
from sidecar.replay.virtual import EPOCH
from tests.unit.recording.test_whatif import V, X, sample

LENGTH_S = 120
WISHES = Wishes(recall=0.6, false_per_1000h=6000.0)


def _entries(bad: int = 12, good: int = 18) -> tuple[list[Entry], list[Label]]:
    """Bad streams score 0.7 for a while; every good one has a blip of two at 0.8."""
    chance = Random(1)  # noqa: S311 - the same each time
    found: list[Entry] = []
    labels: list[Label] = []
    for number in range(bad + good):
        stream = Stream(f"s{number}", SourceKind.WHEP)
        found.append(Entry(EntryKind.BEGAN, stream, 0.0))
        is_bad = number < bad
        if is_bad:
            labels.append(Label(stream.id, 40.0, 100.0, X))
        for second in range(1, LENGTH_S):
            level = 0.7 if is_bad and 40 <= second <= 100 else 0.1
            if not is_bad and second in {60, 61}:
                level = 0.8
            score = round(min(1.0, max(0.0, chance.gauss(level, 0.03))), 6)
            found.append(sample(stream, float(second), {X: score, V: 0.01}, late=0.0))
    return found, labels


@pytest.fixture(scope="module")
def data() -> Data:
    """Of those streams."""
    entries, labels = _entries()
    columns = columns_of(entries)
    return Data(columns, {s.id: float(LENGTH_S) for s in columns.streams}, labels)


@pytest.fixture(scope="module")
def tuned(data: Data) -> Tuned:
    """What comes of them."""
    told: list[tuple[int, int]] = []
    found = tune(data, X, WISHES, lambda done, of: told.append((done, of)))
    assert told[-1] == (len(found.candidates), len(found.candidates))
    return found


def test_a_window_that_blips_cannot_fill_is_recommended(tuned: Tuned) -> None:
    """Two high samples are in every good stream; three are in the bad ones only."""
    assert tuned.best.rule.hits >= 3
    assert tuned.best.found.recall.value == 1.0
    assert tuned.best.false == 0
    assert [f.recall.value for f in tuned.held_out] == [1.0, 1.0]
    hasty = [c for c in tuned.candidates if c.rule.hits == 2 and c.rule.enter < 0.7]
    assert all(c.false >= 18 for c in hasty)


def test_nothing_beats_what_is_on_the_front(tuned: Tuned) -> None:
    """Fewer false takedowns are paid for by more time shown, all along it."""
    for one in tuned.front:
        assert not any(
            c.false <= one.false
            and c.shown_s <= one.shown_s
            and (c.false, c.shown_s) != (one.false, one.shown_s)
            for c in tuned.candidates
        )
    costs = [(one.false, one.shown_s) for one in tuned.front]
    assert costs == sorted(costs)
    assert len({shown for _, shown in costs}) == len(costs)


def test_too_little_data_is_refused_with_the_count(data: Data) -> None:
    """Streams for the recall, hours for the false takedowns; both at once."""
    require_enough(data, X, WISHES)
    with pytest.raises(ConfigError) as caught:
        require_enough(data, X, Wishes(0.95, 10.0))
    assert "labelled in 12 streams" in caught.value.faults[0]
    assert "needs 59" in caught.value.faults[0]
    assert "need 300 (rule of three)" in caught.value.faults[1]


def test_labelled_spans_without_samples_are_told(data: Data) -> None:
    """Nothing can be learned from what was not looked at."""
    nowhere = [replace(label, start=900.0, end=901.0) for label in data.labels]
    with pytest.raises(ConfigError, match="no sample was taken"):
        tune(replace(data, labels=nowhere), X, WISHES)
    elsewhere = replace(
        data, watched_s={"gone": 9.0}, labels=[Label("gone", 0.0, 9.0, X)]
    )
    with pytest.raises(ConfigError, match="no sample was taken"):
        tune(elsewhere, X, WISHES)


def _overconfident() -> tuple[Columns, list[Episode]]:
    """Scores of 0.99 that are right three times in four, and 0.01 likewise."""
    entries, spans = [], []
    for number in range(8):
        stream = Stream(f"s{number}", SourceKind.WHEP)
        high = number < 4
        for second in range(10):
            score = 0.99 if high else 0.01
            entries.append(sample(stream, float(second), {X: score}, late=0.0))
        if number in {0, 1, 2, 4}:
            spans.append(Episode(stream.id, 0.0, 10.0, X))
    return columns_of(entries), spans


def test_overconfident_scores_are_cooled() -> None:
    """The temperature is the one that makes 0.99 mean three in four."""
    found = calibrate(*_with_category(_overconfident()))
    assert found.temperature == pytest.approx(np.log(99) / np.log(3), abs=0.01)
    assert found.ece[0] == pytest.approx(0.24, abs=0.001)
    assert found.ece[1] == pytest.approx(0.0, abs=0.001)
    assert found.probability(0.99) == pytest.approx(0.75, abs=0.001)
    assert (found.model, found.model_hash) == ("m", "sha256:1")
    assert sum(one.weight for one in found.bins) == pytest.approx(1.0)


def _with_category(
    given: tuple[Columns, list[Episode]],
) -> tuple[Columns, Category, list[Episode]]:
    return given[0], X, given[1]


def test_a_long_stream_weighs_no_more_than_a_short_one() -> None:
    """Frames of one stream are no independent cases."""
    columns, spans = _overconfident()
    extra = Stream("s7", SourceKind.WHEP)
    entries = [
        sample(extra, float(second), {X: 0.01}, late=0.0) for second in range(10, 500)
    ]
    longer = [
        sample(Stream(f"s{n}", SourceKind.WHEP), float(t), {X: s}, late=0.0)
        for n, s in ((n, 0.99 if n < 4 else 0.01) for n in range(8))
        for t in range(10)
    ]
    both = columns_of([*longer, *entries])
    assert calibrate(both, X, spans).ece == pytest.approx(
        calibrate(columns, X, spans).ece
    )


def test_a_half_without_a_case_has_no_recall(tuned: Tuned) -> None:
    """The file says so rather than 0."""
    nothing = figures({"s": 9.0}, [], [], columns_of([]))
    calibration = calibrate(*_with_category(_overconfident()))
    halves = replace(tuned, held_out=(nothing, nothing))
    text = policy_text([halves], [calibration], WISHES, EPOCH)
    assert "recall on the other: none, none" in text


def test_streams_that_another_model_saw_do_not_count() -> None:
    """Nothing is known of this category there."""
    columns, spans = _overconfident()
    entries = [
        sample(Stream(f"s{n}", SourceKind.WHEP), float(t), {X: s}, late=0.0)
        for n, s in ((n, 0.99 if n < 4 else 0.01) for n in range(8))
        for t in range(10)
    ]
    other = Stream("other", SourceKind.WHEP)
    entries += [sample(other, float(t), {V: 0.99}, late=0.0) for t in range(10)]
    both = columns_of(entries)
    assert calibrate(both, X, spans) == calibrate(columns, X, spans)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The entries and labels as files."""
    entries, labels = _entries()
    with OneFile(tmp_path / "r.jsonl.gz", Session("s", EPOCH)) as file:
        for entry in entries:
            file.write(replace(entry, verdict=VerdictState.CLEAR))
        file.close("stopped")
    rows = [f"{one.stream},{one.start},{one.end},{one.category}" for one in labels]
    (tmp_path / "labels.csv").write_text(
        "\n".join(["stream,start,end,category", *rows])
    )
    return tmp_path


def _tune(folder: Path, *more: str) -> list[str]:
    return [
        *("tune", str(folder / "r.jsonl.gz"), "--labels", str(folder / "labels.csv")),
        *("--output", str(folder / "tuned.yaml"), *more),
    ]


def test_the_recommended_policy_loads(folder: Path) -> None:
    """By a configuration that names it; each number has its reason beside it."""
    asked = ("--recall", "0.6", "--false-per-1000h", "6000")
    html = ("--html", str(folder / "tuned.html"))
    done = CliRunner().invoke(cli, [*_tune(folder, *asked, *html), "--json"])
    assert done.exit_code == 0, done.output
    (said,) = json.loads(done.stdout)["categories"]
    text = (folder / "tuned.yaml").read_text()
    numbers = ("enter", "exit", "hits", "of", "within_s", "cooldown_s", "stale_after_s")
    lines = [line.strip() for line in text.splitlines()]
    for number in numbers:
        (line,) = [one for one in lines if one.startswith(f"{number}: ")]
        assert "  # " in line
    whole = {
        "mqtt": {"host": "127.0.0.1"},
        "outbox": {"path": "outbox.sqlite"},
        "policies": "tuned.yaml",
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(whole))
    (policy,) = load(folder / "c.yaml", {}).policies
    assert policy.rules[0].enter == said["recommended"]["enter"]
    assert CliRunner().invoke(cli, ["check", str(folder / "c.yaml")]).exit_code == 0
    kept = json.loads((folder / "tuned.calibration.json").read_text())
    assert kept["sexual.explicit"]["model_hash"] == "sha256:1"
    assert kept["sexual.explicit"]["temperature"] == said["calibration"]["temperature"]
    page = (folder / "tuned.html").read_text()
    assert "Pareto front" in page
    assert page.count("<svg") == 2


def test_the_table_is_for_people(folder: Path) -> None:
    """What is recommended, and where it was written."""
    asked = ("--recall", "0.6", "--false-per-1000h", "6000")
    done = CliRunner().invoke(cli, _tune(folder, *asked))
    assert done.exit_code == 0, done.output
    assert "sexual.explicit" in done.stdout
    assert "tuned.yaml" in done.stdout


def test_the_command_refuses_what_it_cannot_show(folder: Path) -> None:
    """Too little data; nothing labelled that is scored; videos."""
    done = CliRunner().invoke(cli, _tune(folder))
    assert "needs 29" in str(done.exception)
    assert not (folder / "tuned.yaml").exists()
    (folder / "labels.csv").write_text("stream,start,end,category\ns1,1,2,drugs\n")
    done = CliRunner().invoke(cli, _tune(folder))
    assert "both labelled and scored" in str(done.exception)
    (folder / "a.mp4").touch()
    arguments = ["tune", str(folder / "a.mp4"), *_tune(folder)[2:]]
    done = CliRunner().invoke(cli, arguments)
    assert "tune works on recordings" in str(done.exception)
