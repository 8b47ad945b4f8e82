"""`sidecar models bench`: every way is measured, and a sober one recommended."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from sidecar.bench import model_bench
from sidecar.bench.batch_display import show_ways
from sidecar.bench.model_bench import Measured, as_yaml, measure, recommended
from sidecar.classify import runtime
from sidecar.classify.manifest import Manifest, load
from sidecar.cli import cli
from sidecar.config.engine import EngineConfig
from tests.fakes.onnx_models import mean_colour_folder

ROWS = [
    Measured("cpu", 1, 1, 1, 100.0),
    Measured("cpu", 1, 1, 4, 104.0),
    Measured("cpu", 1, 2, 1, 199.0),
    Measured("cpu", 1, 2, 4, 205.0),
    Measured("cpu", 2, 1, 4, 150.0),
]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """A small model."""
    return load(mean_colour_folder(tmp_path / "m"))


def test_what_is_nearly_as_fast_with_less_is_recommended() -> None:
    """Within a twentieth of the best: fewer cores, then smaller batches."""
    assert recommended(ROWS) is ROWS[2]
    assert recommended(ROWS[:2]) is ROWS[0]
    assert recommended([*ROWS, Measured("cuda", 1, 1, 8, 3000.0)]).provider == "cuda"


def test_a_batchs_time_is_that_of_one_caller() -> None:
    """Two callers that do 200 a second take 10 ms for a picture each."""
    assert Measured("cpu", 1, 2, 1, 200.0).batch_ms == pytest.approx(10.0)


def test_the_settings_can_be_pasted() -> None:
    """They are keys that a configuration takes."""
    said = yaml.safe_load(as_yaml(ROWS[2]))
    engine = EngineConfig.model_validate(said["engine"])
    assert (engine.providers, engine.threads, engine.callers) == (("cpu",), 1, 2)
    assert said["batch"] == {"max_batch_size": 1}


def test_every_layout_and_size_is_measured(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On each provider that is installed; on two cores in three ways."""
    monkeypatch.setattr(model_bench, "usable_cores", lambda: 2)
    told: list[str] = []
    rows = list(measure(manifest, (1, 4), 0.01, told.append))
    ways = {(row.threads, row.callers, row.batch) for row in rows}
    assert ways == {(t, c, b) for t, c in ((1, 1), (1, 2), (2, 1)) for b in (1, 4)}
    assert {row.provider for row in rows} == {"cpu"}
    assert all(row.samples_per_s > 0 for row in rows)
    assert not told


def test_a_provider_that_does_not_work_is_told(
    manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the runtime's list and cannot be had: left out, with the reason."""
    names = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(runtime, "available", lambda: names)
    told: list[str] = []
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        rows = list(measure(manifest, (1,), 0.01, told.append))
    assert {row.provider for row in rows} == {"cpu"}
    assert "cuda is left out" in told[0]


def test_people_get_a_table_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """Every way, and the YAML of the one to take."""
    show_ways(ROWS, ROWS[2])
    shown = capsys.readouterr().out
    assert "199.0" in shown
    assert "callers: 2" in shown


def test_the_command_prints_json(tmp_path: Path) -> None:
    """One object: the rows, and what is recommended."""
    folder = str(mean_colour_folder(tmp_path / "m"))
    arguments = ["models", "bench", folder, "--seconds", "0.05", "--batch", "2"]
    found = CliRunner().invoke(cli, [*arguments, "--json"])
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert {row["batch"] for row in said["rows"]} == {2}
    assert said["recommended"]["engine"]["provider"] == "cpu"
