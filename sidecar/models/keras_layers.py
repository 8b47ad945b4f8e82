"""A Keras layers model as TensorFlow.js stores it, into a net; no unknown layers."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sidecar.errors import ManifestError
from sidecar.models.net import Net, Value, Window
from sidecar.models.tfjs_weights import Weights

Small = Annotated[int, Field(ge=1, le=16)]
Count = Annotated[int, Field(ge=0, le=16)]
Pair = Annotated[tuple[Small, Small], Field(strict=False)]
Ones = Annotated[tuple[Literal[1], Literal[1]], Field(strict=False)]
Counts = Annotated[tuple[Count, Count], Field(strict=False)]


class _Part(BaseModel):
    """What is read is of these types and values; other keys are passed over."""

    model_config = ConfigDict(frozen=True, strict=True)


class _Layer(_Part):
    name: str
    class_name: str
    config: dict[str, Any]
    inbound_nodes: list[list[list[Any]]]


class _Input(_Part):
    batch_input_shape: tuple[None, int, int, Literal[3]] = Field(strict=False)


class _Conv(_Part):
    strides: Pair
    padding: Literal["valid", "same"]
    data_format: Literal["channels_last"]
    dilation_rate: Ones
    activation: Literal["linear"]
    use_bias: bool
    depth_multiplier: Literal[1] = 1
    groups: Literal[1] = 1


class _BatchNorm(_Part):
    axis: Literal[-1]
    epsilon: Annotated[float, Field(ge=0, le=1)]
    center: Literal[True]
    scale: Literal[True]


class _Relu(_Part):
    max_value: Annotated[float, Field(gt=0, le=1e6, strict=False)] | None
    negative_slope: Literal[0]
    threshold: Literal[0]


class _Pad(_Part):
    padding: Annotated[tuple[Counts, Counts], Field(strict=False)]
    data_format: Literal["channels_last"]


class _Pool(_Part):
    pool_size: Pair
    padding: Literal["valid"]
    data_format: Literal["channels_last"]


class _Dense(_Part):
    activation: Literal["linear", "relu", "softmax"]
    use_bias: Literal[True]


class _Nothing(_Part):
    """No key matters."""


class _Graph(_Part):
    """The part of `model_config.config` that is read."""

    layers: Annotated[list[_Layer], Field(min_length=2, max_length=2000)]
    output_layers: Annotated[list[list[Any]], Field(min_length=1, max_length=1)]


class _Layers:
    """The layers' meaning: each method takes a layer's name, config and inputs."""

    def __init__(self, weights: Weights) -> None:
        self.net = Net()
        self._weights = weights

    def input(self, _: str, config: _Input) -> Value:
        """Where pictures come in, as 0…1."""
        return self.net.pixels(*config.batch_input_shape[1:3])

    def conv(self, name: str, config: _Conv, x: Value) -> Value:
        """Conv2D."""
        window, bias = self._window(name, config)
        return self.net.conv(x, self._weights[f"{name}/kernel"], bias, window)

    def depthwise(self, name: str, config: _Conv, x: Value) -> Value:
        """DepthwiseConv2D."""
        window, bias = self._window(name, config)
        kernel = self._weights[f"{name}/depthwise_kernel"]
        return self.net.depthwise(x, kernel, bias, window)

    def batch_norm(self, name: str, config: _BatchNorm, x: Value) -> Value:
        """BatchNormalization, folded in double precision: some variances are 0."""
        gamma, beta, mean, variance = (
            self._weights[f"{name}/{key}"].astype(np.float64)
            for key in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        if not np.all(variance + config.epsilon > 0):
            raise ManifestError("a variance below 0")
        factor = gamma / np.sqrt(variance + config.epsilon)
        return self.net.batch_norm(x, factor, beta - mean * factor)

    def relu(self, _: str, config: _Relu, x: Value) -> Value:
        """ReLU, perhaps with a ceiling."""
        return self.net.relu(x, config.max_value)

    def add(self, _: str, __: _Nothing, x: Value, y: Value) -> Value:
        """Add of two."""
        return self.net.add(x, y)

    def pad(self, _: str, config: _Pad, x: Value) -> Value:
        """ZeroPadding2D."""
        (top, bottom), (left, right) = config.padding
        return self.net.pad(x, (top, left, bottom, right))

    def pool(self, _: str, config: _Pool, x: Value) -> Value:
        """AveragePooling2D over everything."""
        return self.net.average(x, config.pool_size)

    def flatten(self, _: str, __: _Nothing, x: Value) -> Value:
        """Flatten of one pixel."""
        return self.net.flatten(x)

    def dropout(self, _: str, __: _Nothing, x: Value) -> Value:
        """Dropout does nothing after training."""
        return x

    def dense(self, name: str, config: _Dense, x: Value) -> Value:
        """Dense, with its activation."""
        kernel, bias = (self._weights[f"{name}/{key}"] for key in ("kernel", "bias"))
        x = self.net.dense(x, kernel, bias)
        if config.activation == "relu":
            return self.net.relu(x, None)
        return self.net.softmax(x) if config.activation == "softmax" else x

    def _window(self, name: str, config: _Conv) -> tuple[Window, Any]:
        bias = self._weights[f"{name}/bias"] if config.use_bias else None
        return Window(config.strides, config.padding), bias


_KNOWN: Final[Mapping[str, tuple[type[_Part], Callable[..., Value]]]] = {
    "InputLayer": (_Input, _Layers.input),
    "Conv2D": (_Conv, _Layers.conv),
    "DepthwiseConv2D": (_Conv, _Layers.depthwise),
    "BatchNormalization": (_BatchNorm, _Layers.batch_norm),
    "ReLU": (_Relu, _Layers.relu),
    "Add": (_Nothing, _Layers.add),
    "ZeroPadding2D": (_Pad, _Layers.pad),
    "AveragePooling2D": (_Pool, _Layers.pool),
    "Flatten": (_Nothing, _Layers.flatten),
    "Dropout": (_Nothing, _Layers.dropout),
    "Dense": (_Dense, _Layers.dense),
}


def build(topology: Mapping[str, Any], weights: Weights) -> tuple[Net, Value]:
    """The net, and its last value.

    Raises:
        ManifestError: A layer is not known, or not as it has to be.
        KeyError, TypeError, ValueError: The description is no such description.
    """
    graph = _Graph.model_validate(topology["model_config"]["config"])
    _require_single_use(graph)
    layers = _Layers(weights)
    values: dict[str, Value] = {}
    for layer in graph.layers:
        if layer.class_name not in _KNOWN:
            raise ManifestError(f"layer {layer.class_name!r:.60} is not known")
        kind, meaning = _KNOWN[layer.class_name]
        inputs = [values[name] for name in _inputs(layer)]
        config = kind.model_validate(layer.config)
        values[layer.name] = meaning(layers, layer.name, config, *inputs)
    return layers.net, values[graph.output_layers[0][0]]


def _inputs(layer: _Layer) -> list[str]:
    """The names of the layers it takes; one call of it, no shared layers."""
    if len(layer.inbound_nodes) > 1:
        raise ManifestError(f"layer {layer.name!r:.60} is used twice; not supported")
    return [str(entry[0]) for node in layer.inbound_nodes for entry in node]


def _require_single_use(graph: _Graph) -> None:
    """What is folded into a convolution must not be seen by others beforehand."""
    users: dict[str, list[str]] = {}
    for layer in graph.layers:
        for name in _inputs(layer):
            users.setdefault(name, []).append(layer.class_name)
    for classes in users.values():
        if "BatchNormalization" in classes and len(classes) > 1:
            raise ManifestError("a convolution is normalised and used raw as well")
