"""Nothing is told to anybody unasked, by no library either."""

import subprocess
import sys
from pathlib import Path

_LOAD = """
from pathlib import Path
from sidecar.classify.manifest import load
from sidecar.classify.onnx_session import OnnxSession
OnnxSession(load(Path("models/testcard")))
"""


def test_the_runtime_keeps_no_record_of_its_use(tmp_path: Path) -> None:
    """Its telemetry lays files into the home directory before it sends anything."""
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    subprocess.run(  # noqa: S603 our own interpreter
        [sys.executable, "-c", _LOAD], check=True, env=environment
    )
    assert not list(tmp_path.rglob("*"))
