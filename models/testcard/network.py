# ruff: noqa: INP001
"""The small network, and its graph for ONNX with the preprocessing baked in."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from codec import SIDE
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from sidecar.testcard.cards import CATEGORIES

OPSET = 17  # onnxruntime 1.22 knows it well
IR_VERSION = 8
EPSILON = 1e-5
PLAN = ((3, 16, 2), (16, 32, 2), (32, 48, 2), (48, 64, 2), (64, 96, 1), (96, 96, 2))
"""Convolutions of 3x3, each with normalisation and ReLU: channels in, out, stride."""

Array = NDArray[np.float32]


def network() -> nn.Sequential:
    """Return the untrained network: `float (n, 3, 128, 128)` of 0…1 to logits."""
    layers: list[nn.Module] = []
    for taken, given, stride in PLAN:
        layers += [
            nn.Conv2d(taken, given, 3, stride, 1, bias=False),
            nn.BatchNorm2d(given, EPSILON),
            nn.ReLU(),
        ]
    wide = PLAN[-1][1]
    head = [nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Dropout(0.2)]
    return nn.Sequential(*layers, *head, nn.Linear(4 * wide, len(CATEGORIES)))


def folded(net: nn.Sequential) -> Iterator[tuple[Array, Array]]:
    """Yield weight and bias of each convolution, its normalisation folded in."""
    state = {name: _array(value) for name, value in net.state_dict().items()}
    for index in range(len(PLAN)):
        conv, norm = 3 * index, 3 * index + 1
        spread = np.sqrt(state[f"{norm}.running_var"] + np.float32(EPSILON))
        gain = state[f"{norm}.weight"] / spread
        bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
        yield state[f"{conv}.weight"] * gain[:, None, None, None], bias


def export(net: nn.Sequential, path: Path) -> None:
    """Write the graph: `uint8 (n, 128, 128, 3)` RGB in, `scores (n, 4)` out, 0…1."""
    nodes = [
        helper.make_node("Transpose", ["picture"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["conv0"], to=TensorProto.FLOAT),
    ]
    constants: dict[str, NDArray[np.generic]] = {}
    for index, (weight, bias) in enumerate(folded(net)):
        scale = np.float32(1 / 255) if index == 0 else np.float32(1)
        constants |= {f"weight{index}": weight * scale, f"bias{index}": bias}
        nodes += _convolution(index, PLAN[index][2])
    state, head = net.state_dict(), len(net) - 1
    constants |= {name: _array(state[f"{head}.{name}"]) for name in ("weight", "bias")}
    nodes += _head(f"conv{len(PLAN)}")
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "testcard",
            [
                helper.make_tensor_value_info(
                    "picture", TensorProto.UINT8, ["n", SIDE, SIDE, 3]
                )
            ],
            [
                helper.make_tensor_value_info(
                    "scores", TensorProto.FLOAT, ["n", len(CATEGORIES)]
                )
            ],
            [
                numpy_helper.from_array(np.ascontiguousarray(v), k)
                for k, v in constants.items()
            ],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="models/testcard/train.py",
    )
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _convolution(index: int, stride: int) -> list[onnx.NodeProto]:
    inputs = [f"conv{index}", f"weight{index}", f"bias{index}"]
    pads, strides = [1, 1, 1, 1], [stride, stride]
    return [
        helper.make_node("Conv", inputs, [f"raw{index}"], pads=pads, strides=strides),
        helper.make_node("Relu", [f"raw{index}"], [f"conv{index + 1}"]),
    ]


def _head(features: str) -> list[onnx.NodeProto]:
    inputs = ["flat", "weight", "bias"]
    return [
        helper.make_node(
            "MaxPool", [features], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]
        ),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", inputs, ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
    ]


def _array(tensor: torch.Tensor) -> Array:
    return np.asarray(tensor.detach().numpy(), np.float32)
