"""The worked example of docs/replay.md is run as it stands."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sidecar.cli import cli
from sidecar.config import load

DOCUMENT = Path(__file__).parents[3] / "docs" / "replay.md"


def _commands(text: str) -> list[list[str]]:
    blocks = re.findall(r"<!-- run -->\n```\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def test_the_worked_example_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command as it is written, with the label file that stands between them."""
    text = DOCUMENT.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    (labels,) = re.findall(r"```csv\n(.*?)```", text, re.DOTALL)
    (tmp_path / "labels.csv").write_text(labels)
    commands = _commands(text)
    assert len(commands) == 4
    for command in commands:
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
    assert "found after" in (tmp_path / "report.html").read_text()


def test_the_record_section_is_a_configuration(tmp_path: Path) -> None:
    """Each key with the default that it shows."""
    text = DOCUMENT.read_text(encoding="utf-8")
    (section,) = re.findall(r"```yaml\n(record:.*?)```", text, re.DOTALL)
    rest = (
        "mqtt: {host: localhost}\noutbox: {path: o}\npolicies: [{name: p, rules: ["
        "{name: r, category: drugs, action: flag, enter: 0.9, exit: 0.5, hits: 1, "
        "of: 1, within_s: 1}]}]\n"
    )
    (tmp_path / "a.yaml").write_text(section + rest)
    (tmp_path / "b.yaml").write_text("record: {folder: recordings}\n" + rest)
    assert load(tmp_path / "a.yaml", {}).record == load(tmp_path / "b.yaml", {}).record
