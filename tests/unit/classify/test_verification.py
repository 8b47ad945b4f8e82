"""`verify` tells a sound model from one that does not do what its card says."""

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from sidecar.classify import verification
from sidecar.classify.catalogue import VerifyReport, bundled_models, find, verify
from sidecar.classify.float_path import raw_output
from sidecar.classify.manifest import load
from sidecar.classify.onnx_session import OnnxSession
from sidecar.domain import Category, Picture
from tests.fakes.onnx_models import (
    GAIN,
    SIDE,
    card,
    mean_colour,
    mean_colour_folder,
    model_of,
    write,
)


def failed(report: VerifyReport) -> dict[str, str]:
    """The checks that failed, with their details."""
    return {check.name: check.detail for check in report.checks if not check.ok}


def test_a_sound_model_passes(tmp_path: Path) -> None:
    """Every check is good and says what was seen."""
    report = verify(load(mean_colour_folder(tmp_path / "m")))
    assert report.ok, failed(report)
    names = [check.name for check in report.checks]
    assert names == [
        *("hash", "graph", "shapes", "scores", "batch", "combine", "colour order"),
        "resize",
    ]
    assert "Transpose, Cast, Mul, Add, Softmax" in report.checks[1].detail
    assert "fed rgb; blue for red moves a score by 0.9" in report.checks[6].detail
    assert "instead of area moves a score by 0." in report.checks[7].detail


def test_independent_labels_need_no_sum(tmp_path: Path) -> None:
    """After a sigmoid nothing has to sum to 1."""
    folder = mean_colour_folder(tmp_path / "m", output={"activation": "sigmoid"})
    report = verify(load(folder))
    assert report.ok, failed(report)


def test_a_broken_file_fails_and_ends_the_questions(tmp_path: Path) -> None:
    """Without a graph there is nothing more to ask."""
    report = verify(load(write(tmp_path / "m", b"garbage", card())))
    assert not report.ok
    assert list(failed(report)) == ["graph"]
    assert "export it again" in failed(report)["graph"]


def test_scores_that_do_not_compete_are_told(tmp_path: Path) -> None:
    """A sigmoid inside the graph, declared as scores of one whole."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Sigmoid", ["m"], ["y"]),
    ]
    model = model_of(
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    folder = write(tmp_path / "m", model, card(output={"activation": "none"}))
    report = verify(load(folder))
    assert "say output.combine: max" in failed(report)["combine"]


def test_scores_out_of_range_on_some_picture_are_told(tmp_path: Path) -> None:
    """Raw means pass on black, where warm-up looks, and fail on noise."""
    model = mean_colour()
    folder = write(tmp_path / "m", model, card(output={"activation": "none"}))
    report = verify(load(folder))
    assert "not finite numbers in 0…1" in failed(report)["scores"]


def test_a_picture_that_suffers_from_company_is_told(tmp_path: Path) -> None:
    """A net that normalises over the batch is no classifier of single pictures."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["m"], ["b"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["m", "b"], ["d"]),
        helper.make_node("Mul", ["d", "four"], ["y"]),
    ]
    model = model_of(
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        weights={"four": np.float32(4)},
    )
    report = verify(load(write(tmp_path / "m", model, card())))
    assert list(failed(report)) == ["batch"]


def test_a_net_that_is_blind_to_colours_is_told(tmp_path: Path) -> None:
    """Nothing is wrong with it, but nothing was tried either."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Flatten", ["m"], ["f"], axis=1),
        helper.make_node("Concat", ["f", "f", "f"], ["y"], axis=1),
    ]
    model = model_of(
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    report = verify(load(write(tmp_path / "m", model, card())))
    assert report.ok, failed(report)
    assert "too little to tell the order" in report.checks[6].detail


def test_colours_that_are_swapped_on_the_way_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The baked graph is held against numpy's path, which swaps as the card says."""
    manifest = load(mean_colour_folder(tmp_path / "m"))
    blue_first = manifest.input.model_copy(update={"color": "bgr"})
    monkeypatch.setattr(
        verification,
        "raw_output",
        lambda data, _, name, picture: raw_output(data, blue_first, name, picture),
    )
    told = failed(verify(manifest))
    assert "they are swapped" in told["colour order"]


def test_numbers_that_are_changed_on_the_way_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for what is no swap."""
    manifest = load(mean_colour_folder(tmp_path / "m"))
    twice = manifest.input.model_copy(update={"scale": 2 / 255})
    monkeypatch.setattr(
        verification,
        "raw_output",
        lambda data, _, name, picture: raw_output(data, twice, name, picture),
    )
    assert "off what numpy feeds" in failed(verify(manifest))["colour order"]


def with_references(
    folder: Path, rows: dict[str, tuple[Picture, list[float]]], **changes: object
) -> Path:
    """A model of mean colours that brings its own proof."""
    mean_colour_folder(folder, **changes)
    kept = folder / "reference"
    kept.mkdir()
    for name, (picture, _) in rows.items():
        Image.fromarray(picture).save(kept / f"{name}.png")
    scores = {name: row for name, (_, row) in rows.items()}
    card = {"made_by": "hand", "scores": scores, "resize_tolerance": 0.01}
    (kept / "scores.json").write_text(json.dumps(card))
    return folder


def told(red: float, blue: float) -> list[float]:
    """What the net says of a picture with these means, of 0…1."""
    powers = np.exp(GAIN * np.array([red, 0, blue]))
    return list((powers / powers.sum()).tolist())


def field(width: int, height: int, red: int, blue: int) -> Picture:
    """One colour."""
    return np.full((height, width, 3), (red, 0, blue), np.uint8)


RED = field(SIDE, SIDE, 255, 0), told(1, 0)
BLUE = field(SIDE, SIDE, 0, 255), told(0, 1)
WIDE = field(32, 16, 0, 255), told(0, 1)
BARRED = field(32, 16, 0, 255), told(0, 0.5)


def test_a_model_may_bring_its_own_proof(tmp_path: Path) -> None:
    """Pictures with known scores try the net, its colours, and the resize."""
    rows = {"red": RED, "blue": BLUE, "wide": WIDE}
    report = verify(load(with_references(tmp_path / "m", rows)))
    assert report.ok, failed(report)
    assert [check.name for check in report.checks[-2:]] == [
        *("reference", "reference resized")
    ]


def test_swapped_colours_are_told(tmp_path: Path) -> None:
    """A red and a blue field say it, for a net that is fed in the wrong order."""
    folder = with_references(
        tmp_path / "m", {"red": RED, "blue": BLUE}, input={"color": "bgr"}
    )
    report = verify(load(folder))
    assert "are swapped; mend input.color" in failed(report)["reference"]


def test_another_scale_is_told(tmp_path: Path) -> None:
    """Scores that fit neither way round."""
    folder = with_references(tmp_path / "m", {"red": RED}, input={"scale": 1 / 100})
    report = verify(load(folder))
    assert "mend scale, mean, std, color" in failed(report)["reference"]


def test_another_resize_is_told(tmp_path: Path) -> None:
    """A picture of its own size shows whether frames are fitted in as declared."""
    rows = {"wide": BARRED}
    good = with_references(tmp_path / "a", rows, input={"fit": "pad_end"})
    assert verify(load(good)).ok
    bad = verify(load(with_references(tmp_path / "b", rows)))
    assert "resize or the order of labels" in failed(bad)["reference resized"]


def test_a_broken_proof_is_told(tmp_path: Path) -> None:
    """A proof that cannot be read proves nothing."""
    folder = with_references(tmp_path / "m", {"red": RED})
    (folder / "reference" / "red.png").unlink()
    assert "red.png: cannot be read" in failed(verify(load(folder)))["reference"]


def test_the_reference_model_is_sound() -> None:
    """The model that comes along loads, verifies, and names the shipped categories."""
    if not (bundled_models() / "testcard" / "model.onnx").is_file():
        pytest.skip("models/testcard/model.onnx has not been trained yet")
    manifest = load(find("testcard", [bundled_models()]))
    report = verify(manifest)
    assert report.ok, failed(report)
    categories = {category for _, category in manifest.categories.labels}
    assert categories >= {
        Category.SAFE,
        Category.SEXUAL_EXPLICIT,
        Category.VIOLENCE_GRAPHIC,
        Category.SELF_HARM_ACT,
    }
    assert manifest.model_path.stat().st_size <= 1 << 20
    black = np.zeros((manifest.input.height, manifest.input.width, 3), np.uint8)
    session = OnnxSession(manifest)
    scores = manifest.categories.by_category(session.run([black])[0])
    assert max(scores, key=lambda c: scores[c].score) is Category.SAFE
