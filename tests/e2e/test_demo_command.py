"""`sidecar demo`, as a newcomer runs it."""

import json
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from sidecar.publish.schema import json_schemas
from tests.e2e.processes import Child

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_once_as_json(tmp_path: Path, codec: str) -> None:
    """Exit 0, and on stdout exactly one JSON object: the takedown and how fast."""
    command = [sys.executable, "-m", "sidecar", "demo", "--once", "--json"]
    child = Child(
        "demo",
        [*command, "--codec", codec],
        tmp_path / "demo.log",
        stdout=tmp_path / "demo.out",
    )
    try:
        code = child.wait(90)
    finally:
        child.kill()
    assert code == 0, child.tail()
    said = json.loads(child.stdout.read_text())
    assert set(said) == {"action", "card_shown_to_takedown_ms", "streams"}
    assert said["streams"] == 1
    assert 0 < said["card_shown_to_takedown_ms"] < 15_000
    Draft202012Validator(
        json_schemas()["action"], format_checker=FormatChecker()
    ).validate(said["action"])
    assert said["action"]["action"] == "takedown"
    assert said["action"]["subject"]["source"] == "whip"
