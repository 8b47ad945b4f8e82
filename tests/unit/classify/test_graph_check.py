"""Unsafe, broken or mismatched graphs are told; no bytes do worse."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper

from sidecar.classify.graph import prepare
from sidecar.classify.manifest import Manifest, load
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.domain import Picture
from sidecar.errors import ManifestError
from tests.fakes.onnx_models import SIDE, card, mean_colour, write


def manifest_of(folder: Path, model: ModelProto | bytes, **changes: Any) -> Manifest:  # noqa: ANN401
    """The manifest of a folder written on the spot."""
    return load(write(folder, model, card(**changes)))


def pictures(count: int) -> list[Picture]:
    """Noise, repeatable."""
    noise = np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3))
    return list(noise.astype(np.uint8))


def external(model: ModelProto) -> None:
    """Weights in another file."""
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def external_in_a_branch(model: ModelProto) -> None:
    """The same, hidden in the branch of an If."""
    inner = helper.make_graph([], "inner", [], [])
    inner.initializer.add().data_location = TensorProto.EXTERNAL
    node = helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner)
    model.graph.node.append(node)
    node = helper.make_node("Foreign", [], ["q"])
    node.attribute.append(helper.make_attribute("bodies", [inner]))
    model.graph.node.append(node)


def custom_operator(model: ModelProto) -> None:
    """Somebody's own operator."""
    model.graph.node.append(helper.make_node("Magic", ["y"], ["z"], domain="my.ops"))


def custom_opset(model: ModelProto) -> None:
    """Somebody's own operators, imported only."""
    model.opset_import.append(helper.make_opsetid("my.ops", 1))


def own_function(model: ModelProto) -> None:
    """A function defined in the file."""
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("", "F", [], [], [], opsets))


def sparse_external(model: ModelProto) -> None:
    """A sparse weight in another file."""
    sparse = model.graph.sparse_initializer.add()
    sparse.values.data_location = TensorProto.EXTERNAL


def no_nodes(model: ModelProto) -> None:
    """An empty graph."""
    del model.graph.node[:]


def our_name(model: ModelProto) -> None:
    """A tensor with a name of ours."""
    model.graph.node[-1].name = "sidecar_pixels"


def unknown_operator(model: ModelProto) -> None:
    """An operator ONNX does not know."""
    model.graph.node[1].op_type = "Reduce2"


def torn(model: ModelProto) -> None:
    """An edge that leads nowhere."""
    model.graph.node[1].input[0] = "nowhere"


def future_opset(model: ModelProto) -> None:
    """From years to come."""
    model.opset_import[0].version = 999


def old_opset(model: ModelProto) -> None:
    """From years gone by."""
    model.opset_import[0].version = 7


def second_input(model: ModelProto) -> None:
    """A net that wants more than a picture."""
    model.graph.input.append(
        helper.make_tensor_value_info("more", TensorProto.FLOAT, [1])
    )


def half_output(model: ModelProto) -> None:
    """Scores in half precision."""
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (external, "keeps weights in another file; save it with all data inside"),
        (external_in_a_branch, "keeps weights in another file"),
        (sparse_external, "keeps weights in another file"),
        (custom_operator, "needs operators of 'my.ops'; export it with standard"),
        (custom_opset, "needs operators of 'my.ops'"),
        (own_function, "defines functions of its own"),
        (no_nodes, "has no nodes"),
        (our_name, "uses names beginning with 'sidecar_'"),
        (unknown_operator, "breaks ONNX's rules"),
        (torn, "breaks ONNX's rules"),
        (future_opset, "breaks ONNX's rules"),
        (old_opset, "is of opset 7; export it with opset 9 or later"),
        (second_input, "has the inputs 'x', 'more', the manifest says only 'x'"),
        (half_output, "output 'y' is not float32"),
    ],
)
def test_an_unfit_graph_is_told(
    tmp_path: Path, spoil: Callable[[ModelProto], None], told: str
) -> None:
    """Unsafe or broken graphs: a ManifestError with the file's name and the mend."""
    model = mean_colour()
    spoil(model)
    manifest = manifest_of(tmp_path / "m", model)
    with pytest.raises(ManifestError) as caught:
        prepare(manifest)
    assert told in str(caught.value)
    assert str(manifest.model_path) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input": {"name": "z"}}, "has the inputs 'x', the manifest says only 'z'"),
        ({"input": {"dtype": "uint8", "scale": 1.0}}, "input 'x' is not uint8"),
        ({"input": {"layout": "nhwc"}}, "(n, 3, 8, 8), the manifest says (n, 8, 8, 3)"),
        ({"input": {"width": 16}}, "mend input.layout, input.width and input.height"),
        ({"output": {"name": "z"}}, "has the outputs 'y', the manifest says only 'z'"),
        ({"labels": card()["labels"][:2]}, "(n, 3), the manifest says (n, 2)"),
    ],
)
def test_a_card_of_another_graph_is_told(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    """Card and graph have to agree on names, sizes, types and labels."""
    manifest = manifest_of(tmp_path / "m", mean_colour(), **changes)
    with pytest.raises(ManifestError) as caught:
        prepare(manifest)
    assert told in str(caught.value)


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    """Protobuf hands such names out as bytes; they are refused before anything else."""
    data = GOOD.replace(b"\x04Cast", b"\x04Ca\xff\xfe")
    with pytest.raises(ManifestError, match="has broken names"):
        prepare(manifest_of(tmp_path / "m", data))


GOOD = mean_colour().SerializeToString()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A card whose file the fuzzer replaces."""
    return manifest_of(tmp_path_factory.mktemp("fuzz") / "m", GOOD)


@settings(deadline=None, max_examples=300)
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.integers(0, len(GOOD) - 1).map(lambda cut: GOOD[:cut]),
        st.tuples(st.integers(0, len(GOOD) - 1), st.integers(1, 255)).map(
            lambda at: GOOD[: at[0]] + bytes([GOOD[at[0]] ^ at[1]]) + GOOD[at[0] + 1 :]
        ),
    )
)
def test_any_bytes_are_a_graph_or_the_error(good: Manifest, data: bytes) -> None:
    """Truncated, flipped, arbitrary: a model that runs, or a ManifestError."""
    good.model_path.write_bytes(data)
    manifest = good.model_copy(update={"sha256": hashlib.sha256(data).hexdigest()})
    try:
        session = OnnxSession(manifest, EngineSettings(max_batch_size=1))
    except ManifestError as exc:
        told = str(exc)
        assert str(manifest.model_path) in told
    else:
        assert session.run(pictures(1)).shape == (1, 3)
