"""What a server says of its model is held against the manifest before it is trusted."""

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.classify.manifest import Manifest, load
from sidecar.classify.remote_fit import faults
from sidecar.classify.served import ModelFacts, Served, TensorFacts
from tests.fakes.oip import FACTS, NAME
from tests.fakes.onnx_models import card as model_card
from tests.fakes.onnx_models import mean_colour, mean_colour_folder, write

INPUT, OUTPUT = FACTS.inputs[0], FACTS.outputs[0]


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Of the net that looks at the mean colour."""
    return load(mean_colour_folder(tmp_path / "m"))


@pytest.mark.parametrize(
    "facts",
    [
        FACTS,
        replace(FACTS, inputs=(replace(INPUT, shape=(-1, 3, -1, -1)),)),
        replace(FACTS, inputs=(TensorFacts("aux", "INT64", (1,)), INPUT)),
    ],
)
def test_what_goes_together(manifest: Manifest, facts: ModelFacts) -> None:
    """As the manifest says, with sides that may be of any size, and more inputs."""
    assert faults(manifest, Served(NAME, "1"), facts) == []
    assert faults(manifest, Served(NAME), facts) == []


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (replace(FACTS, versions=("2", "3")), "there are: 2, 3; correct engine.remote"),
        (replace(FACTS, versions=()), "there are: none"),
        (replace(FACTS, inputs=()), "no input 'x' (but: none)"),
        (
            replace(FACTS, outputs=(replace(OUTPUT, name="z"),)),
            "no output 'y' (but: 'z')",
        ),
        (
            replace(FACTS, inputs=(replace(INPUT, datatype="UINT8"),)),
            "input 'x' is UINT8 [-1, 3, 8, 8] instead of FP32",
        ),
        (
            replace(FACTS, inputs=(replace(INPUT, shape=(-1, 8, 8, 3)),)),
            "instead of FP32 [-1, 3, 8, 8]",
        ),
        (
            replace(FACTS, inputs=(replace(INPUT, shape=(1, 3, 8, 8)),)),
            "with a batch axis of any size",
        ),
        (replace(FACTS, outputs=(replace(OUTPUT, shape=(-1, 5)),)), "FP32 [-1, 3]"),
        (replace(FACTS, outputs=(replace(OUTPUT, shape=(-1,)),)), "FP32 [-1] instead"),
    ],
)
def test_what_does_not(manifest: Manifest, facts: ModelFacts, told: str) -> None:
    """Version, name, type, shape: each is one sentence with its mend."""
    (fault,) = faults(manifest, Served(NAME, "1"), facts)
    assert told in fault


def test_the_other_layout_and_bytes(tmp_path: Path) -> None:
    """A net that takes bytes, row by row, is described so."""
    spec = {"layout": "nhwc", "dtype": "uint8", "scale": 1.0}
    model = mean_colour(layout="nhwc", dtype="uint8")
    manifest = load(write(tmp_path / "m", model, model_card(input=spec)))
    facts = replace(FACTS, inputs=(TensorFacts("x", "UINT8", (-1, 8, 8, 3)),))
    assert faults(manifest, Served(NAME), facts) == []
