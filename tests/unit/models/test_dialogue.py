"""Where manifest and graph differ it is said, and mended by whoever is there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper

from sidecar.errors import ManifestError
from sidecar.models.detector import Detector
from sidecar.models.dialogue import settle
from sidecar.models.hints import Hint, compare, mended
from tests.fakes.onnx_models import SIDE, boxes_of_colours, card, mean_colour, model_of
from tests.unit.models.importing import source_of, spoken

LABELS = card()["labels"]


def hints(
    model: ModelProto,
    detector: Detector | None = None,
    **changes: Any,  # noqa: ANN401
) -> list[str]:
    """What is said of a manifest, as sentences."""
    return [str(hint) for hint in compare(card(**changes), model, detector)]


def test_where_both_agree_nothing_is_said() -> None:
    """Of a good manifest there is nothing to say."""
    assert hints(mean_colour()) == []
    assert hints(boxes_of_colours(), Detector(), labels=LABELS[:2]) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input": {"name": "z"}}, "input.name: the manifest says 'z'; .* mend: 'x'"),
        ({"input": {"dtype": "uint8"}}, "input.dtype: .* mend: 'float32'"),
        ({"input": {"layout": "nhwc"}}, r"layout: .*\(n, 3, 8, 8\) .* mend: 'nchw'"),
        ({"input": {"width": 9}}, "input.width: the manifest says 9; .* mend: 8"),
        ({"input": {"height": 224}}, "input.height: .* mend: 8"),
        ({"output": {"name": "z"}}, "output.name: .*outputs are 'y'; mend: 'y'"),
        (
            {"labels": LABELS[:2]},
            r"labels: .*'2 labels'; .*\(n, 3\): one column a label",
        ),
        ({"output": {"activation": "none"}}, None),
    ],
)
def test_each_difference_is_told_with_its_mend(
    changes: dict[str, Any], told: str | None
) -> None:
    """Key, what the manifest says, what the graph has."""
    found = hints(mean_colour(), **changes)
    assert len(found) == (told is not None)
    if told is not None:
        with pytest.raises(AssertionError, match=told):
            raise AssertionError(found[0])


def test_a_double_activation_is_told() -> None:
    """A softmax of a softmax would flatten every score."""
    (told,) = hints(mean_colour(softmax=True))
    assert told.startswith("output.activation: the manifest says 'softmax'")
    assert told.endswith("the graph ends in Softmax already; mend: 'none'")


def test_logits_are_told() -> None:
    """A graph that ends in a product gives no scores."""
    model = mean_colour()
    model.graph.node[-1].op_type = "MatMul"
    (told,) = hints(model, output={"activation": "none"})
    assert "ends in MatMul, which gives no scores of 0…1: say softmax" in told


@pytest.mark.parametrize(
    ("dims", "told"),
    [
        (["n", 3], "no batch of RGB pictures"),
        (["n", 1, SIDE, SIDE], "no batch of RGB pictures"),
        (["n", 3, "h", "w"], None),
        (["n", 3, SIDE, 3], None),
        (["n", "c", SIDE, SIDE], None),
    ],
)
def test_what_a_graph_leaves_open_is_left_open(
    dims: list[str | int], told: str | None
) -> None:
    """Unknown sizes give no hint; other pictures than RGB do."""
    model = mean_colour()
    del model.graph.input[:]
    model.graph.input.append(
        helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)
    )
    found = hints(model, input={"width": 3} if dims[3:] == [3] else {})
    assert [told in text for text in found] == [True] if told else not found


def test_other_inputs_and_types_are_left_to_a_person() -> None:
    """Two inputs, none of them a guess; and a type that is not taken."""
    both = mean_colour()
    both.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1]))
    assert any("the graph has 2 inputs ('x', 'z')" in text for text in hints(both))
    half = mean_colour()
    half.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    assert any("neither uint8 nor float32" in text for text in hints(half))


def test_several_outputs_are_listed() -> None:
    """Which one it is only a person can tell."""
    model = mean_colour()
    model.graph.output.append(
        helper.make_tensor_value_info("m", TensorProto.FLOAT, [1])
    )
    (told,) = hints(model, output={"name": "z"})
    assert told == (
        "output.name: the manifest says 'z'; the graph's outputs are 'y', 'm'"
    )


@pytest.mark.parametrize(
    ("detector", "told"),
    [
        (Detector(layout="anchors_first"), "mend: 'classes_first'"),
        (Detector(boxes=5), "none of it has 7 numbers"),
    ],
)
def test_boxes_that_lie_otherwise_are_told(detector: Detector, told: str) -> None:
    """The other layout where it fits, else the numbers."""
    (found,) = hints(boxes_of_colours(), detector, labels=LABELS[:2])
    assert told in found


def test_no_boxes_are_told() -> None:
    """A classifier that is said to be a detector."""
    assert any("no boxes" in text for text in hints(mean_colour(), Detector()))


def test_a_manifest_of_anything_gives_hints() -> None:
    """Sections that are no sections count as missing."""
    found = compare({"input": 3, "output": [], "labels": "x"}, mean_colour(), None)
    assert [hint.key for hint in found if hint.missing] == [
        *("input.name", "input.dtype", "input.layout", "input.height", "input.width"),
        "output.name",
    ]
    assert mended({"input": 3}, found[0]) == {"input": {"name": "x"}}


def test_what_is_plain_from_the_graph_is_filled_in(tmp_path: Path) -> None:
    """And told, line by line."""
    said = spoken()
    said["input"] = {"color": "rgb", "scale": 1 / 255, "resize": "area"}
    lines: list[str] = []
    source = source_of(tmp_path, mean_colour(), said)
    ready = settle(source, None, None, lines.append)
    assert ready["input"]["layout"] == "nchw"
    assert ready["input"]["width"] == SIDE
    assert "input.name: 'x', as the graph's input 'x'" in lines


def test_on_a_terminal_each_mend_may_be_taken(tmp_path: Path) -> None:
    """Yes takes it; no leaves a fault."""
    said = spoken(input={"width": 9, "layout": "nhwc"})
    source = source_of(tmp_path, mean_colour(), said)
    asked: list[str] = []

    def yes(question: str) -> bool:
        asked.append(question)
        return True

    ready = settle(source, None, yes, lambda _: None)
    assert (ready["input"]["width"], ready["input"]["layout"]) == (SIDE, "nchw")
    assert len(asked) == 2
    assert all(question.endswith("Take it?") for question in asked)
    with pytest.raises(ManifestError, match=r"my\.onnx: input\.layout"):
        settle(source, None, lambda _: False, lambda _: None)


def test_without_a_terminal_every_hint_is_a_fault(tmp_path: Path) -> None:
    """All at once, so that one edit mends them."""
    said = spoken(input={"width": 9, "layout": "nhwc"}, output={"name": "z"})
    with pytest.raises(ManifestError) as caught:
        settle(source_of(tmp_path, mean_colour(), said), None, None, lambda _: None)
    assert len(caught.value.faults) == 3


def test_the_range_of_floats_is_never_guessed(tmp_path: Path) -> None:
    """A net that is fed 0…255 instead of 0…1 says anything at all."""
    said = spoken()
    del said["input"]["scale"]
    with pytest.raises(ManifestError, match=r"input\.scale: is missing; say 0\.0039"):
        settle(source_of(tmp_path, mean_colour(), said), None, None, lambda _: None)


def test_the_preprocessor_s_file_completes_the_manifest(tmp_path: Path) -> None:
    """What it states need not be written again."""
    said = spoken()
    said["input"] = {}
    config = tmp_path / "preprocessor_config.json"
    config.write_text(
        '{"size": {"height": 8, "width": 8}, "resample": 3,'
        ' "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    source = source_of(tmp_path, mean_colour(), said)
    ready = settle(source, config, None, lambda _: None)
    assert ready["input"]["resize"] == "bicubic"
    assert ready["input"]["mean"] == [0.5, 0.5, 0.5]


def test_a_hint_without_a_mend_names_none() -> None:
    """It leaves the value to a person."""
    assert str(Hint("a", None, None, "about")) == "a: is missing; about"
    assert not Hint("a", None, None, "about").missing
    model = model_of([], [], [], weights={"w": np.zeros(1)})
    assert any("the graph has 0 inputs (none)" in text for text in hints(model))
