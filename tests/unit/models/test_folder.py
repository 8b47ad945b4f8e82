"""A model is in the models folder whole and verified, or it is not there."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from sidecar.classify.catalogue import listing
from sidecar.classify.manifest import load
from sidecar.errors import ManifestError
from sidecar.models.folder import install
from tests.fakes.onnx_models import card, mean_colour

DATA = mean_colour().SerializeToString()


def given_card(data: bytes = DATA, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A card for these bytes."""
    return card(sha256=hashlib.sha256(data).hexdigest(), **changes)


def test_a_good_model_is_there_afterwards(tmp_path: Path) -> None:
    """By its name, with everything it came with, and nothing else beside it."""
    models = tmp_path / "deep" / "models"
    files = {"model.onnx": DATA, "notes/LICENCE": b"free"}
    manifest, report = install(models, given_card(), files, replace=False)
    assert report.ok
    assert manifest.path.parent == models / "mean-colour"
    assert (models / "mean-colour" / "notes" / "LICENCE").read_bytes() == b"free"
    assert [entry.name for entry in models.iterdir()] == ["mean-colour"]
    assert listing([models])[0].faults == ()


def test_a_faulty_one_leaves_the_old_one_alone(tmp_path: Path) -> None:
    """Each check that failed is told; the folder is as it was."""
    install(tmp_path, given_card(), {"model.onnx": DATA}, replace=False)
    broken = given_card(b"junk")
    with pytest.raises(ManifestError, match="is not an ONNX file"):
        install(tmp_path, broken, {"model.onnx": b"junk"}, replace=True)
    assert load(tmp_path / "mean-colour").sha256 == given_card()["sha256"]
    assert len(list(tmp_path.iterdir())) == 1


def test_another_model_of_the_name_is_replaced_on_request_only(tmp_path: Path) -> None:
    """The same one may be put there again; thresholds belong to one model."""
    install(tmp_path, given_card(), {"model.onnx": DATA}, replace=False)
    install(tmp_path, given_card(), {"model.onnx": DATA}, replace=False)
    other = mean_colour(batch=1).SerializeToString()
    with pytest.raises(ManifestError, match="give --replace"):
        install(tmp_path, given_card(other), {"model.onnx": other}, replace=False)
    install(tmp_path, given_card(other), {"model.onnx": other}, replace=True)
    assert load(tmp_path / "mean-colour").sha256 == given_card(other)["sha256"]


def test_what_lies_there_broken_is_not_overwritten_unasked(tmp_path: Path) -> None:
    """It may be somebody's work."""
    (tmp_path / "mean-colour").mkdir()
    with pytest.raises(ManifestError, match="another model of this name"):
        install(tmp_path, given_card(), {"model.onnx": DATA}, replace=False)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the option that names another one."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ManifestError, match=r"cannot be written.*--models-dir"):
        install(tmp_path / "file", given_card(), {"model.onnx": DATA}, replace=False)
