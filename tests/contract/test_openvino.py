"""OpenVINO in an environment of its own says what the CPU provider says here.

`OPENVINO_PYTHON` names that environment's interpreter: the runtimes overwrite each
other's files, so it cannot be this one.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.manifest import load
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.classify.providers import Asked
from sidecar.testcard.cards import CATEGORIES, draw
from tests.e2e.processes import missing

ROOT: Final = Path(__file__).parents[2]
HOW: Final = (
    "OPENVINO_PYTHON names no Python with onnxruntime-openvino; make one by:"
    " python3 -m venv ov && ov/bin/pip install --require-hashes"
    " -r requirements-openvino.lock; export OPENVINO_PYTHON=$PWD/ov/bin/python"
)
MANIFEST: Final = load(ROOT / "models" / "testcard")


def openvino(
    folder: Path, provider: str, pictures: NDArray[np.uint8]
) -> subprocess.CompletedProcess[str]:
    """The child's end, on the least configuration with `provider` required."""
    python = os.environ.get("OPENVINO_PYTHON")  # noqa: TID251 tests' switch
    if not python:
        missing(HOW)
    least = (ROOT / "configs" / "minimal.yaml").read_text()
    engine = f"\nengine: {{provider: [{provider}], required: true}}\n"
    (folder / "config.yaml").write_text(least + engine)
    np.save(folder / "pictures.npy", pictures)
    files = [str(folder / n) for n in ("config.yaml", "pictures.npy", "scores.npy")]
    command = [str(python), "-m", "tests.contract.openvino_child", *files]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251 handed on
    return subprocess.run(  # noqa: S603 our own command
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def shown() -> NDArray[np.uint8]:
    """Every card, black, white and noise: more than a batch, and the last one short."""
    spec = MANIFEST.input
    cards = [draw(category, spec.width, spec.height) for category in CATEGORIES]
    plain = [np.full_like(cards[0], level) for level in (0, 255)]
    size = (8, *cards[0].shape)
    noise = np.random.default_rng(7).integers(0, 256, size, np.uint8)
    return np.stack([*cards, *plain, *noise])


def test_openvino_says_what_the_cpu_says(tmp_path: Path) -> None:
    """All of the graph is OpenVINO's, `verify` finds nothing, scores within 1e-4."""
    pictures = shown()
    result = openvino(tmp_path, "openvino", pictures)
    assert result.returncode == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    assert told["facts"]["provider"] == "openvino"
    assert not told["facts"]["why_not"]
    assert told["nodes"].keys() == {"OpenVINOExecutionProvider"}
    assert all(check["ok"] for check in told["checks"]), told["checks"]

    settings = EngineSettings(max_batch_size=len(pictures), asked=Asked(("cpu",)))
    wanted = OnnxSession(MANIFEST, settings).run(list(pictures))
    got = np.load(tmp_path / "scores.npy")
    assert np.ptp(wanted[: len(CATEGORIES)], axis=0).max() > 0.9  # the cards do differ
    assert np.abs(got - wanted).max() < 1e-4


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """OpenVINO is asked for it, and the CPU does not stand in when it is required."""
    result = openvino(tmp_path, "{openvino: {device_type: GPU.99}}", shown())
    assert result.returncode != 0
    assert "engine.provider: openvino is required, but openvino: it is" in result.stderr
