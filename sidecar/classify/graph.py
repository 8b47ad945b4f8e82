"""Checks a model's ONNX graph and bakes preprocessing into it; the home of `onnx`.

What comes out takes `uint8 (n, height, width, 3)` RGB and gives `float32 (n, labels)`
in 0…1, whatever the file took and gave. Nodes are put around the net, never inside it.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from sidecar.classify.graph_check import check
from sidecar.classify.manifest import Manifest
from sidecar.errors import ManifestError

PIXELS: Final = "sidecar_pixels"

_Shape = list[str | int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A graph ready for the engine.

    Attributes:
        data: Serialised ONNX.
        baked: Names of the operators that were put around the net.
        pixels: Name of its input.
    """

    data: bytes
    baked: tuple[str, ...]
    pixels: str = PIXELS


def prepare(manifest: Manifest) -> Prepared:
    """The manifest's graph, checked and baked.

    Raises:
        ManifestError: Not ONNX, unsafe, or not what the manifest says; names the file.
    """
    data = manifest.read_model()
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as exc:
        raise ManifestError(
            f"{manifest.model_path}: is not an ONNX file ({exc}); export it again"
        ) from exc
    check(model, manifest)
    prelude = _prelude(manifest)
    coda = _coda(manifest)
    _assemble(model, manifest, prelude, coda)
    added = (*prelude, *coda)
    ops = tuple(node.op_type for node in added if node.op_type != "Constant")
    pixels = PIXELS if prelude else manifest.input.name
    return Prepared(model.SerializeToString(), ops, pixels)


class _Chain(list[NodeProto]):
    """Nodes one after the other, from tensor to tensor."""

    def __init__(self, start: str) -> None:
        super().__init__()
        self.end = start

    def then(self, op: str, constant: object = None, **attributes: Any) -> None:  # noqa: ANN401
        """Appends `op`, with a second input if `constant` is given."""
        name = f"sidecar_{op.lower()}_{len(self)}"
        inputs = [self.end]
        if constant is not None:
            # Constant nodes and not initializers: old IR versions demand that each
            # initializer is listed as an input too.
            tensor = onnx.numpy_helper.from_array(np.asarray(constant), f"{name}_by")
            self.append(
                helper.make_node(
                    "Constant", [], [f"{name}_by"], name=f"{name}_by", value=tensor
                )
            )
            inputs.append(f"{name}_by")
        self.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.end = name


def _prelude(manifest: Manifest) -> _Chain:
    """From uint8 NHWC RGB to what the net takes: swap and transpose as bytes first."""
    spec = manifest.input
    chain = _Chain(PIXELS)
    if spec.color == "bgr":
        chain.then("Gather", np.array([2, 1, 0], np.int64), axis=3)
    if spec.layout == "nchw":
        chain.then("Transpose", perm=[0, 3, 1, 2])
    if spec.dtype == "float32":
        chain.then("Cast", to=TensorProto.FLOAT)
    if not spec.plain:
        shape = (1, 3, 1, 1) if spec.layout == "nchw" else (1, 1, 1, 3)
        std = np.array(spec.std, np.float64)
        factor = (spec.scale / std).astype(np.float32)
        shift = (-np.array(spec.mean, np.float64) / std).astype(np.float32)
        chain.then("Mul", factor.reshape(shape))
        chain.then("Add", shift.reshape(shape))
    return chain


def _coda(manifest: Manifest) -> _Chain:
    """From the net's output to scores."""
    chain = _Chain(manifest.output.name)
    if manifest.output.activation == "softmax":
        chain.then("Softmax", axis=1)
    elif manifest.output.activation == "sigmoid":
        chain.then("Sigmoid")
    return chain


def _assemble(
    model: ModelProto, manifest: Manifest, prelude: _Chain, coda: _Chain
) -> None:
    """Puts the chains around the net, in place, and lets the batch grow freely."""
    graph = model.graph
    spec = manifest.input
    del graph.value_info[:]  # may claim a fixed batch
    taken = [i for i in graph.input if i.name != spec.name]
    del graph.input[:]
    shape: _Shape = ["n", spec.height, spec.width, 3]
    if prelude:
        graph.input.append(_tensor(PIXELS, TensorProto.UINT8, shape))
        prelude[-1].output[0] = spec.name
        _prepend(graph, prelude)
    else:
        graph.input.append(_tensor(spec.name, TensorProto.UINT8, shape))
    graph.input.extend(taken)
    graph.node.extend(coda)
    del graph.output[:]
    graph.output.append(
        _tensor(coda.end, TensorProto.FLOAT, ["n", len(manifest.labels)])
    )


def _prepend(graph: GraphProto, nodes: list[NodeProto]) -> None:
    """ONNX wants nodes in topological order."""
    net = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *net])


def _tensor(name: str, kind: int, shape: _Shape) -> ValueInfoProto:
    """A graph input or output."""
    return helper.make_tensor_value_info(name, kind, shape)
