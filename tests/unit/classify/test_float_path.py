"""The other path to a score: what numpy feeds, and what is made of the output."""

import numpy as np
import pytest

from sidecar.classify.card import ModelInput
from sidecar.classify.float_path import activated, fed, raw_output
from sidecar.errors import ManifestError
from tests.fakes.onnx_models import CARD, GAIN, SIDE, mean_colour

PICTURE = np.full((SIDE, SIDE, 3), (255, 102, 0), np.uint8)


def spec(**changes: object) -> ModelInput:
    """The tests' input, changed."""
    return ModelInput.model_validate({**CARD["input"], **changes})


@pytest.mark.parametrize(
    ("changes", "shape", "first"),
    [
        ({}, (1, 3, 8, 8), 1.0),
        ({"color": "bgr"}, (1, 3, 8, 8), 0.0),
        ({"layout": "nhwc"}, (1, 8, 8, 3), 1.0),
        ({"mean": [0.5, 0, 0], "std": [0.25, 1, 1]}, (1, 3, 8, 8), 2.0),
        ({"layout": "nhwc", "mean": [0.5, 0, 0]}, (1, 8, 8, 3), 0.5),
        ({"dtype": "uint8", "scale": 1.0}, (1, 3, 8, 8), 255),
    ],
)
def test_what_the_net_is_fed(
    changes: dict[str, object], shape: tuple[int, ...], first: float
) -> None:
    """Order of colours, layout, scale, mean and deviation: each as the card says."""
    batch = fed(spec(**changes), PICTURE)
    assert batch.shape == shape
    assert batch.ravel()[0] == pytest.approx(first)
    assert batch.dtype == (np.uint8 if first == 255 else np.float32)


def test_the_output_is_as_the_file_gives_it() -> None:
    """Nothing is applied yet."""
    data = mean_colour().SerializeToString()
    raw = raw_output(data, spec(), "y", PICTURE)
    assert raw == pytest.approx(GAIN * np.array([[1, 0.4, 0]]))


def test_what_does_not_run_is_told() -> None:
    """In a sentence, whatever onnxruntime raises."""
    with pytest.raises(ManifestError, match="onnxruntime cannot run the file: "):
        raw_output(b"junk", spec(), "y", PICTURE)
    data = mean_colour().SerializeToString()
    with pytest.raises(ManifestError, match="onnxruntime cannot run the file: "):
        raw_output(data, spec(), "z", PICTURE)


def test_activations() -> None:
    """Softmax of rows, sigmoid of each, or nothing."""
    raw = np.array([[0, np.log(3)]], np.float32)
    assert activated(raw, "softmax") == pytest.approx(np.array([[0.25, 0.75]]))
    assert activated(raw, "sigmoid") == pytest.approx(np.array([[0.5, 0.75]]))
    assert activated(raw, "none") == pytest.approx(raw)
