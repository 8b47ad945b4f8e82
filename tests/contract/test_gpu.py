"""The path through an NVIDIA GPU; skipped where there is none."""

from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from sidecar.arena import PictureArena, PictureSlots
from sidecar.classify import runtime
from sidecar.classify.manifest import load
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.classify.pinned import Pins, cuda_runtime
from sidecar.classify.providers import Asked

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        "CUDAExecutionProvider" not in runtime.available(),
        reason="the installed runtime has no CUDA: pip install onnxruntime-gpu",
    ),
]
TESTCARD = Path(__file__).parents[2] / "models" / "testcard"


@pytest.mark.parametrize("graphs", [False, True])
@pytest.mark.parametrize("count", [1, 3, 8, 32])
def test_the_gpu_says_what_the_cpu_says(count: int, *, graphs: bool) -> None:
    """Within 1e-3, in place and gathered, also when a graph is replayed."""
    manifest = load(TESTCARD)
    size = manifest.input
    noise = np.random.default_rng(count).integers(
        0, 256, (count, size.height, size.width, 3), np.uint8
    )
    arena = PictureArena(PictureSlots(manifest.format, 64))
    batch = [p for p in (arena.take() for _ in range(count)) if p is not None]
    for picture, values in zip(batch, noise, strict=True):
        picture[:] = values
    cpu = OnnxSession(
        manifest, EngineSettings(max_batch_size=32, asked=Asked(("cpu",)))
    )
    gpu = OnnxSession(
        manifest,
        EngineSettings(
            max_batch_size=32, asked=Asked(("cuda",), required=True, graphs=graphs)
        ),
    )
    wanted = cpu.run(list(noise))
    for _ in range(3):
        assert np.abs(gpu.run(batch) - wanted).max() < 1e-3
        assert np.abs(gpu.run(list(noise)) - wanted).max() < 1e-3


def test_memory_is_page_locked_by_the_real_library() -> None:
    """An array of ours can be locked, and unlocked again."""
    OnnxSession(load(TESTCARD), EngineSettings(asked=Asked(("cuda",), required=True)))
    pins = Pins(cuda_runtime())
    array = np.zeros((4, 8, 8, 3), np.uint8)
    with capture_logs() as logs:
        pins.pin(array, array.ctypes.data)
    assert not logs
    del array
