"""A classifier of ResNet-50's shape with random weights: its cost, not its sense.

He et al., "Deep Residual Learning for Image Recognition", table 1: 25.5 million
weights, 4.1 GFLOP a picture of 224 by 224. Batch normalisation is folded into the
convolutions, as an exporter does it.
"""

import hashlib
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import yaml
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from sidecar.classify.manifest import FILE_NAME

NAME: Final = "resnet50-random"
LABELS: Final = ("safe", "other")
_STAGES: Final = ((1, 3), (2, 4), (4, 6), (8, 3))  # times the width, blocks
_EXPANSION: Final = 4
_MEAN: Final = (0.485, 0.456, 0.406)
_STD: Final = (0.229, 0.224, 0.225)
_SEED: Final = 50
_OPSET: Final = 17
_IR: Final = 8


@dataclass(frozen=True, slots=True)
class ResNetSettings:
    """How large: `width` 64 and `side` 224 are ResNet-50; tests take less."""

    width: int = 64
    side: int = 224


@dataclass(slots=True)
class _Net:
    """Nodes and weights, one after the other."""

    random: np.random.Generator
    nodes: list[NodeProto] = field(default_factory=list)
    weights: list[TensorProto] = field(default_factory=list)
    ids: "count[int]" = field(default_factory=count)

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        """Appends a node; its output's name."""
        name = f"t{next(self.ids)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def weight(self, value: np.ndarray[Any, Any]) -> str:
        """Keeps a tensor; its name."""
        name = f"w{next(self.ids)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def normal(self, *shape: int, gain: float = 1.0) -> str:
        """Random weights that keep the variance (He), times `gain`."""
        fan_in = int(np.prod(shape[1:]))
        drawn = self.random.standard_normal(shape, np.float32)
        return self.weight(drawn * np.float32(gain * np.sqrt(2 / fan_in)))

    def conv(
        self, x: str, shape: tuple[int, int, int], stride: int = 1, gain: float = 1.0
    ) -> str:
        """A convolution of (out, in, kernel side), with a bias."""
        out, into, side = shape
        weights = self.normal(out, into, side, side, gain=gain)
        bias = self.weight(np.zeros(out, np.float32))
        return self.add(
            "Conv",
            *(x, weights, bias),
            kernel_shape=[side, side],
            strides=[stride, stride],
            pads=[side // 2] * 4,
        )

    def bottleneck(self, x: str, into: int, width: int, stride: int) -> str:
        """1x1, 3x3, 1x1 beside a shortcut."""
        out = width * _EXPANSION
        y = self.add("Relu", self.conv(x, (width, into, 1)))
        y = self.add("Relu", self.conv(y, (width, width, 3), stride))
        y = self.conv(y, (out, width, 1), gain=0.25)  # sums of blocks stay small
        if into != out or stride != 1:
            x = self.conv(x, (out, into, 1), stride)
        return self.add("Relu", self.add("Add", x, y))


def random_resnet50(settings: ResNetSettings | None = None) -> ModelProto:
    """`uint8 (n, side, side, 3)` RGB to `float32 (n, 2)` after a softmax."""
    settings = settings or ResNetSettings()
    net = _Net(np.random.default_rng(_SEED))
    x = _pixels(net)
    width = settings.width
    x = net.add("Relu", net.conv(x, (width, 3, 7), 2))
    x = net.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    into = width
    for index, (times, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            stride = 2 if index and not block else 1
            x = net.bottleneck(x, into, width * times, stride)
            into = width * times * _EXPANSION
    x = net.add("Flatten", net.add("GlobalAveragePool", x), axis=1)
    head = net.normal(len(LABELS), into, gain=0.1)
    logits = net.add("Gemm", x, head, transB=1)
    net.nodes.append(helper.make_node("Softmax", [logits], ["scores"], axis=1))
    return _model(net, settings.side)


def write_resnet50(folder: Path, settings: ResNetSettings | None = None) -> Path:
    """A model folder, `model.onnx` and `model.yaml`, that a configuration can name."""
    settings = settings or ResNetSettings()
    folder.mkdir(parents=True, exist_ok=True)
    data = random_resnet50(settings).SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    card = _card(settings.side, hashlib.sha256(data).hexdigest())
    (folder / FILE_NAME).write_text(yaml.safe_dump(card, sort_keys=False))
    return folder


def _pixels(net: _Net) -> str:
    """Bytes to ImageNet's normalised planes."""
    x = net.add("Transpose", "pixels", perm=[0, 3, 1, 2])
    x = net.add("Cast", x, to=TensorProto.FLOAT)
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (_MEAN, _STD))
    x = net.add("Mul", x, net.weight(1 / (255 * std)))
    return net.add("Sub", x, net.weight(mean / std))


def _model(net: _Net, side: int) -> ModelProto:
    pixels = helper.make_tensor_value_info(
        "pixels", TensorProto.UINT8, ["n", side, side, 3]
    )
    scores = helper.make_tensor_value_info(
        "scores", TensorProto.FLOAT, ["n", len(LABELS)]
    )
    graph = helper.make_graph(net.nodes, NAME, [pixels], [scores], net.weights)
    opsets = [helper.make_opsetid("", _OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
    onnx.checker.check_model(model)
    return model


def _card(side: int, sha256: str) -> dict[str, Any]:
    return {
        "schema": "sidecar.model/1",
        "name": NAME,
        "version": "1",
        "file": "model.onnx",
        "sha256": sha256,
        "licence": "Apache-2.0",
        "provenance": {"source": "sidecar.bench.random_model; random weights"},
        "description": "ResNet-50's shape and cost; its scores mean nothing.",
        "input": {
            "name": "pixels",
            "width": side,
            "height": side,
            "color": "rgb",
            "layout": "nhwc",
            "dtype": "uint8",
            "resize": "area",
        },
        "output": {"name": "scores", "activation": "none"},
        "labels": [{"name": name, "category": name} for name in LABELS],
    }
