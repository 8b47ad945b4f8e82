"""Graphs are checked, and preprocessing is baked in so that it equals numpy's."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from sidecar.classify.graph import prepare
from sidecar.classify.manifest import Manifest, load
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.domain import Picture
from sidecar.errors import ManifestError
from tests.fakes.onnx_models import GAIN, SIDE, card, mean_colour, model_of, write

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
Floats = NDArray[np.float64]


def manifest_of(folder: Path, model: ModelProto | bytes, **changes: Any) -> Manifest:  # noqa: ANN401
    """The manifest of a folder written on the spot."""
    return load(write(folder, model, card(**changes)))


def pictures(count: int) -> list[Picture]:
    """Noise, repeatable."""
    noise = np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3))
    return list(noise.astype(np.uint8))


def by_numpy(batch: list[Picture], spec: dict[str, Any], activation: str) -> Floats:
    """What the manifest says, done the long way: swap, scale, normalise, net."""
    values = np.stack(batch).astype(np.float64)
    if spec.get("color") == "bgr":
        values = values[..., ::-1]
    scaled = values * spec.get("scale", 1.0) - np.array(spec.get("mean", [0.0] * 3))
    raw: Floats = GAIN * (scaled / np.array(spec.get("std", [1.0] * 3))).mean(
        axis=(1, 2)
    )
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-raw)))
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("norm", [{}, {"mean": MEAN, "std": STD}], ids=["", "imagenet"])
def test_baked_equals_numpy(
    tmp_path: Path, layout: str, color: str, norm: dict[str, Any], activation: str
) -> None:
    """Whatever the net wants, uint8 RGB NHWC goes in and the right scores come out."""
    spec = {"layout": layout, "color": color, "scale": 1 / 255, **norm}
    output = {"activation": activation}
    model = mean_colour(layout=layout)
    manifest = manifest_of(tmp_path / "m", model, input=spec, output=output)
    session = OnnxSession(manifest, EngineSettings(max_batch_size=3))
    batch = pictures(3)
    wanted = by_numpy(batch, spec, activation)
    assert session.run(batch) == pytest.approx(wanted, abs=1e-5)
    assert session.run(batch[:1]) == pytest.approx(wanted[:1], abs=1e-5)


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_a_net_that_takes_bytes_is_only_turned(
    tmp_path: Path, layout: str, color: str
) -> None:
    """A uint8 net gets no arithmetic, at most a swap and a transpose."""
    spec = {"layout": layout, "color": color, "dtype": "uint8", "scale": 1.0}
    model = mean_colour(layout=layout, dtype="uint8")
    manifest = manifest_of(tmp_path / "m", model, input=spec)
    ops = set(prepare(manifest).baked)
    assert ops <= {"Gather", "Transpose", "Softmax"}
    session = OnnxSession(manifest, EngineSettings(max_batch_size=2))
    wanted = by_numpy(pictures(2), {**spec, "scale": 1 / 255}, "softmax")
    assert session.run(pictures(2)) == pytest.approx(wanted, abs=1e-5)


def test_a_baked_graph_is_left_as_it_is(tmp_path: Path) -> None:
    """uint8 NHWC RGB in, scores out: nothing is put around it."""
    spec = {"layout": "nhwc", "dtype": "uint8", "scale": 1.0}
    model = mean_colour(layout="nhwc", dtype="uint8", softmax=True)
    manifest = manifest_of(
        tmp_path / "m", model, input=spec, output={"activation": "none"}
    )
    prepared = prepare(manifest)
    assert prepared.baked == ()
    again = onnx.load_model_from_string(prepared.data)
    assert [n.op_type for n in again.graph.node] == [
        n.op_type for n in model.graph.node
    ]


def test_bytes_are_turned_before_they_grow(tmp_path: Path) -> None:
    """Swap and transpose move one byte a value, not four."""
    spec = {"color": "bgr", "mean": MEAN, "std": STD}
    manifest = manifest_of(tmp_path / "m", mean_colour(), input=spec)
    prepared = prepare(manifest)
    assert prepared.baked == ("Gather", "Transpose", "Cast", "Mul", "Add", "Softmax")
    onnx.checker.check_model(onnx.load_model_from_string(prepared.data))


@pytest.mark.parametrize("batch", [1, 7, "batch"])
def test_any_batch_size_runs(tmp_path: Path, batch: str | int) -> None:
    """A graph that was exported for one batch size takes every one."""
    manifest = manifest_of(tmp_path / "m", mean_colour(batch=batch))
    session = OnnxSession(manifest, EngineSettings(max_batch_size=4))
    for count in (1, 2, 3, 4):
        assert session.run(pictures(count)).shape == (count, 3)


@pytest.mark.parametrize("opset", [9, 11, 13, 17])
def test_old_opsets_run(tmp_path: Path, opset: int) -> None:
    """The baked nodes mean the same in every opset from 9 on."""
    manifest = manifest_of(tmp_path / "m", mean_colour(opset=opset))
    session = OnnxSession(manifest, EngineSettings(max_batch_size=2))
    wanted = by_numpy(pictures(2), {"scale": 1 / 255}, "softmax")
    assert session.run(pictures(2)) == pytest.approx(wanted, abs=1e-5)


def test_unknown_sizes_are_left_to_the_run(tmp_path: Path) -> None:
    """A graph may keep quiet about its output's shape."""
    model = mean_colour()
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "labels"
    session = OnnxSession(manifest_of(tmp_path / "m", model), EngineSettings())
    assert session.run(pictures(1)).shape == (1, 3)


def test_old_files_list_their_weights_as_inputs(tmp_path: Path) -> None:
    """IR version 3 demands it; they are no pictures."""
    model = mean_colour(opset=9)
    model.ir_version = 3
    weight = helper.make_tensor_value_info("gain", TensorProto.FLOAT, [])
    model.graph.input.append(weight)
    session = OnnxSession(manifest_of(tmp_path / "m", model), EngineSettings())
    assert session.run(pictures(1)).shape == (1, 3)


def test_a_net_that_cannot_grow_its_batch_is_told(tmp_path: Path) -> None:
    """A reshape to one picture inside the net shows at load, not under traffic."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Reshape", ["m", "one"], ["y"]),
    ]
    model = model_of(
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        weights={"one": np.array([1, 3], np.int64)},
    )
    manifest = manifest_of(tmp_path / "m", model)
    with pytest.raises(ManifestError, match="dynamic batch axis"):
        OnnxSession(manifest, EngineSettings(max_batch_size=2))
    session = OnnxSession(manifest, EngineSettings(max_batch_size=1))
    assert session.run(pictures(1)).shape == (1, 3)
