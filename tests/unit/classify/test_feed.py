"""What is done in numpy for a server is what is baked into the graph here."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.classify.card import ModelInput, ModelOutput
from sidecar.classify.feed import activated, feed
from sidecar.classify.manifest import load
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from tests.fakes.onnx_models import CARD, SIDE, card, mean_colour, write

NOISE = [
    np.random.default_rng(n).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for n in range(3)
]


def spec(**changes: Any) -> ModelInput:  # noqa: ANN401 (anything of a card)
    """The card's input with some keys replaced."""
    return ModelInput.model_validate({**CARD["input"], **changes})


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_it_agrees_with_the_baked_graph(
    tmp_path: Path, color: str, layout: str, activation: str
) -> None:
    """Colour order, layout, scale, mean, std and activation: the same scores."""
    given_ = {
        "color": color,
        "layout": layout,
        "scale": 1 / 127.5,
        "mean": [1.0, 0.9, 0.8],
        "std": [0.5, 0.6, 0.7],
    }
    whole = card(input=given_, output={"activation": activation})
    folder = write(tmp_path / "m", mean_colour(layout=layout), whole)
    manifest = load(folder)
    here = OnnxSession(manifest, EngineSettings(max_batch_size=4)).run(NOISE)
    fed = feed(NOISE, manifest.input)
    axes = (2, 3) if layout == "nchw" else (1, 2)
    raw = (4.0 * fed.mean(axis=axes)).astype(np.float32)  # what that net does
    assert np.abs(activated(raw, manifest.output) - here).max() < 1e-5


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_bytes_stay_bytes(layout: str) -> None:
    """A net that does its own arithmetic is fed what the decoder gave."""
    fed = feed(NOISE, spec(dtype="uint8", scale=1.0, layout=layout))
    assert fed.dtype == np.uint8
    assert fed.flags.c_contiguous
    back = fed.transpose(0, 2, 3, 1) if layout == "nchw" else fed
    assert np.array_equal(back, np.stack(NOISE))


def test_plain_floats_are_the_bytes_values() -> None:
    """Nothing is scaled that is not to be."""
    fed = feed(NOISE, spec(scale=1.0, layout="nhwc"))
    assert fed.dtype == np.float32
    assert np.array_equal(fed, np.stack(NOISE))


rows = st.lists(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=3, max_size=3), min_size=1
)


@given(rows, st.sampled_from(["softmax", "sigmoid"]))
def test_activated_scores_are_scores(raw: list[list[float]], activation: str) -> None:
    """Any finite output becomes numbers in 0…1; a softmax sums to 1."""
    output = ModelOutput.model_validate({"name": "y", "activation": activation})
    scores = activated(np.array(raw, np.float32), output)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert scores.min() >= 0
    assert scores.max() <= 1 + 1e-6
    if activation == "softmax":
        assert scores.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_without_activation_nothing_is_done() -> None:
    """The net has done it."""
    output = ModelOutput.model_validate({"name": "y", "activation": "none"})
    raw = np.array([[0.25, 0.75]], np.float32)
    assert activated(raw, output) is raw
