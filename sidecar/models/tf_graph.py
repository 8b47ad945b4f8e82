"""A TensorFlow.js graph model into a net. Unknown operations: refused."""

import base64
from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Final

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from sidecar.errors import ManifestError
from sidecar.models.net import Net, Value, Window
from sidecar.models.tfjs_weights import Weights

_Operand = Value | NDArray[Any]


class _Node(BaseModel):
    """One operation."""

    model_config = ConfigDict(frozen=True, strict=True)
    name: str
    op: str
    input: Annotated[list[str], Field(max_length=8)] = []
    attr: dict[str, dict[str, Any]] = {}

    @property
    def sources(self) -> list[str]:
        """The nodes it takes; `^name` is an order of execution and carries nothing."""
        return [name for name in self.input if not name.startswith("^")]

    def text(self, key: str, default: str = "") -> str:
        """An attribute that is a text."""
        value = self.attr.get(key)
        return default if value is None else _plain(value["s"])

    def numbers(self, key: str) -> list[int]:
        """An attribute that is a list of whole numbers."""
        return [int(number) for number in self.attr[key]["list"]["i"]]

    def fused(self) -> list[str]:
        """The operations that this one has taken in."""
        return [_plain(text) for text in self.attr["fused_ops"]["list"]["s"]]

    def window(self) -> Window:
        """Strides and padding, of pictures in the order NHWC."""
        _require(self, self.text("data_format", "NHWC") == "NHWC", "data_format")
        _, *strides, __ = self.numbers("strides")
        if "dilations" in self.attr:
            _require(self, set(self.numbers("dilations")) == {1}, "dilations")
        padding = self.text("padding").lower()
        if padding not in {"valid", "same"}:
            raise ManifestError(f"{self.op}: padding {padding[:20]!r} is not supported")
        high, wide = strides
        return Window((high, wide), "same" if padding == "same" else "valid")


class _Graph(BaseModel):
    """What is read of `modelTopology`."""

    model_config = ConfigDict(frozen=True, strict=True)
    node: Annotated[list[_Node], Field(min_length=2, max_length=5000)]


def _placeholder(net: Net, node: _Node) -> Value:
    dims = node.attr["shape"]["shape"]["dim"]
    _, height, width, channels = (int(dim["size"]) for dim in dims)
    _require(node, channels == len("rgb"), "shape")
    return net.pixels(height, width)


def _mul(net: Net, node: _Node, x: _Operand, y: _Operand) -> Value:
    if isinstance(x, Value):
        x, y = y, x
    return net.scale(_tensor(node, y), _constant(node, x))


def _sub(net: Net, node: _Node, x: _Operand, y: _Operand) -> Value:
    return net.shift(_tensor(node, x), _constant(node, y))


def _conv(net: Net, node: _Node, x: _Operand, *weights: _Operand) -> Value:
    kernel, bias = (_constant(node, weight) for weight in weights)
    found = net.conv(_tensor(node, x), kernel, bias, node.window())
    return _activated(net, node, found)


def _depthwise(net: Net, node: _Node, x: _Operand, *weights: _Operand) -> Value:
    kernel, bias = (_constant(node, weight) for weight in weights)
    found = net.depthwise(_tensor(node, x), kernel, bias, node.window())
    return _activated(net, node, found)


def _add(net: Net, node: _Node, x: _Operand, y: _Operand) -> Value:
    return net.add(_tensor(node, x), _tensor(node, y))


def _average(net: Net, node: _Node, x: _Operand) -> Value:
    _require(node, node.window().padding == "valid", "padding")
    _, high, wide, __ = node.numbers("ksize")
    return net.average(_tensor(node, x), (high, wide))


def _squeeze(net: Net, node: _Node, x: _Operand) -> Value:
    _require(node, node.numbers("squeeze_dims") == [1, 2], "squeeze_dims")
    return net.flatten(_tensor(node, x))


def _dense(net: Net, node: _Node, x: _Operand, *weights: _Operand) -> Value:
    for key in ("transpose_a", "transpose_b"):
        _require(node, not node.attr.get(key, {}).get("b"), key)
    _require(node, node.fused() == ["BiasAdd"], "fused_ops")
    kernel, bias = (_constant(node, weight) for weight in weights)
    return net.dense(_tensor(node, x), kernel, bias)


def _softmax(net: Net, node: _Node, x: _Operand) -> Value:
    return net.softmax(_tensor(node, x))


def _identity(_: Net, node: _Node, x: _Operand) -> Value:
    return _tensor(node, x)


_KNOWN: Final[Mapping[str, Callable[..., Value]]] = {
    "Placeholder": _placeholder,
    "Mul": _mul,
    "Sub": _sub,
    "_FusedConv2D": _conv,
    "FusedDepthwiseConv2dNative": _depthwise,
    "AddV2": _add,
    "AvgPool": _average,
    "Squeeze": _squeeze,
    "_FusedMatMul": _dense,
    "Softmax": _softmax,
    "Identity": _identity,
}


def build(
    topology: Mapping[str, Any], weights: Weights, output: str
) -> tuple[Net, Value]:
    """The net, and the value of the node `output`.

    Raises:
        ManifestError: An operation is not known, or not as it has to be.
        KeyError, TypeError, ValueError: The description is no such description.
    """
    graph = _Graph.model_validate(topology)
    nodes = {node.name: node for node in graph.node}
    net = Net()
    values: dict[str, _Operand] = {}
    for name in _in_order(nodes):
        node = nodes[name]
        if node.op == "Const":
            values[name] = weights[name]
        elif node.op in _KNOWN:
            inputs = [values[source] for source in node.sources]
            values[name] = _KNOWN[node.op](net, node, *inputs)
        else:
            raise ManifestError(f"operation {node.op!r:.60} is not known")
    return net, _tensor(nodes[output], values[output])


def _in_order(nodes: Mapping[str, _Node]) -> list[str]:
    """Names, each after what it needs."""
    sources = {name: node.sources for name, node in nodes.items()}
    try:
        return list(TopologicalSorter(sources).static_order())
    except CycleError as exc:
        raise ManifestError("goes in circles") from exc


def _activated(net: Net, node: _Node, x: Value) -> Value:
    """With the activation that was fused in."""
    fused = node.fused()
    _require(node, fused in (["BiasAdd"], ["BiasAdd", "Relu6"]), "fused_ops")
    return net.relu(x, 6.0) if len(fused) > 1 else x


def _require(node: _Node, holds: bool, key: str) -> None:  # noqa: FBT001
    if not holds:
        raise ManifestError(f"{node.op}: its {key} is not supported")


def _tensor(node: _Node, operand: _Operand) -> Value:
    if isinstance(operand, Value):
        return operand
    raise ManifestError(f"{node.op}: a constant where a picture is wanted")


def _constant(node: _Node, operand: _Operand) -> NDArray[Any]:
    if isinstance(operand, Value):
        raise ManifestError(f"{node.op}: weights that are computed are not supported")
    return operand


def _plain(text: str) -> str:
    """TensorFlow.js stores texts in base64."""
    return base64.b64decode(text, validate=True).decode("ascii")
