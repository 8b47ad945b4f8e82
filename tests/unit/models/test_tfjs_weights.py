"""Weights come back as TensorFlow.js restores them, or not at all."""

import base64
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ManifestError
from sidecar.models import tfjs_weights
from sidecar.models.tfjs_weights import read_weights, shard_names

STEPS = {"dtype": "uint8", "min": -1, "scale": 0.1}
RAW = np.array([1.5, -2.0], "<f4")
DATA = bytes([0, 10, 255]) + RAW.tobytes()
SPECS: list[dict[str, Any]] = [
    {"name": "q", "shape": [3, 1], "dtype": "float32", "quantization": STEPS},
    {"name": "f", "shape": [2], "dtype": "float32"},
]


def shard(data: bytes) -> str:
    """As a bundle holds it."""
    return base64.b64encode(data).decode()


def manifest(*specs: dict[str, Any]) -> list[dict[str, Any]]:
    """One group over two files."""
    return [{"paths": ["one", "two"], "weights": list(specs or SPECS)}]


def test_weights_are_restored_across_shards() -> None:
    """Bytes are spread over double precision and rounded once; floats stay."""
    shards = {"one": shard(DATA[:5]), "two": shard(DATA[5:])}
    found = read_weights(manifest(), shards)
    assert shard_names(manifest()) == ["one", "two"]
    wanted = (np.array([0, 10, 255], np.float64) * 0.1 - 1).astype(np.float32)
    assert np.array_equal(found["q"], wanted.reshape(3, 1))
    assert np.array_equal(found["f"], RAW)
    assert found["q"].dtype == found["f"].dtype == np.float32


@pytest.mark.parametrize(
    ("specs", "data"),
    [
        (SPECS, DATA[:-1]),
        (SPECS, DATA + b"x"),
        ([SPECS[0], SPECS[0]], bytes(6)),
        ([{**SPECS[1], "dtype": "int32"}], DATA),
        ([{**SPECS[1], "shape": [-2]}], DATA),
        ([{**SPECS[1], "shape": ["2"]}], DATA),
        ([{**SPECS[0], "quantization": {**STEPS, "scale": float("nan")}}], DATA),
        ([{**SPECS[0], "quantization": {**STEPS, "dtype": "uint16"}}], DATA),
    ],
)
def test_what_does_not_add_up_is_refused(
    specs: list[dict[str, Any]], data: bytes
) -> None:
    """Missing or left-over bytes, names twice, other types, odd numbers."""
    with pytest.raises(ManifestError):
        read_weights(manifest(*specs), {"one": shard(data), "two": ""})


@pytest.mark.parametrize("shards", [{}, {"one": "!"}, {"one": 5}, {"one": "ü"}])
def test_a_shard_that_is_none_is_refused(shards: dict[str, Any]) -> None:
    """Missing, no base64, no text."""
    with pytest.raises(ManifestError, match="missing, or no base64"):
        read_weights(manifest(), shards)


def test_a_tensor_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte becomes eight while it is restored."""
    monkeypatch.setattr(tfjs_weights, "MAX_WEIGHTS", 2)
    with pytest.raises(ManifestError, match="too large"):
        read_weights(manifest(), {"one": shard(DATA), "two": ""})


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5) | st.floats(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["paths", "weights", "name", "shape", "dtype"]), inner
            )
        ),
    )
)
def test_any_manifest_is_weights_or_the_error(found: Any) -> None:  # noqa: ANN401
    """Whatever a bundle exports."""
    with suppress(ManifestError):
        read_weights(found, {"one": shard(DATA)})
