"""A model folder whose net takes its time as soon as a picture is blue.

The classifier is stalled by what it is shown, as by an operator's own model gone
wrong: nothing in the product knows of it. The net is a Loop that multiplies a matrix
with itself, once for any picture and very often where one of the batch is blue.
"""

import hashlib
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import yaml
from onnx import GraphProto, ModelProto, TensorProto, helper

NAME: Final = "stalling"
_SIDE: Final = 8
_MATRIX: Final = 64
_BLUE: Final = 100.0  # of 255: so much more blue than red
_TRIAL: Final = 20_000

_CARD: Final[dict[str, Any]] = {
    "schema": "sidecar.model/1",
    "name": NAME,
    "version": "1",
    "file": "model.onnx",
    "licence": "Apache-2.0",
    "provenance": {"source": "benchmarks/stalling_model.py", "data": "none"},
    "description": "Finds every picture safe, and a blue one after a long while.",
    "input": {
        "name": "x",
        "width": _SIDE,
        "height": _SIDE,
        "color": "rgb",
        "layout": "nhwc",
        "dtype": "uint8",
        "resize": "area",
    },
    "output": {"name": "y", "activation": "none"},
    "labels": [
        {"name": "safe", "category": "safe"},
        {"name": "explicit", "category": "sexual.explicit"},
    ],
}


def write(folder: Path, stall_s: float) -> None:
    """Writes `folder`/stalling, whose batches take about `stall_s` with a blue picture.

    How many rounds that takes is measured on this machine, now.
    """
    path = folder / NAME
    path.mkdir(parents=True)
    rounds = max(1, round(_TRIAL * stall_s / _time(_TRIAL)))
    data = model(rounds).SerializeToString()
    (path / "model.onnx").write_bytes(data)
    card = {**_CARD, "sha256": hashlib.sha256(data).hexdigest()}
    (path / "model.yaml").write_text(yaml.safe_dump(card))


def _time(rounds: int) -> float:
    """Seconds that a blue picture takes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model(rounds).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    began = time.perf_counter()
    session.run(None, {"x": np.full((1, _SIDE, _SIDE, 3), (0, 0, 255), np.uint8)})
    return time.perf_counter() - began


def model(rounds: int) -> ModelProto:
    """The net: one round, or `rounds` where a picture is blue."""
    node = helper.make_node
    nodes = [
        node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
        node("ReduceMean", ["floats"], ["means"], axes=[1, 2], keepdims=0),
        node("MatMul", ["means", "blue_less_red"], ["tints"]),
        node("ReduceMax", ["tints"], ["bluest"], keepdims=0),
        node("Greater", ["bluest", "blue"], ["is_blue"]),
        node("Where", ["is_blue", "many", "one"], ["trips"]),
        node("Loop", ["trips", "", "eye"], ["spent"], body=_body()),
        node("ReduceMean", ["spent"], ["some"], keepdims=0),
        node("Add", ["tints", "some"], ["all_of_it"]),
        node("Mul", ["all_of_it", "nothing"], ["zeros"]),
        node("Add", ["zeros", "scores"], ["y"]),
    ]
    shape: list[str | int] = ["n", _SIDE, _SIDE, 3]
    weights: dict[str, Any] = {
        "blue": np.float32(_BLUE),
        "blue_less_red": np.array([[-1], [0], [1]], np.float32),
        "many": np.int64(rounds),
        "one": np.int64(1),
        "eye": np.eye(_MATRIX, dtype=np.float32),
        "nothing": np.float32(0),
        "scores": np.array([[1, 0]], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "stalling",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
        [
            onnx.numpy_helper.from_array(np.asarray(value), name)
            for name, value in weights.items()
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _body() -> GraphProto:
    """One round: the matrix times itself."""
    matrix = [_MATRIX, _MATRIX]
    value = helper.make_tensor_value_info
    return helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes_on"]),
            helper.make_node("MatMul", ["before", "before"], ["after"]),
        ],
        "round",
        [
            value("number", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("before", TensorProto.FLOAT, matrix),
        ],
        [
            value("goes_on", TensorProto.BOOL, []),
            value("after", TensorProto.FLOAT, matrix),
        ],
    )
