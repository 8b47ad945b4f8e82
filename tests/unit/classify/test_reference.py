"""A model's own proof is read within bounds, or refused with its place."""

import io
import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sidecar.classify import reference
from sidecar.classify.reference import parse_picture, parse_scores, read
from sidecar.errors import ManifestError

HERE = Path("scores.json")


def png(mode: str = "RGB", size: tuple[int, int] = (4, 3)) -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new(mode, size, 7).save(out, "PNG")
    return out.getvalue()


def folder(tmp_path: Path, scores: object, picture: bytes | None = None) -> Path:
    """A model folder with a proof."""
    kept = tmp_path / "reference"
    kept.mkdir()
    (kept / "scores.json").write_text(json.dumps({"made_by": "x", "scores": scores}))
    (kept / "a.png").write_bytes(png() if picture is None else picture)
    return tmp_path


def test_a_model_need_not_bring_any(tmp_path: Path) -> None:
    """No folder, no references."""
    assert read(tmp_path, 2) == ()


def test_pictures_and_scores_come_together(tmp_path: Path) -> None:
    """Pixels as stored, scores as written, tolerances by default."""
    (found,) = read(folder(tmp_path, {"a": [0.25, 0.75]}), 2)
    assert found.name == "a"
    assert found.picture.shape == (3, 4, 3)
    assert found.scores.tolist() == [0.25, 0.75]
    assert (found.tolerance, found.resize_tolerance) == (1e-4, 0.02)


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        ({"a": [0.5]}, "a: 1 scores, the manifest has 2 labels"),
        ({"a": [0.5, 1.5]}, "scores.a.1"),
        ({"../a": [0.5, 0.5]}, "should match pattern"),
        ({}, "scores"),
        ({"b": [0.5, 0.5]}, "b.png: cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, scores: object, told: str
) -> None:
    """Other labels, numbers beyond 0…1, names that climb out, missing pictures."""
    with pytest.raises(ManifestError, match=told):
        read(folder(tmp_path, scores), 2)


@pytest.mark.parametrize(
    "data", [b"", png()[:50], png("L"), b"GIF89a", png(size=(9, 1))]
)
def test_a_picture_is_a_png_of_bounded_size(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torn, grey, foreign and oversized files are named."""
    monkeypatch.setattr(reference, "MAX_SIDE", 8)
    with pytest.raises(ManifestError, match=r"a\.png"):
        read(folder(tmp_path, {"a": [1.0]}, data), 1)


def test_a_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of bytes, before it is parsed."""
    monkeypatch.setattr(reference, "MAX_BYTES", 10)
    with pytest.raises(ManifestError, match="larger than"):
        read(folder(tmp_path, {"a": [1.0]}), 1)


@given(st.binary(max_size=200))
def test_any_scores_are_read_or_refused(data: bytes) -> None:
    """Bytes of any kind."""
    with suppress(ManifestError):
        parse_scores(HERE, data)


@given(st.integers(0, len(png()) - 1), st.binary(min_size=1, max_size=4))
def test_any_picture_is_read_or_refused(at: int, junk: bytes) -> None:
    """A PNG with other bytes somewhere inside."""
    data = png()
    with suppress(ManifestError):
        found = parse_picture(HERE, data[:at] + junk + data[at + len(junk) :])
        assert found.dtype == np.uint8
