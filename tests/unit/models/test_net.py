"""Both kinds of TensorFlow.js models become nets that say what TensorFlow would."""

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto

from sidecar.errors import ManifestError
from sidecar.models import keras_layers, tf_graph
from sidecar.models.net import Net, Value, Window
from tests.fakes import tfjs_models as tfjs

LABELS = 5
FOREIGN: tuple[type[Exception], ...] = (
    *(ManifestError, KeyError, TypeError, ValueError, LookupError, AttributeError),
)


def scores_of(model: ModelProto, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What onnxruntime makes of it."""
    session = ort.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    scores: NDArray[np.float32] = session.run(None, {"pixels": pictures})[0]
    return scores


def pictures(count: int) -> NDArray[np.uint8]:
    """Noise, repeatable."""
    shape = (count, tfjs.SIDE, tfjs.SIDE, 3)
    return np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)


def from_keras(layers: list[dict[str, Any]]) -> ModelProto:
    """A layers model, converted."""
    net, scores = keras_layers.build(tfjs.keras(layers), tfjs.WEIGHTS)
    return net.model(scores, LABELS)


def from_graph(nodes: list[dict[str, Any]]) -> ModelProto:
    """A graph model, converted."""
    net, scores = tf_graph.build({"node": nodes}, tfjs.GRAPH_WEIGHTS, "Identity")
    return net.model(scores, LABELS)


def test_a_layers_model_says_what_keras_says() -> None:
    """Padding, folded normalisation with a variance of 0, depthwise, sum, head."""
    batch = pictures(3)
    wanted = [tfjs.keras_by_numpy(picture) for picture in batch]
    assert scores_of(from_keras(tfjs.LAYERS), batch) == pytest.approx(
        np.array(wanted), abs=2e-6
    )


def test_a_graph_model_says_what_tensorflow_says() -> None:
    """Fused operations, padding at the end, constants, any order of nodes."""
    batch = pictures(3)
    wanted = [tfjs.graph_by_numpy(picture) for picture in batch]
    assert scores_of(from_graph(tfjs.NODES), batch) == pytest.approx(
        np.array(wanted), abs=2e-6
    )


def changed(
    items: list[dict[str, Any]],
    name: str,
    **changes: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    """The items with one of them changed: keys of its config or attr, or its own."""
    found = copy.deepcopy(items)
    (one,) = (item for item in found if item["name"] == name)
    for key, value in changes.items():
        inner = one["config"] if "config" in one else one["attr"]
        (one if key in one else inner)[key] = value
    return found


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("r", {"class_name": "PReLU"}, "layer 'PReLU' is not known"),
        ("c", {"dilation_rate": [2, 2]}, None),
        ("c", {"activation": "tanh"}, None),
        ("c", {"padding": "causal"}, None),
        ("c", {"groups": 2}, None),
        ("d", {"depth_multiplier": 2}, None),
        ("c_bn", {"axis": 1}, None),
        ("r", {"negative_slope": 0.1}, None),
        ("m", {"pool_size": [2, 2]}, "pools"),
        ("g", {"activation": "gelu"}, None),
        ("p", {"padding": [[0, 99], [0, 1]]}, None),
        ("p", {"padding": [[-1, 1], [0, 1]]}, None),
        ("x", {"batch_input_shape": [None, 9, 9, 4]}, None),
        ("x", {"batch_input_shape": [None, 5000, 9, 3]}, "5000, which is not|9x5000"),
        ("fl", {"inbound_nodes": [[["a", 0, 0, {}]]]}, "flattens more than one pixel"),
        ("d", {"inbound_nodes": [[["r", 0]], [["a", 0]]]}, "is used twice"),
        ("a", {"inbound_nodes": [[["c", 0], ["d", 0]]]}, "used raw as well"),
        ("a", {"inbound_nodes": [[["x", 0], ["d", 0]]]}, "different shapes"),
        ("d", {"inbound_nodes": [[["p", 0]]]}, "a kernel of"),
        ("r", {"inbound_nodes": [[["p", 0]]]}, None),
        ("f", {"inbound_nodes": [[["m", 0]]]}, "a matrix of"),
        ("m", {"inbound_nodes": [[["f", 0]]]}, None),
    ],
)
def test_a_layer_that_is_not_understood_is_refused(
    name: str, changes: dict[str, Any], told: str | None
) -> None:
    """Nothing is guessed: unknown kinds, options and joints end the conversion."""
    with pytest.raises(FOREIGN, match=told):
        from_keras(changed(tfjs.LAYERS, name, **changes))


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("s", {"op": "Exec"}, "operation 'Exec' is not known"),
        ("c", {"dilations": tfjs.numbers(1, 2, 2, 1)}, "dilations is not supported"),
        ("c", {"data_format": tfjs.text("NCHW")}, "data_format is not supported"),
        ("c", {"padding": tfjs.text("EXPLICIT")}, "padding 'explicit' is not"),
        ("c", {"fused_ops": tfjs.fused("BiasAdd", "Elu")}, "fused_ops is not"),
        ("c", {"strides": tfjs.numbers(1, 0, 0, 1)}, "stride or kernel of 0"),
        ("m", {"padding": tfjs.text("SAME")}, "padding is not supported"),
        ("q", {"squeeze_dims": tfjs.numbers(1)}, "squeeze_dims is not supported"),
        ("f", {"transpose_b": {"b": True}}, "transpose_b is not supported"),
        ("f", {"fused_ops": tfjs.fused("BiasAdd", "Relu")}, "fused_ops is not"),
        ("x", {"shape": {"shape": {"dim": [{"size": "1"}] * 4}}}, "shape is not"),
        ("t", {"input": ["two", "one"]}, "a constant where a picture"),
        ("t", {"input": ["x", "x"]}, "weights that are computed"),
        ("t", {"input": ["ck", "x"]}, "a factor of"),
        ("c", {"input": ["n", "dk", "cb"]}, "a kernel of"),
        ("c", {"input": ["n", "ck", "fb"]}, "numbers for 4 channels"),
        ("n", {"input": ["a", "one"]}, "goes in circles"),
        ("s", {"input": ["a"]}, "a softmax over a picture"),
        ("c", {"input": ["m", "ck", "cb"]}, None),
        ("Identity", {"input": ["a"]}, "ends in"),
        ("Identity", {"input": ["gone"]}, None),
    ],
)
def test_an_operation_that_is_not_understood_is_refused(
    name: str, changes: dict[str, Any], told: str | None
) -> None:
    """The same for graphs."""
    with pytest.raises(FOREIGN, match=told):
        from_graph(changed(tfjs.NODES, name, **changes))


def test_a_broken_variance_is_refused() -> None:
    """Its root would be no number."""
    broken = {**tfjs.WEIGHTS, "c_bn/moving_variance": np.full(4, -9, np.float32)}
    with pytest.raises(ManifestError, match="variance below 0"):
        keras_layers.build(tfjs.keras(tfjs.LAYERS), broken)


@pytest.mark.parametrize(
    "build",
    [
        lambda net, x: net.conv(
            x, np.ones((9, 9, 3, 1)), None, Window((1, 1), "valid")
        ),
        lambda net, x: net.conv(
            net.pad(x, (1, 1, 1, 1)),
            np.ones((3, 3, 3, 1)),
            None,
            Window((1, 1), "same"),
        ),
        lambda net, x: net.conv(x, np.ones((3, 3)), None, Window((1, 1), "same")),
        lambda net, x: net.pad(net.pad(x, (1, 1, 1, 1)), (1, 1, 1, 1)),
        lambda net, x: net.pad(x, (0, 0, 0, 17)),
        lambda net, x: net.batch_norm(x, np.ones(3), np.ones(3)),
        lambda net, x: net.flatten(net.flatten(net.average(x, (4, 4)))),
    ],
)
def test_what_does_not_fit_is_refused(build: Callable[[Net, Value], Value]) -> None:
    """A kernel larger than its picture, zeros twice, odd ranks."""
    net = Net()
    with pytest.raises(ManifestError):
        build(net, net.pixels(4, 4))


_JUNK = st.none() | st.integers(-3, 300) | st.text(max_size=4) | st.just([[["x", 0]]])


@settings(max_examples=150)
@given(st.data())
def test_any_change_is_a_net_or_an_error_that_is_translated(
    data: st.DataObject,
) -> None:
    """One value of the description is anything: it converts, or is refused in time."""
    graph = data.draw(st.booleans())
    items = copy.deepcopy(tfjs.NODES if graph else tfjs.LAYERS)
    part: Any = data.draw(st.sampled_from(items))
    while True:
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        if not keys:
            break
        key = data.draw(st.sampled_from(keys))
        if isinstance(part[key], dict | list) and data.draw(st.booleans()):
            part = part[key]
        else:
            part[key] = data.draw(_JUNK)
            break
    with suppress(*FOREIGN):
        (from_graph if graph else from_keras)(items)
