"""Small TensorFlow.js models, and what TensorFlow makes of them, in plain numpy."""

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SIDE = 9
RANDOM = np.random.default_rng(7)


def weights(*shape: int) -> NDArray[np.float32]:
    """Some numbers, repeatable."""
    return RANDOM.standard_normal(shape).astype(np.float32)


WEIGHTS: dict[str, NDArray[np.float32]] = {
    "c/kernel": weights(3, 3, 3, 4),
    "c_bn/gamma": weights(4),
    "c_bn/beta": weights(4),
    "c_bn/moving_mean": weights(4),
    "c_bn/moving_variance": np.array([0, 1, 2, 3], np.float32),
    "d/depthwise_kernel": weights(3, 3, 4, 1),
    "d/bias": weights(4),
    "f/kernel": weights(4, 6),
    "f/bias": weights(6),
    "g/kernel": weights(6, 5),
    "g/bias": weights(5),
}
_CONV = {
    "padding": "valid",
    "strides": [2, 2],
    "data_format": "channels_last",
    "dilation_rate": [1, 1],
    "activation": "linear",
    "use_bias": False,
}
_SAME = {**_CONV, "padding": "same", "strides": [1, 1], "use_bias": True}
_DENSE = {"use_bias": True, "activation": "relu"}


def layer(name: str, kind: str, config: dict[str, Any], *inputs: str) -> dict[str, Any]:
    """One layer of a Keras model."""
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {
        "name": name,
        "class_name": kind,
        "config": {"name": name, **config},
        "inbound_nodes": nodes,
    }


LAYERS = [
    layer("x", "InputLayer", {"batch_input_shape": [None, SIDE, SIDE, 3]}),
    layer(
        "p",
        "ZeroPadding2D",
        {"padding": [[0, 1], [1, 0]], "data_format": "channels_last"},
        "x",
    ),
    layer("c", "Conv2D", _CONV, "p"),
    layer(
        "c_bn",
        "BatchNormalization",
        {"axis": -1, "epsilon": 0.001, "center": True, "scale": True},
        "c",
    ),
    layer("r", "ReLU", {"max_value": 1, "negative_slope": 0, "threshold": 0}, "c_bn"),
    layer("d", "DepthwiseConv2D", {**_SAME, "depth_multiplier": 1}, "r"),
    layer("a", "Add", {}, "r", "d"),
    layer(
        "m",
        "AveragePooling2D",
        {"pool_size": [4, 4], "padding": "valid", "data_format": "channels_last"},
        "a",
    ),
    layer("fl", "Flatten", {}, "m"),
    layer("dr", "Dropout", {"rate": 0.5}, "fl"),
    layer("f", "Dense", _DENSE, "dr"),
    layer("g", "Dense", {**_DENSE, "activation": "softmax"}, "f"),
]


def keras(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """A model's topology."""
    config = {"layers": layers, "output_layers": [[layers[-1]["name"], 0, 0]]}
    return {"model_config": {"class_name": "Model", "config": config}}


def keras_by_numpy(picture: NDArray[np.uint8]) -> Floats:
    """What `LAYERS` say of one picture."""
    w = {name: value.astype(np.float64) for name, value in WEIGHTS.items()}
    x = np.pad(picture / 255, ((0, 1), (1, 0), (0, 0)))
    x = convolve(x, w["c/kernel"], 2)
    x = (x - w["c_bn/moving_mean"]) / np.sqrt(w["c_bn/moving_variance"] + 0.001)
    x = np.clip(x * w["c_bn/gamma"] + w["c_bn/beta"], 0, 1)
    x = x + depthwise(same(x, 3, 1), w["d/depthwise_kernel"], 1) + w["d/bias"]
    x = np.maximum(x.mean(axis=(0, 1)) @ w["f/kernel"] + w["f/bias"], 0)
    return softmax(x @ w["g/kernel"] + w["g/bias"])


def text(value: str) -> dict[str, str]:
    """A text attribute."""
    return {"s": base64.b64encode(value.encode()).decode()}


def numbers(*values: int) -> dict[str, Any]:
    """A list of whole numbers."""
    return {"list": {"i": [str(value) for value in values]}}


def fused(*names: str) -> dict[str, Any]:
    """`fused_ops`."""
    return {"list": {"s": [text(name)["s"] for name in names]}}


def node(name: str, op: str, *inputs: str, **attr: Any) -> dict[str, Any]:  # noqa: ANN401
    """One operation of a graph model."""
    return {"name": name, "op": op, "input": list(inputs), "attr": attr}


def _window(stride: int, padding: str, *ops: str) -> dict[str, Any]:
    return {
        "strides": numbers(1, stride, stride, 1),
        "padding": text(padding),
        "data_format": text("NHWC"),
        "dilations": numbers(1, 1, 1, 1),
        "fused_ops": fused(*ops),
    }


CONSTANTS = ("two", "one", "ck", "cb", "dk", "db", "fk", "fb")
GRAPH_WEIGHTS: dict[str, NDArray[np.float32]] = {
    "two": np.array(2, np.float32),
    "one": np.array(1, np.float32),
    "ck": weights(3, 3, 3, 4),
    "cb": weights(4),
    "dk": weights(3, 3, 4, 1),
    "db": weights(4),
    "fk": weights(4, 5),
    "fb": weights(5),
}
_SIZES = [{"size": str(size)} for size in (-1, SIDE, SIDE, 3)]
NODES = [  # the end first: a file need not be in order
    node("Identity", "Identity", "s"),
    node("s", "Softmax", "f"),
    node("f", "_FusedMatMul", "q", "fk", "fb", fused_ops=fused("BiasAdd")),
    node("q", "Squeeze", "m", squeeze_dims=numbers(1, 2)),
    node(
        "m",
        "AvgPool",
        "a",
        ksize=numbers(1, 5, 5, 1),
        strides=numbers(1, 1, 1, 1),
        padding=text("VALID"),
    ),
    node("a", "AddV2", "c", "d"),
    node(
        "d",
        "FusedDepthwiseConv2dNative",
        "c",
        "dk",
        "db",
        **_window(1, "SAME", "BiasAdd"),
    ),
    node(
        "c", "_FusedConv2D", "n", "ck", "cb", **_window(2, "SAME", "BiasAdd", "Relu6")
    ),
    node("n", "Sub", "t", "one"),
    node("t", "Mul", "two", "x"),
    node("x", "Placeholder", shape={"shape": {"dim": _SIZES}}),
    *(node(name, "Const", *(["^x"] if name == "two" else [])) for name in CONSTANTS),
]


def graph_by_numpy(picture: NDArray[np.uint8]) -> Floats:
    """What `NODES` say of one picture."""
    w = {name: value.astype(np.float64) for name, value in GRAPH_WEIGHTS.items()}
    x = picture / 255 * 2 - 1
    x = np.clip(convolve(same(x, 3, 2), w["ck"], 2) + w["cb"], 0, 6)
    x = x + depthwise(same(x, 3, 1), w["dk"], 1) + w["db"]
    return softmax(x.mean(axis=(0, 1)) @ w["fk"] + w["fb"])


def same(x: Floats, side: int, stride: int) -> Floats:
    """TensorFlow's SAME: the odd zero at the end."""
    total = [max(0, (-(-n // stride) - 1) * stride + side - n) for n in x.shape[:2]]
    return np.pad(x, [*((t // 2, t - t // 2) for t in total), (0, 0)])


def convolve(x: Floats, kernel: Floats, stride: int) -> Floats:
    """A convolution, place by place; `(h, w, in)` by `(h, w, in, out)`."""
    return _slide(x, kernel.shape[:2], stride, lambda p: np.tensordot(p, kernel, 3))


def depthwise(x: Floats, kernel: Floats, stride: int) -> Floats:
    """One filter a channel."""
    flat = kernel[..., 0]
    return _slide(x, flat.shape[:2], stride, lambda p: (p * flat).sum(axis=(0, 1)))


def _slide(x: Floats, sides: tuple[int, ...], stride: int, each: Any) -> Floats:  # noqa: ANN401
    high, wide = ((n - s) // stride + 1 for n, s in zip(x.shape, sides, strict=False))
    rows = [
        [
            each(
                x[
                    v * stride : v * stride + sides[0],
                    u * stride : u * stride + sides[1],
                ]
            )
            for u in range(wide)
        ]
        for v in range(high)
    ]
    return np.array(rows)


def softmax(x: Floats) -> Floats:
    """Scores that sum to 1."""
    powers = np.exp(x - x.max())
    return np.asarray(powers / powers.sum())
