"""Whether an ONNX graph is safe to load and what its manifest says it is."""

from collections.abc import Iterator
from typing import Final

import onnx
from google.protobuf.descriptor import (  # type: ignore[import-untyped]
    FieldDescriptor,
)
from google.protobuf.message import Message  # type: ignore[import-untyped]
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

from sidecar.classify.manifest import Manifest
from sidecar.errors import ManifestError

DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
MIN_OPSET: Final = 9  # below, Cast and broadcasting have other rules
_PREFIX: Final = "sidecar_"  # of the nodes that are baked in
_TYPES: Final = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


def check(model: ModelProto, manifest: Manifest) -> None:
    """Returns if all is well.

    Raises:
        ManifestError: Every fault found, each with the file's name and a mend.
    """
    faults = (
        list(_safety(model))
        if is_text(model)
        else ["has broken names; export it again"]
    )
    if not faults:
        faults = [
            *_validity(model),
            *_input(model, manifest),
            *_output(model, manifest),
        ]
    if faults:
        raise ManifestError(*(f"{manifest.model_path}: {fault}" for fault in faults))


def is_text(message: Message) -> bool:
    """Whether all text in it is UTF-8: protobuf gives what is not as bytes."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            texts = [value] if isinstance(value, str | bytes) else value
            if not all(isinstance(text, str) for text in texts):
                return False
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            parts = [value] if isinstance(value, Message) else value
            if not all(map(is_text, parts)):
                return False
    return True


def _safety(model: ModelProto) -> Iterator[str]:
    """Nothing outside of the file is read, and no foreign code is asked for."""
    graphs = list(_graphs(model.graph))
    if not any(graph.node for graph in graphs):
        yield "has no nodes; it is empty or no ONNX file: export it again"
    if any(_external(graph) for graph in graphs):
        yield "keeps weights in another file; save it with all data inside"
    foreign = {opset.domain for opset in model.opset_import}
    foreign |= {node.domain for graph in graphs for node in graph.node}
    foreign |= {function.domain for function in model.functions}
    if foreign - DOMAINS:
        names = ", ".join(sorted(repr(d)[:60] for d in foreign - DOMAINS))
        yield f"needs operators of {names}; export it with standard operators only"
    if model.functions:
        yield "defines functions of its own; export it with them inlined"
    if any(n.startswith(_PREFIX) for graph in graphs for n in _names(graph)):
        yield f"uses names beginning with {_PREFIX!r}; rename those tensors"


def _validity(model: ModelProto) -> Iterator[str]:
    """ONNX's own rules."""
    opset = max((o.version for o in model.opset_import if not o.domain), default=0)
    if opset < MIN_OPSET:
        yield f"is of opset {opset}; export it with opset {MIN_OPSET} or later"
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as exc:
        yield f"breaks ONNX's rules ({_first_line(exc)}); export it again"


def _input(model: ModelProto, manifest: Manifest) -> Iterator[str]:
    """One input, as the manifest says."""
    spec = manifest.input
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {i.name: i for i in model.graph.input if i.name not in weights}
    if set(inputs) != {spec.name}:
        yield _told("inputs", inputs, "input.name", spec.name)
        return
    found = inputs[spec.name]
    if found.type.tensor_type.elem_type != _TYPES[spec.dtype]:
        yield f"input {spec.name!r} is not {spec.dtype}; mend input.dtype"
    size = (spec.height, spec.width)
    wanted = (None, *size, 3) if spec.layout == "nhwc" else (None, 3, *size)
    yield from _shape(found, wanted, "input.layout, input.width and input.height")


def _output(model: ModelProto, manifest: Manifest) -> Iterator[str]:
    """The named output gives one float32 a label."""
    name = manifest.output.name
    outputs = {o.name: o for o in model.graph.output}
    if name not in outputs:
        yield _told("outputs", outputs, "output.name", name)
        return
    if outputs[name].type.tensor_type.elem_type != TensorProto.FLOAT:
        yield f"output {name!r} is not float32; cast it inside the graph"
    yield from _shape(outputs[name], (None, len(manifest.labels)), "labels")


def _shape(
    tensor: ValueInfoProto, wanted: tuple[int | None, ...], keys: str
) -> Iterator[str]:
    """Known sizes agree with `wanted`; None there is the batch and may be anything."""
    kind = tensor.type.tensor_type
    found = tuple(d.dim_value or None for d in kind.shape.dim)
    pairs = zip(found, wanted, strict=False)
    if len(found) != len(wanted) or any(f and w and f != w for f, w in pairs):
        yield (
            f"{tensor.name!r} has the shape {_text(found)}, the manifest says"
            f" {_text(wanted)}; mend {keys}"
        )


def _text(shape: tuple[int | None, ...]) -> str:
    """A shape with `n` for what is open."""
    return "(" + ", ".join(str(d or "n") for d in shape) + ")"


def _told(what: str, found: dict[str, ValueInfoProto], key: str, name: str) -> str:
    """The sentence about names that differ."""
    names = ", ".join(repr(n)[:60] for n in list(found)[:8]) or "none"
    return f"has the {what} {names}, the manifest says only {name!r}; mend {key}"


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    """`graph` and all graphs inside its nodes' attributes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _external(graph: GraphProto) -> bool:
    """Whether any tensor's bytes lie outside of the file."""
    tensors = list(graph.initializer)
    for sparse in graph.sparse_initializer:
        tensors += [sparse.values, sparse.indices]
    for node in graph.node:
        for attribute in node.attribute:
            tensors += [attribute.t, *attribute.tensors]
    return any(
        t.data_location == TensorProto.EXTERNAL or t.external_data for t in tensors
    )


def _names(graph: GraphProto) -> Iterator[str]:
    """Every name that could clash with ours."""
    for node in graph.node:
        yield node.name
        yield from node.output
    for value in (*graph.input, *graph.initializer):
        yield value.name


def _first_line(exc: BaseException) -> str:
    """The first line of a foreign message, bounded."""
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
