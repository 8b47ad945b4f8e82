"""Builds an ONNX net from TensorFlow's operations: NHWC there, NCHW here.

Shapes are followed, so that padding is known and nothing is joined that does not fit.
Weights are kept in double precision until the end: batch normalisation folds into them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from sidecar.errors import ManifestError

INPUT: Final = "pixels"
OUTPUT: Final = "scores"
_OPSET: Final = 13
_IR: Final = 8
_MAX_SIDE: Final = 1024

Padding = Literal["valid", "same"]
Pads = tuple[int, int, int, int]  # top, left, bottom, right
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor: `(n, channels, height, width)`, or `(n, channels)` if it is flat.

    `pads` are still to be applied, by the convolution that takes it.
    """

    name: str
    channels: int
    height: int = 1
    width: int = 1
    flat: bool = False
    pads: Pads = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Window:
    """A convolution's or pooling's way over the picture."""

    strides: tuple[int, int]
    padding: Padding


class Net:
    """A net that grows from its input."""

    def __init__(self) -> None:
        self._nodes: list[NodeProto] = []
        self._weights: dict[str, NDArray[np.float64]] = {}
        self._size = (0, 0)

    def pixels(self, height: int, width: int) -> Value:
        """The input: bytes, RGB, of this size, to floats of 0…1."""
        if not (0 < height <= _MAX_SIDE and 0 < width <= _MAX_SIDE):
            raise ManifestError(
                f"its input is {width}x{height}, which is not supported"
            )
        self._size = (height, width)
        turned = self._add("Transpose", INPUT, perm=[0, 3, 1, 2])
        floats = self._add("Cast", turned, to=TensorProto.FLOAT)
        whole = self._weight(np.array(255.0))
        return Value(self._add("Div", floats, whole), 3, height, width)

    def scale(self, x: Value, factor: Array) -> Value:
        """Times a number."""
        return replace(x, name=self._add("Mul", x.name, self._number(factor)))

    def shift(self, x: Value, by: Array) -> Value:
        """Minus a number."""
        return replace(x, name=self._add("Sub", x.name, self._number(by)))

    def pad(self, x: Value, pads: Pads) -> Value:
        """Zeros around it, put there by the convolution that follows."""
        self._spatial(x)
        if min(pads) < 0 or max(pads) > 16:  # noqa: PLR2004 more is no such net
            raise ManifestError(f"pads by {pads}, which is not supported")
        return replace(x, pads=pads)

    def conv(self, x: Value, kernel: Array, bias: Array | None, at: Window) -> Value:
        """A convolution with a kernel of `(height, width, in, out)`."""
        if kernel.ndim != 4 or kernel.shape[2] != x.channels:  # noqa: PLR2004
            raise ManifestError(f"a kernel of {kernel.shape} on {x.channels} channels")
        return self._conv(x, kernel.transpose(3, 2, 0, 1), bias, at, groups=1)

    def depthwise(
        self, x: Value, kernel: Array, bias: Array | None, at: Window
    ) -> Value:
        """One filter a channel, with a kernel of `(height, width, channels, 1)`."""
        if kernel.ndim != 4 or kernel.shape[2:] != (x.channels, 1):  # noqa: PLR2004
            raise ManifestError(f"a kernel of {kernel.shape} on {x.channels} channels")
        turned = kernel.transpose(2, 3, 0, 1)
        return self._conv(x, turned, bias, at, groups=x.channels)

    def batch_norm(self, x: Value, factor: Array, shift: Array) -> Value:
        """Folds `x * factor + shift`, a number a channel, into the convolution `x`."""
        kernel, bias = f"{x.name}_kernel", f"{x.name}_bias"
        if bias not in self._weights:
            raise ManifestError("a batch normalisation that follows no convolution")
        factor = self._per_channel(factor, x.channels)
        self._weights[kernel] = self._weights[kernel] * factor[:, None, None, None]
        shifted = self._weights[bias] * factor
        self._weights[bias] = shifted + self._per_channel(shift, x.channels)
        return x

    def relu(self, x: Value, most: float | None) -> Value:
        """Not below 0, nor above `most`."""
        if most is None:
            return replace(x, name=self._add("Relu", x.name))
        zero, top = (self._weight(np.array(v, np.float64)) for v in (0.0, most))
        return replace(x, name=self._add("Clip", x.name, zero, top))

    def add(self, x: Value, y: Value) -> Value:
        """The sum of two of one shape."""
        if replace(x, name="") != replace(y, name="") or any(x.pads):
            raise ManifestError(f"adds tensors of different shapes: {x}, {y}")
        return replace(x, name=self._add("Add", x.name, y.name))

    def average(self, x: Value, side: tuple[int, int]) -> Value:
        """The mean over all of the picture, which must be of the size `side`."""
        self._spatial(x)
        if side != (x.height, x.width):
            raise ManifestError(f"pools {side} of {x.height}x{x.width}: not supported")
        return Value(self._add("GlobalAveragePool", x.name), x.channels)

    def flatten(self, x: Value) -> Value:
        """One picture of 1x1 to its channels."""
        if x.flat or (x.height, x.width) != (1, 1):
            raise ManifestError("flattens more than one pixel; not supported")
        return Value(self._add("Flatten", x.name, axis=1), x.channels, flat=True)

    def dense(self, x: Value, kernel: Array, bias: Array) -> Value:
        """Times a matrix of `(in, out)`, plus a bias."""
        if not x.flat or kernel.ndim != 2 or len(kernel) != x.channels:  # noqa: PLR2004
            raise ManifestError(f"a matrix of {kernel.shape} on {x}")
        out = kernel.shape[1]
        weights = self._weight(kernel), self._weight(self._per_channel(bias, out))
        return Value(self._add("Gemm", x.name, *weights), out, flat=True)

    def softmax(self, x: Value) -> Value:
        """Scores that sum to 1."""
        if not x.flat:
            raise ManifestError("a softmax over a picture is not supported")
        return replace(x, name=self._add("Softmax", x.name, axis=1))

    def model(self, scores: Value, labels: int) -> ModelProto:
        """The whole, `uint8 (n, height, width, 3)` to `float32 (n, labels)`."""
        if not scores.flat or scores.channels != labels:
            raise ManifestError(f"ends in {scores}, not in {labels} scores")
        self._nodes.append(helper.make_node("Identity", [scores.name], [OUTPUT]))
        pixels = helper.make_tensor_value_info(
            INPUT, TensorProto.UINT8, ["n", *self._size, 3]
        )
        out = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", labels])
        weights = [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in self._weights.items()
        ]
        graph = helper.make_graph(self._nodes, "net", [pixels], [out], weights)
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
        onnx.checker.check_model(model)
        return model

    def _conv(
        self,
        x: Value,
        kernel: Array,
        bias: Array | None,
        at: Window,
        *,
        groups: int,
    ) -> Value:
        """`kernel` is `(out, in / groups, height, width)`."""
        self._spatial(x, padded=True)
        sides = kernel.shape[2:]
        pads = _pads(x, sides, at)
        padded = x.height + pads[0] + pads[2], x.width + pads[1] + pads[3]
        steps = zip(padded, sides, at.strides, strict=True)
        height, width = ((size - side) // step + 1 for size, side, step in steps)
        if min(height, width) < 1:
            raise ManifestError(f"a kernel of {sides} on {x.height}x{x.width}")
        out = len(kernel)
        name = f"t{len(self._nodes)}"
        self._weights[f"{name}_kernel"] = kernel.astype(np.float64)
        self._weights[f"{name}_bias"] = (
            np.zeros(out) if bias is None else self._per_channel(bias, out)
        )
        node = helper.make_node(
            "Conv",
            [x.name, f"{name}_kernel", f"{name}_bias"],
            [name],
            kernel_shape=list(sides),
            strides=list(at.strides),
            pads=list(pads),
            group=groups,
        )
        self._nodes.append(node)
        return Value(name, out, height, width)

    def _add(self, op: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        """Appends a node; its output's name."""
        name = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def _weight(self, value: Array) -> str:
        """Keeps a tensor; its name."""
        name = f"w{len(self._weights)}"
        self._weights[name] = value.astype(np.float64)
        return name

    def _number(self, value: Array) -> str:
        """Keeps a scalar; its name."""
        if value.size != 1:
            raise ManifestError(f"a factor of {value.shape} is not supported")
        return self._weight(value.reshape(()))

    @staticmethod
    def _per_channel(value: Array, channels: int) -> NDArray[np.float64]:
        if value.shape != (channels,):
            raise ManifestError(f"{value.shape} numbers for {channels} channels")
        return value.astype(np.float64)

    @staticmethod
    def _spatial(x: Value, *, padded: bool = False) -> None:
        if x.flat or (any(x.pads) and not padded):
            raise ManifestError(f"{x} comes where a plain picture is wanted")


def _pads(x: Value, sides: Sequence[int], at: Window) -> Pads:
    """Zeros around `x`: those it brings, or TensorFlow's, more at the end."""
    if min(*at.strides, *sides) < 1:
        raise ManifestError("a stride or kernel of 0")
    if at.padding == "valid":
        return x.pads
    if any(x.pads):
        raise ManifestError("pads twice; not supported")
    needed = [
        max(0, (-(-size // step) - 1) * step + side - size)
        for size, side, step in zip((x.height, x.width), sides, at.strides, strict=True)
    ]
    top, left = (total // 2 for total in needed)
    return (top, left, needed[0] - top, needed[1] - left)
