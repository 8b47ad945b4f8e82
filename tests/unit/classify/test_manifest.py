"""A model's card: what is accepted, and how each fault is told."""

import hashlib
from pathlib import Path
from typing import Any, get_args

import pytest

from sidecar.classify import model_file
from sidecar.classify.card import ModelInput
from sidecar.classify.labels import Combine
from sidecar.classify.manifest import FILE_NAME, load
from sidecar.domain import Category, ModelRef, PictureFormat
from sidecar.errors import ManifestError
from sidecar.sample.resize import FITS, METHODS
from tests.fakes.onnx_models import CARD, card, write

DATA = b"not looked into here"


def faults_of(folder: Path, **changes: Any) -> str:  # noqa: ANN401
    """The text of the error for the good card with these changes."""
    write(folder, DATA, card(**changes))
    with pytest.raises(ManifestError) as caught:
        load(folder)
    assert all(str(folder / FILE_NAME) in fault for fault in caught.value.faults)
    return str(caught.value)


def test_a_good_card(tmp_path: Path) -> None:
    """All of a good card comes out in the words of the house."""
    manifest = load(write(tmp_path / "m", DATA, CARD))
    digest = hashlib.sha256(DATA).hexdigest()
    assert manifest.ref == ModelRef("mean-colour", f"sha256:{digest}")
    assert manifest.format == PictureFormat(8, 8, "area")
    assert manifest.model_path == tmp_path / "m" / "model.onnx"
    assert manifest.categories.combine is Combine.SUM
    assert manifest.categories.labels[0] == ("red", Category.VIOLENCE_GRAPHIC)
    assert manifest.read_model() == DATA


def test_provenance_takes_notes(tmp_path: Path) -> None:
    """Further keys of provenance are free, as long as they fit on a line."""
    notes = {"source": "https://example.org", "commit": "abc", "parameters": 12}
    kept = load(write(tmp_path / "m", DATA, card(provenance=notes))).provenance
    assert kept.model_dump() == notes
    text = faults_of(tmp_path / "n", provenance={"source": "x", "deep": {"a": 1}})
    assert "provenance.deep: {'a': 1}: should be a text" in text


def test_the_card_says_how_a_frame_becomes_a_picture(tmp_path: Path) -> None:
    """Method, fit, share and bars reach the sampler as they stand."""
    spec = {"resize": "bilinear_align_corners", "fit": "crop", "keep": 0.875}
    shown = load(write(tmp_path / "a", DATA, card(input=spec))).format
    assert shown == PictureFormat(8, 8, "bilinear_align_corners", "crop", 0.875)
    padded = card(input={"fit": "pad_center", "pad": 114})
    shown = load(write(tmp_path / "b", DATA, padded)).format
    assert shown == PictureFormat(8, 8, "area", "pad_center", pad=114)


def test_every_method_and_fit_of_the_sampler_can_be_named() -> None:
    """The card's words and the resize's are the same words."""
    assert get_args(ModelInput.model_fields["resize"].annotation) == METHODS
    assert get_args(ModelInput.model_fields["fit"].annotation) == FITS


def test_a_label_may_be_left_out_of_every_category(tmp_path: Path) -> None:
    """`category: null` is a column without consequence."""
    labels = [*CARD["labels"], {"name": "Drawing", "category": None}]
    manifest = load(write(tmp_path / "m", DATA, card(labels=labels)))
    assert manifest.categories.labels[3] == ("Drawing", None)


def test_how_labels_combine(tmp_path: Path) -> None:
    """After a sigmoid labels are judged apart, unless a card says more."""
    sigmoid = card(output={"activation": "sigmoid"})
    assert load(write(tmp_path / "a", DATA, sigmoid)).categories.combine is Combine.MAX
    apart = card(output={"activation": "none", "combine": "max"})
    assert load(write(tmp_path / "b", DATA, apart)).categories.combine is Combine.MAX
    text = faults_of(tmp_path / "c", output={"activation": "sigmoid", "combine": "sum"})
    assert "use combine: max" in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema": "sidecar.model/2"}, "schema: 'sidecar.model/2': should be"),
        ({"name": "../x"}, "name: '../x': should match pattern"),
        ({"version": 1.0}, "version: 1.0: should be a valid string; put it in quotes"),
        ({"licence": ""}, "licence: ''"),
        ({"sha256": "00"}, "sha256: '00': should match pattern"),
        ({"extra": 1}, "extra: 1: unknown key; remove it, or use one of schema, name"),
        ({"input": {"colour": "rgb"}}, "input.colour: 'rgb': unknown key"),
        ({"input": {"color": "gbr"}}, "input.color: 'gbr': should be 'rgb' or 'bgr'"),
        ({"input": {"width": "8"}}, "input.width: '8': should be a valid integer"),
        ({"input": {"width": 0}}, "input.width: 0: should be greater"),
        ({"input": {"std": [1, 1, 0]}}, "input.std.2: 0: should be greater"),
        ({"input": {"mean": [1.0]}}, "input.mean.1: is missing; add it"),
        ({"input": {"scale": float("nan")}}, "input.scale: nan: should be"),
        ({"input": {"dtype": "uint8"}}, "scale, mean and std belong to a float32"),
        ({"input": {"resize": "best"}}, "input.resize: 'best': should be 'area', "),
        ({"input": {"fit": "tile"}}, "input.fit: 'tile': should be 'squash', "),
        ({"input": {"fit": "pad_end", "keep": 0.9}}, "keep is for fit: squash or crop"),
        ({"input": {"keep": 0.1}}, "input.keep: 0.1: should be greater"),
        ({"output": {"activation": "relu"}}, "output.activation: 'relu'"),
        ({"labels": []}, "labels: []: at least one label needs a category other"),
        ({"labels": "red"}, "labels: 'red': should be a valid tuple"),
    ],
)
def test_a_fault_names_key_value_and_mend(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    """Each fault is one sentence with file, dotted key, value and mend."""
    assert told in faults_of(tmp_path / "m", **changes)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    """What is not there is told as such."""
    lacking = {key: value for key, value in CARD.items() if key != "licence"}
    write(tmp_path / "m", DATA, lacking)
    with pytest.raises(ManifestError, match="licence: is missing; add it"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ({"name": "x", "category": "nice"}, "labels.1.category: 'nice': should be one"),
        ({"name": "x", "category": 3}, "labels.1.category: 3: should be one of safe"),
        ({"name": "x", "category": "csea.image"}, "no generic model may claim child"),
        ({"name": "x", "category": "CSEA"}, "no generic model may claim child"),
        ({"name": "CSAM", "category": "other"}, "no generic model may claim child"),
        ({"name": "a+b", "category": "other"}, "labels.1.name: 'a+b': should match"),
        ({"name": "red", "category": "other"}, "each name once, but ['red']"),
        ({"name": "x"}, "labels.1.category: is missing"),
        ({"name": "x", "category": "other", "k": 1}, "or use one of name, category"),
    ],
)
def test_a_bad_label_is_told(tmp_path: Path, label: dict[str, Any], told: str) -> None:
    """Unknown and forbidden categories, and ambiguous names, are refused."""
    assert told in faults_of(tmp_path / "m", labels=[CARD["labels"][0], label])


def test_a_model_that_says_only_safe_is_refused(tmp_path: Path) -> None:
    """A model without any category to act on would make every stream clear."""
    labels = [{"name": "ok", "category": "safe"}, {"name": "so", "category": None}]
    assert "other than safe" in faults_of(tmp_path / "m", labels=labels)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """The operator mends a card in one go: the file's faults come along."""
    text = faults_of(
        tmp_path / "m", version=1, sha256="0" * 64, input={"color": "x", "width": 1}
    )
    for key in ("version: 1", "input.color", "input.width", "sha256: '000"):
        assert key in text


def test_endless_faults_are_cut(tmp_path: Path) -> None:
    """A card of a thousand faults is told in some fifty lines."""
    wrong = [{"name": f"n{i}", "category": "x"} for i in range(1000)]
    text = faults_of(tmp_path / "m", labels=wrong)
    assert "and 950 more faults" in text
    assert len(text.splitlines()) == 51


def test_another_hash_is_refused(tmp_path: Path) -> None:
    """The file has to be the one that the card was written for."""
    text = faults_of(tmp_path / "m", sha256="0" * 64)
    assert hashlib.sha256(DATA).hexdigest() in text
    assert "fetch it again" in text


@pytest.mark.parametrize("file", ["../m.onnx", "/etc/hostname", ".", "a/../../b"])
def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path, file: str) -> None:
    """A card cannot make the sidecar read other files."""
    assert "outside of the model's folder" in faults_of(tmp_path / "m", file=file)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Nor by a link."""
    write(tmp_path / "m", DATA, CARD)
    (tmp_path / "elsewhere").write_bytes(DATA)
    (tmp_path / "m" / "model.onnx").unlink()
    (tmp_path / "m" / "model.onnx").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ManifestError, match="outside of the model's folder"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    ("file", "told"),
    [("gone.onnx", "no such file"), ("a\0b", "cannot be read"), ("x" * 255, "file")],
)
def test_a_file_that_is_not_there_is_told(tmp_path: Path, file: str, told: str) -> None:
    """A missing file, or a name that no file can have."""
    assert told in faults_of(tmp_path / "m", file=file)


def test_a_huge_file_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file beyond the bound is not hashed."""
    monkeypatch.setattr(model_file, "MAX_BYTES", 3)
    assert "use a smaller model" in faults_of(tmp_path / "m")


def test_a_file_that_changed_since_is_refused(tmp_path: Path) -> None:
    """The hash holds for the bytes that are used, not for those of an hour ago."""
    manifest = load(write(tmp_path / "m", DATA, CARD))
    manifest.model_path.write_bytes(b"other")
    with pytest.raises(ManifestError, match="sha256"):
        manifest.read_model()


def test_a_manifest_is_frozen(tmp_path: Path) -> None:
    """Nobody edits a card behind another's back."""
    manifest = load(write(tmp_path / "m", DATA, CARD))
    with pytest.raises(ValueError, match="frozen"):
        manifest.name = "other"
