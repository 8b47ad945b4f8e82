"""What a graph has beside what its manifest says, each with its mend. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from onnx import ModelProto, TensorProto, ValueInfoProto

from sidecar.models.detector import Detector

_TYPES: Final = {TensorProto.UINT8: "uint8", TensorProto.FLOAT: "float32"}
_RANK: Final = 4  # of a batch of pictures
_CHANNELS: Final = 3
_LOGITS: Final = frozenset({"Gemm", "MatMul", "Conv", "Add"})
_Dims = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Hint:
    """One key on which graph and manifest differ.

    Attributes:
        key: Dotted, in the manifest.
        said: What the manifest says; None if it says nothing.
        value: What would be right; None if only a person can tell.
        about: What the graph has, as a sentence.
    """

    key: str
    said: object
    value: object
    about: str

    @property
    def missing(self) -> bool:
        """The manifest says nothing, and the graph says it all."""
        return self.said is None and self.value is not None

    def __str__(self) -> str:
        """Key, what the manifest says, what the graph has, and the mend."""
        said = (
            "is missing"
            if self.said is None
            else f"the manifest says {self.said!r:.80}"
        )
        mend = f"; mend: {self.value!r}" if self.value is not None else ""
        return f"{self.key}: {said}; {self.about}{mend}"


def compare(
    card: Mapping[str, Any], model: ModelProto, detector: Detector | None
) -> list[Hint]:
    """Every difference, the input's first. `card` may be anything YAML holds."""
    return [
        *_input(_part(card, "input"), model),
        *_output(card, model, detector),
        *_activation(_part(card, "output"), model),
    ]


def mended(card: Mapping[str, Any], hint: Hint) -> dict[str, Any]:
    """`card` with the hint's value in its place."""
    part, _, key = hint.key.partition(".")
    return {**card, part: {**_part(card, part), key: hint.value}}


def _input(spec: Mapping[str, Any], model: ModelProto) -> Iterator[Hint]:
    """Name, type, layout and size of the one input."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = _names(inputs)
        about = f"the graph has {len(inputs)} inputs ({names}); export it with one"
        yield Hint("input.name", spec.get("name"), None, about)
        return
    (tensor,) = inputs
    yield from _differs(spec, "input.name", tensor.name, "the graph's input")
    kind = _TYPES.get(tensor.type.tensor_type.elem_type)
    if kind is None:
        about = "the graph takes neither uint8 nor float32; export it again"
        yield Hint("input.dtype", spec.get("dtype"), None, about)
    else:
        yield from _differs(spec, "input.dtype", kind, "the graph takes")
    yield from _picture(spec, _dims(tensor))


def _picture(spec: Mapping[str, Any], dims: _Dims) -> Iterator[Hint]:
    """Layout, height and width, as far as the graph states them."""
    told = f"the graph's input is {_text(dims)}"
    if len(dims) != _RANK or _CHANNELS not in (dims[1] or 3, dims[3] or 3):
        about = f"{told}, no batch of RGB pictures; export it again"
        yield Hint("input.layout", spec.get("layout"), None, about)
        return
    first, last = dims[1] == _CHANNELS, dims[3] == _CHANNELS
    if first != last:
        layout = "nchw" if first else "nhwc"
        yield from _differs(spec, "input.layout", layout, told)
    else:
        layout = str(spec.get("layout", "nchw"))
    sides = dims[2:] if layout == "nchw" else dims[1:3]
    for key, side in zip(("input.height", "input.width"), sides, strict=True):
        if side is not None:
            yield from _differs(spec, key, side, told)


def _output(
    card: Mapping[str, Any], model: ModelProto, detector: Detector | None
) -> Iterator[Hint]:
    """Name of the output, and whether it has a column a label."""
    spec, outputs = _part(card, "output"), {o.name: o for o in model.graph.output}
    name = spec.get("name")
    if name not in outputs:
        only = next(iter(outputs)) if len(outputs) == 1 else None
        about = f"the graph's outputs are {_names(outputs.values())}"
        yield Hint("output.name", name, only, about)
        name = only
    if name is None:
        return
    labels = card.get("labels")
    count = len(labels) if isinstance(labels, list) else 0
    dims = _dims(outputs[name])
    if detector is not None:
        yield from _anchors(detector, dims, count)
    elif len(dims) != 2 or dims[1] not in (None, count):  # noqa: PLR2004
        about = f"the graph's output is {_text(dims)}: one column a label"
        if len(dims) == 3:  # noqa: PLR2004
            about += ", or boxes: say how they lie with `detector:`"
        yield Hint("labels", f"{count} labels", None, about)


def _anchors(detector: Detector, dims: _Dims, labels: int) -> Iterator[Hint]:
    """Whether an anchor has the numbers that layout and labels ask for."""
    told = f"the graph's output is {_text(dims)}"
    if len(dims) != 3:  # noqa: PLR2004
        yield Hint("detector", detector.layout, None, f"{told}, no boxes")
        return
    rows = detector.rows(labels)
    axes = {"classes_first": dims[1], "anchors_first": dims[2]}
    if axes[detector.layout] in (None, rows):
        return
    other = next(name for name in axes if name != detector.layout)
    if axes[other] == rows:
        yield Hint("detector.layout", detector.layout, other, told)
        return
    about = f"{told}: none of it has {rows} numbers (boxes, objectness, labels)"
    yield Hint("labels", f"{labels} labels", None, about)


def _activation(spec: Mapping[str, Any], model: ModelProto) -> Iterator[Hint]:
    """Whether the graph has done already, or not yet, what the manifest says."""
    said, outputs = spec.get("activation"), [o.name for o in model.graph.output]
    name = outputs[0] if len(outputs) == 1 else spec.get("name")
    last = next((n.op_type for n in model.graph.node if name in n.output), None)
    if last in {"Softmax", "Sigmoid"} and said not in {"none", None}:
        about = f"the graph ends in {last} already"
        yield Hint("output.activation", said, "none", about)
    elif last in _LOGITS and said == "none":
        about = (
            f"the graph ends in {last}, which gives no scores of 0…1: say softmax"
            " (labels compete) or sigmoid (each on its own)"
        )
        yield Hint("output.activation", said, None, about)


def _differs(
    spec: Mapping[str, Any], key: str, value: object, told: str
) -> Iterator[Hint]:
    """A hint if the manifest does not say `value`."""
    said = spec.get(key.rpartition(".")[2])
    if said != value:
        yield Hint(key, said, value, f"{told} {value!r:.80}")


def _part(card: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A section, or nothing where the manifest has something else there."""
    part = card.get(key)
    return part if isinstance(part, Mapping) else {}


def _dims(tensor: ValueInfoProto) -> _Dims:
    return tuple(d.dim_value or None for d in tensor.type.tensor_type.shape.dim)


def _names(tensors: Any) -> str:  # noqa: ANN401
    return ", ".join(repr(tensor.name)[:60] for tensor in list(tensors)[:8]) or "none"


def _text(dims: _Dims) -> str:
    return "(" + ", ".join(str(dim or "n") for dim in dims) + ")"
