"""`sidecar bench batch`: what it measures is what it says."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from sidecar.bench.batch import BatchBench, bench_model
from sidecar.bench.batch_display import show_batch
from sidecar.bench.batch_rows import ModelRow, Pace, PacedRow, percentile, report
from sidecar.classify.manifest import Manifest, load
from sidecar.classify.onnx_session import EngineSettings
from sidecar.classify.planner import PlannerSettings
from sidecar.cli import cli
from tests.fakes.onnx_models import mean_colour_folder

STAGE = Pace(10, 0.5, 5.0, (0.010, 0.012, 0.030), (0.008, 0.009, 0.010), 0.001)
BARE = Pace(10, 0.4, 5.0)
BEYOND = PacedRow(50)
ROW = ModelRow(
    model="m",
    provider="cpu",
    batch=4,
    threads=1,
    callers=2,
    bare=(100.0, 50.0, 200.0),
    stage=(99.0, 49.0, 190.0),
    paced=(PacedRow(10, ((STAGE, BARE),)), BEYOND),
    half_load=PacedRow(49.5, ((STAGE, BARE),)),
)


def test_a_row_is_as_documented() -> None:
    """Medians; the fraction is that of the rounds, which share their noise."""
    (found,) = report([ROW])["models"]
    assert found["model"] == "m"
    assert found["bare_samples_per_s"] == 100.0
    assert found["stage_samples_per_s"] == 99.0
    assert found["fraction_of_bare"] == 0.98
    pace = found["paced"][0]
    assert pace["rate"] == 10
    assert pace["cpu_cores"] == 0.1
    assert pace["bare_cpu_cores"] == 0.08
    assert pace["cpu_ratio"] == 1.25
    assert (pace["p50_ms"], pace["p99_ms"]) == (12.0, 30.0)
    assert pace["added_ms_p99"] == 19.0  # without inference and the chosen delay
    json.dumps(found)


def test_a_pace_is_told_by_the_medians_of_its_rounds() -> None:
    """A hiccup in one of three moves nothing; ratios are of rounds that share it."""
    slow = Pace(10, 5.0, 5.0, (0.5, 0.6, 0.9), (0.4, 0.4, 0.4), 0.001)
    rounds = ((STAGE, BARE), (slow, Pace(10, 4.0, 5.0)), (STAGE, BARE))
    found = PacedRow(10, rounds).as_json()
    assert found["cpu_ratio"] == 1.25
    assert (found["p50_ms"], found["p99_ms"]) == (12.0, 30.0)
    assert found["added_ms_p99"] == 19.0


def test_a_pace_beyond_capacity_has_no_figures() -> None:
    """Null is no measurement; a queue that grows for ever would be none either."""
    found = BEYOND.as_json()
    assert found["beyond_capacity"]
    assert found["added_ms_p99"] is None
    assert found["cpu_cores"] is None


@pytest.mark.parametrize(
    ("percent", "value"), [(1, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)]
)
def test_percentiles_are_ranks(percent: float, value: int) -> None:
    """Of 1 to 100 each is itself."""
    assert percentile(list(range(100, 0, -1)), percent) == value
    assert percentile([7.0], percent) == 7.0


def test_people_get_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """With the fraction, and a dash for what was not measured."""
    show_batch([ROW])
    shown = capsys.readouterr().out
    assert "0.980" in shown
    assert " - " in shown


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """The command says only errors; the tests after it want to hear more."""
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """A small model."""
    return load(mean_colour_folder(tmp_path / "m"))


@pytest.mark.anyio
async def test_the_whole_stage_is_measured(manifest: Manifest) -> None:
    """Every sample is classified by the real engine; all figures are there."""
    settings = BatchBench(
        EngineSettings(threads=1, callers=1),
        PlannerSettings(4, max_queue_delay_s=0.0),
        seconds=0.1,
        rounds=2,
        rates=(20.0, 1e9),
    )
    told: list[str] = []
    row = await bench_model(manifest, settings, told.append)
    assert len(row.bare) == len(row.stage) == 2
    assert min(*row.bare, *row.stage) > 0
    paced, beyond = row.paced
    assert len(paced.rounds) == 2
    for stage, bare in paced.rounds:
        assert len(stage.latencies_s) == 2
        pairs = zip(stage.latencies_s, stage.inferences_s, strict=True)
        assert all(whole > inside > 0 for whole, inside in pairs)
        assert bare.cpu_s > 0
    assert not beyond.rounds
    assert told


def test_the_command_prints_json(tmp_path: Path) -> None:
    """One object on stdout; progress goes to stderr."""
    folder = mean_colour_folder(tmp_path / "m")
    arguments = ["bench", "batch", "--model", str(folder), "--json"]
    arguments += ["--seconds", "0.5", "--rounds", "1", "--threads", "1"]
    found = CliRunner().invoke(cli, arguments)
    assert found.exit_code == 0, found.output
    said: dict[str, Any] = json.loads(found.stdout)
    (row,) = said["models"]
    assert {"model", "bare_samples_per_s", "stage_samples_per_s"} <= set(row)
    assert [pace["rate"] for pace in row["paced"]] == [10.0, 50.0]


def test_a_model_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    """The usual ones may be missing; one that was asked for may not."""
    found = CliRunner().invoke(
        cli, ["bench", "batch", "--model", "nowhere", "--models-dir", str(tmp_path)]
    )
    assert found.exit_code != 0
