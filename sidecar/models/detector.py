"""Boxes reduced to the highest score of each class, inside the graph.

YOLO-style nets give, for each of thousands of anchors, a box and a score a class. What
a policy asks is whether there is one anywhere: the maximum over the anchors.
"""

from typing import Annotated, Any, Final, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper
from pydantic import Field

from sidecar.classify.card import Card
from sidecar.errors import ManifestError

OUTPUT: Final = "detector_scores"
Activation = Literal["none", "sigmoid"]


class Detector(Card):
    """How a detector's output is laid out.

    `classes_first`: `(n, boxes + objectness + classes, anchors)`, as YOLOv8 gives it;
    `anchors_first`: `(n, anchors, boxes + objectness + classes)`, as YOLOv5 does. With
    `objectness` one more row follows the box, which the classes are multiplied by.
    """

    layout: Literal["classes_first", "anchors_first"] = "classes_first"
    boxes: Annotated[int, Field(ge=0, le=16)] = 4
    objectness: bool = False

    def rows(self, labels: int) -> int:
        """How many numbers an anchor has."""
        return self.boxes + self.objectness + labels


def reduce(
    model: ModelProto, output: str, detector: Detector, labels: int, act: Activation
) -> ModelProto:
    """A copy of `model` that ends in `detector_scores`, `(n, labels)`."""
    found = ModelProto()
    found.CopyFrom(model)
    nodes: list[NodeProto] = []

    def add(op: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401
        name = f"detector_{len(nodes)}"
        nodes.append(
            helper.make_node(op, list(inputs), [name], name=name, **attributes)
        )
        return name

    def rows(source: str, first: int, count: int) -> str:
        index = np.arange(first, first + count, dtype=np.int64)
        tensor = onnx.numpy_helper.from_array(index, f"detector_{len(nodes)}_index")
        return add("Gather", source, add("Constant", value=tensor), axis=1)

    x = output
    if detector.layout == "anchors_first":
        x = add("Transpose", x, perm=[0, 2, 1])
    classes = rows(x, detector.boxes + detector.objectness, labels)
    if act == "sigmoid":
        classes = add("Sigmoid", classes)
    if detector.objectness:
        seen = rows(x, detector.boxes, 1)
        classes = add(
            "Mul", classes, add("Sigmoid", seen) if act == "sigmoid" else seen
        )
    best = add("GlobalMaxPool", classes)  # over the anchors, in every opset
    nodes.append(helper.make_node("Flatten", [best], [OUTPUT], axis=1))
    found.graph.node.extend(nodes)
    del found.graph.output[:]
    found.graph.output.append(
        helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", labels])
    )
    return found


def reduced(
    raw: NDArray[np.float32], detector: Detector, labels: int, act: Activation
) -> NDArray[np.float64]:
    """The same in numpy, apart from the graph: what a conversion is proved against."""
    if raw.ndim != 3:  # noqa: PLR2004
        raise ManifestError(f"the detector's output has the shape {raw.shape}")
    x = raw.astype(np.float64)
    if detector.layout == "anchors_first":
        x = x.transpose(0, 2, 1)
    if x.shape[1] != detector.rows(labels):
        raise ManifestError(
            f"an anchor has {x.shape[1]} numbers, not {detector.rows(labels)}"
        )
    if act == "sigmoid":
        x = 1 / (1 + np.exp(-x))
    classes = x[:, detector.boxes + detector.objectness :]
    if detector.objectness:
        classes = classes * x[:, detector.boxes : detector.boxes + 1]
    best: NDArray[np.float64] = classes.max(axis=2)
    return best
