"""What the models on the CPU may take for their batches."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from sidecar.classify.manifest import Manifest, load
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.classify.providers import Asked
from sidecar.errors import ConfigError
from tests.fakes.onnx_models import card, mean_colour, model_of, write

MIB = 1 << 20
SETTINGS = EngineSettings(max_batch_size=4)


@pytest.fixture
def manifest() -> Manifest:
    """A model that takes some megabytes a batch."""
    return load(Path("models/testcard"))


def test_too_little_is_told_before_the_start(manifest: Manifest) -> None:
    """With the key, the value, the model and the mend; not as a fault of the file."""
    with pytest.raises(
        ConfigError, match=r"engine\.memory_limit_mb: 1 is too little for .* testcard"
    ) as told:
        OnnxSession(manifest, EngineSettings(asked=Asked(memory_limit=MIB)))
    assert "raise it, or lower batch.max_batch_size" in str(told.value)


def test_enough_changes_no_score(manifest: Manifest) -> None:
    """But for rounding; and there is room for a second session within the limit."""
    limited = EngineSettings(max_batch_size=4, asked=Asked(memory_limit=256 * MIB))
    shape = (4, manifest.input.height, manifest.input.width, 3)
    batch = list(np.random.default_rng(1).integers(0, 256, shape, np.uint8))
    free = OnnxSession(manifest, SETTINGS).run(batch)
    for _ in range(2):
        scores = OnnxSession(manifest, limited).run(batch)
        assert np.abs(scores - free).max() < 1e-5


def heavy(folder: Path, rows: int, columns: int) -> Manifest:
    """Weights of `rows * columns` floats; a picture's batch takes `columns` floats."""
    model = mean_colour()
    nodes = [*model.graph.node[:-1]]  # `g` is the mean colour
    nodes += [
        helper.make_node("MatMul", ["g", "narrow"], ["h"]),
        helper.make_node("MatMul", ["h", "wide"], ["i"]),
        helper.make_node("ReduceMax", ["i"], ["j"], axes=[1], keepdims=1),
        helper.make_node("MatMul", ["j", "out"], ["y"]),
    ]
    weights = {
        "gain": np.float32(1),
        "narrow": np.zeros((3, rows), np.float32),
        "wide": np.zeros((rows, columns), np.float32),
        "out": np.zeros((1, 3), np.float32),
    }
    made = model_of(nodes, model.graph.input, model.graph.output, weights=weights)
    return load(write(folder, made, card()))


def test_weights_do_not_count_and_do_not_end_the_limit(tmp_path: Path) -> None:
    """40 MiB of them within 16; and batches of 40 MiB are refused beside them."""
    asked = Asked(memory_limit=16 * MIB)
    settings = EngineSettings(max_batch_size=1, asked=asked)
    light = heavy(tmp_path / "light", 256, 40 * 1024)
    picture = np.zeros((light.input.height, light.input.width, 3), np.uint8)
    assert OnnxSession(light, settings).run([picture]).shape == (1, 3)
    with pytest.raises(ConfigError, match="16 is too little for 1 pictures"):
        OnnxSession(heavy(tmp_path / "wide", 1, 10 * 1024 * 1024), settings)
