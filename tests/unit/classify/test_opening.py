"""Opening a graph: the best provider that works, and the truth about the others."""

from pathlib import Path

import onnxruntime as ort
import pytest

from sidecar.classify import graph, opening
from sidecar.classify.manifest import load
from sidecar.classify.opening import open_on
from sidecar.classify.providers import Asked, Input
from sidecar.errors import ConfigError, EngineError
from tests.fakes.onnx_models import SIDE, mean_colour_folder

BATCH = Input("sidecar_pixels", SIDE, SIDE, 4)
CPU = ["CPUExecutionProvider"]


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    """A graph that runs anywhere."""
    return graph.prepare(load(mean_colour_folder(tmp_path / "m"))).data


def test_auto_on_a_cpu_build_is_the_cpu(data: bytes) -> None:
    """Nothing else is installed, so there is nothing to explain."""
    opened = open_on(data, Asked(), CPU, 1, BATCH)
    assert opened.got.provider == "cpu"
    assert not opened.got.why_not
    assert opened.session.get_providers() == CPU


def test_the_cpu_stands_in_and_says_why(data: bytes) -> None:
    """Named, but not in this build; half precision, which the CPU does not serve."""
    opened = open_on(data, Asked(("cuda",), half=True), CPU, 1, BATCH)
    assert opened.got.provider == "cpu"
    assert opened.got.why_not == (
        "cuda: the installed runtime has no CUDAExecutionProvider; "
        "fp16: cpu does not serve it here"
    )


def test_required_refuses_to_start(data: bytes) -> None:
    """The key, the reason and the mend are in the error."""
    with pytest.raises(
        ConfigError, match=r"engine\.provider: cuda is required, but cuda: .*mend"
    ):
        open_on(data, Asked(("cuda",), required=True), CPU, 1, BATCH)


def test_one_that_is_installed_and_does_not_work(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it raises or leaves itself out: the next one is tried, and it told."""
    real = opening._open

    def broken(
        data: bytes,
        name: str,
        options: dict[str, str],
        threads: int,
        limit: int | None,
    ) -> ort.InferenceSession:
        if name == "tensorrt":
            raise RuntimeError("libnvinfer.so.10: not found\nand more")
        return real(data, "cpu", options, threads, limit)

    monkeypatch.setattr(opening, "_open", broken)
    build = ["TensorrtExecutionProvider", "CUDAExecutionProvider", *CPU]
    opened = open_on(data, Asked(), build, 1, BATCH)
    assert opened.got.provider == "cpu"
    assert opened.got.refused == (
        ("tensorrt", "libnvinfer.so.10: not found"),
        ("cuda", "it is installed, but its device or a library is missing"),
    )


def test_a_graph_that_nothing_runs_is_an_error() -> None:
    """Not a matter of providers."""
    with pytest.raises(EngineError, match="onnxruntime refuses it"):
        open_on(b"garbage", Asked(), CPU, 1, BATCH)
