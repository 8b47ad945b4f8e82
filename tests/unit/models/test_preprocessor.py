"""Hugging Face's file in a manifest's words, or refused where there are none."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.errors import ManifestError
from sidecar.models import preprocessor
from sidecar.models.preprocessor import merged, parse, read

HALF = [0.5, 0.5, 0.5]
NORM: dict[str, Any] = {"image_mean": HALF, "image_std": HALF}


def parsed(**config: Any) -> dict[str, Any]:  # noqa: ANN401
    """What a file with these keys says."""
    return parse(json.dumps({**NORM, **config}).encode())


def test_a_vision_transformer_s_file() -> None:
    """Squashed to a square by Pillow's bilinear; bytes to -1…1."""
    found = parsed(
        do_resize=True,
        size={"height": 224, "width": 224},
        resample=2,
        do_rescale=True,
        rescale_factor=0.00392156862745098,
        image_processor_type="ViTImageProcessor",
    )
    assert found == {
        "width": 224,
        "height": 224,
        "fit": "squash",
        "resize": "bilinear",
        "color": "rgb",
        "scale": 0.00392156862745098,
        "mean": HALF,
        "std": HALF,
    }


@pytest.mark.parametrize(
    ("config", "geometry"),
    [
        ({"size": 384}, (384, 384, "crop", None)),
        ({"size": {"shortest_edge": 224}}, (224, 224, "crop", None)),
        ({"size": {"width": 320, "height": 240}}, (320, 240, "squash", None)),
        ({"size": {"shortest_edge": 256}, "crop_size": 224}, (224, 224, "crop", 0.875)),
        (
            {"size": 256, "crop_size": {"height": 224, "width": 224}},
            (224, 224, "crop", 0.875),
        ),
        (
            {"size": {"height": 256, "width": 256}, "crop_size": 224},
            (224, 224, "squash", 0.875),
        ),
        (
            {"size": 224, "crop_size": 200, "do_center_crop": False},
            (224, 224, "crop", None),
        ),
        (
            {"size": {"shortest_edge": 224}, "crop_pct": 0.875},
            (224, 224, "crop", 0.875),
        ),
        (
            {"size": {"shortest_edge": 384}, "crop_pct": 0.875},
            (384, 384, "squash", 1.0),
        ),
    ],
)
def test_size_and_crop(
    config: dict[str, Any], geometry: tuple[int, int, str, float | None]
) -> None:
    """Both sides or the shorter one, and what of it is seen."""
    found = parsed(**config)
    keys = ("width", "height", "fit", "keep")
    assert tuple(found.get(key) for key in keys) == geometry


def test_arithmetic() -> None:
    """No rescaling is a scale of 1; no normalisation leaves mean and std out."""
    plain = parsed(size=224, do_rescale=False, do_normalize=False)
    assert plain["scale"] == 1.0
    assert "mean" not in plain
    assert parsed(size=224, do_flip_channel_order=True)["color"] == "bgr"
    assert parsed(size=224, resample=0)["resize"] == "point"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"do_resize": False}, "do_resize: false and do_pad have no equal"),
        ({"size": 224, "do_pad": True}, "do_pad have no equal"),
        ({"size": 224, "resample": 5}, "resample: 5 has no equal"),
        ({}, "size: is missing"),
        ({"size": {"longest_edge": 224}}, "size: is missing, or in other words"),
        ({"size": 224, "crop_size": 256}, "the crop is the larger"),
        ({"size": 256, "crop_size": {"width": 224, "height": 128}}, "differ in aspect"),
        ({"size": 224, "image_mean": None}, "image_mean and image_std: missing"),
        ({"size": 224, "image_mean": [1]}, "image_mean"),
        ({"size": -1}, "size"),
    ],
)
def test_what_has_no_equal_is_refused(config: dict[str, Any], told: str) -> None:
    """Never guessed."""
    with pytest.raises(ManifestError, match=told):
        parsed(**config)


def test_a_file_is_read_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Errors name it."""
    path = tmp_path / "p.json"
    with pytest.raises(ManifestError, match=r"p\.json: cannot be read"):
        read(path)
    path.write_text("{")
    with pytest.raises(ManifestError, match=r"p\.json: is no JSON"):
        read(path)
    path.write_text(json.dumps({"size": 224, **NORM}))
    assert read(path)["width"] == 224
    monkeypatch.setattr(preprocessor, "MAX_BYTES", 3)
    with pytest.raises(ManifestError, match=r"p\.json: larger than"):
        read(path)


def test_a_manifest_that_says_otherwise_is_told() -> None:
    """Both values stand there; equal ones are no difference."""
    stated = {"width": 224, "mean": [0.1, 0.2, 0.3], "resize": "area"}
    same = {"name": "m", "input": {"width": 224, "mean": [0.1, 0.2, 0.3000000001]}}
    assert merged(same, stated)["input"]["resize"] == "area"
    other = {"input": {"width": 299, "mean": [0.1, 0.2], "resize": "point"}}
    with pytest.raises(ManifestError) as caught:
        merged(other, stated)
    assert len(caught.value.faults) == 3
    assert "input.width: 299 in the manifest, 224 in the" in caught.value.faults[0]
    with pytest.raises(ManifestError, match="input: should be a mapping"):
        merged({"input": 1}, stated)


_KEYS = st.sampled_from(
    ["size", "crop_size", "height", "width", "shortest_edge", "resample", "image_mean"]
)


@given(
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_file_is_a_manifest_s_words_or_the_error(data: bytes) -> None:
    """Bytes of any kind, and JSON of any shape."""
    with suppress(ManifestError):
        assert parse(data)["width"] >= 8
