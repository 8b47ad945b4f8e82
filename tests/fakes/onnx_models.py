"""Model folders for tests: a net of three nodes that looks at the mean colour."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import ModelProto, TensorProto, helper

SIDE = 8
GAIN = 4.0

CARD: dict[str, Any] = {
    "schema": "sidecar.model/1",
    "name": "mean-colour",
    "version": "1",
    "file": "model.onnx",
    "sha256": "",
    "licence": "Apache-2.0",
    "provenance": {"source": "made by the tests"},
    "description": "Tells red from green from blue.",
    "input": {
        "name": "x",
        "width": SIDE,
        "height": SIDE,
        "color": "rgb",
        "layout": "nchw",
        "dtype": "float32",
        "scale": 1 / 255,
        "resize": "area",
    },
    "output": {"name": "y", "activation": "softmax"},
    "labels": [
        {"name": "red", "category": "violence.graphic"},
        {"name": "green", "category": "safe"},
        {"name": "blue", "category": "sexual.explicit"},
    ],
}


def card(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (anything, wrong on purpose)
    """The good card with some keys replaced; `input` and `output` are merged."""
    merged = {**CARD, **changes}
    for part in ("input", "output"):
        if isinstance(changes.get(part), dict):
            merged[part] = {**CARD[part], **changes[part]}
    return merged


def write(folder: Path, model: ModelProto | bytes, card: dict[str, Any]) -> Path:
    """A folder with `model` and `card`; the hash is filled in if it is empty."""
    folder.mkdir(parents=True, exist_ok=True)
    data = model if isinstance(model, bytes) else model.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    digest = card["sha256"] or hashlib.sha256(data).hexdigest()
    text = yaml.safe_dump({**card, "sha256": digest})
    (folder / "model.yaml").write_text(text)
    return folder


def mean_colour(
    *,
    layout: str = "nchw",
    dtype: str = "float32",
    batch: str | int = "n",
    opset: int = 17,
    softmax: bool = False,
) -> ModelProto:
    """`GAIN` times the mean of each channel, for `CARD`'s input."""
    shape: list[str | int] = [batch, 3, SIDE, SIDE]
    axes = [2, 3]
    if layout == "nhwc":
        shape, axes = [batch, SIDE, SIDE, 3], [1, 2]
    floats = dtype == "float32"
    by = GAIN if floats else GAIN / 255
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], axes=axes, keepdims=0),
        helper.make_node("Mul", ["m", "gain"], ["g"]),
        helper.make_node("Softmax", ["g"], ["y"], axis=1)
        if softmax
        else helper.make_node("Identity", ["g"], ["y"]),
    ]
    kind = TensorProto.FLOAT if floats else TensorProto.UINT8
    return model_of(
        nodes,
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])],
        weights={"gain": np.float32(by)},
        opset=opset,
    )


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    *,
    weights: dict[str, Any] | None = None,
    opset: int = 17,
) -> ModelProto:
    """A model of these parts."""
    initializers = [
        onnx.numpy_helper.from_array(np.asarray(value), name)
        for name, value in (weights or {}).items()
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def mean_colour_folder(folder: Path, **changes: Any) -> Path:  # noqa: ANN401
    """A whole good model folder."""
    return write(folder, mean_colour(), card(**changes))


def boxes_of_colours(
    *, anchors_first: bool = False, objectness: bool = False, sigmoid: bool = False
) -> ModelProto:
    """A detector for `CARD`'s input: each pixel is an anchor.

    A box of four numbers; with `objectness` its green; then the classes red and blue.
    With `sigmoid` the numbers are still to be put through one.
    """
    rows = [0, 0, 0, 0, *([1] if objectness else []), 0, 2]
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["channels"]),
        helper.make_node("Gather", ["channels", "rows"], ["picked"], axis=1),
        helper.make_node("Mul", ["picked", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["moved"]),
        helper.make_node("Transpose", ["moved"], ["y"], perm=[0, 2, 1])
        if anchors_first
        else helper.make_node("Identity", ["moved"], ["y"]),
    ]
    anchors = SIDE * SIDE
    shape = [anchors, len(rows)] if anchors_first else [len(rows), anchors]
    return model_of(
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *shape])],
        weights={
            "flat": np.array([0, 3, anchors], np.int64),
            "rows": np.array(rows, np.int64),
            "gain": np.float32(8 if sigmoid else 1),
            "shift": np.float32(-4 if sigmoid else 0),
        },
    )
