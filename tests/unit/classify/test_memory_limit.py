"""What the models on the CPU may take for their batches."""

from pathlib import Path

import numpy as np
import pytest

from sidecar.classify.manifest import Manifest, load
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.classify.providers import Asked
from sidecar.errors import ConfigError

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
    """The same, with and without; and a second session within the same limit."""
    limited = EngineSettings(max_batch_size=4, asked=Asked(memory_limit=256 * MIB))
    shape = (4, manifest.input.height, manifest.input.width, 3)
    batch = list(np.random.default_rng(1).integers(0, 256, shape, np.uint8))
    free = OnnxSession(manifest, SETTINGS).run(batch)
    for _ in range(2):
        assert np.array_equal(OnnxSession(manifest, limited).run(batch), free)
