"""A file of one's own is baked, proved, and refused where it cannot be trusted."""

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper

from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_session import OnnxSession
from sidecar.classify.verification import VerifyReport
from sidecar.domain import Category, Picture
from sidecar.errors import ManifestError
from sidecar.models.dialogue import settle
from sidecar.models.onnx_import import import_onnx
from sidecar.models.source import open_source
from tests.fakes.onnx_models import (
    GAIN,
    SIDE,
    boxes_of_colours,
    mean_colour,
)
from tests.unit.models.importing import source_of, spoken

BOXED = [
    {"name": "red thing", "category": "violence.weapon"},
    {"name": "blue thing", "category": "drugs"},
]


def attempt(
    folder: Path,
    model: ModelProto | bytes,
    said: dict[str, Any] | bytes,
    *,
    replace: bool = False,
) -> tuple[Manifest, VerifyReport]:
    """Imported, with nobody to ask."""
    source = source_of(folder, model, said)
    ready = settle(source, None, None, lambda _: None)
    return import_onnx(source, ready, folder / "models", replace=replace)


def noise(count: int) -> list[Picture]:
    """Pictures, repeatable."""
    values = np.random.default_rng(5).integers(0, 256, (count, SIDE, SIDE, 3))
    return list(values.astype(np.uint8))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_classifier_of_any_usual_shape_is_baked(
    tmp_path: Path, dtype: str, layout: str, color: str, activation: str
) -> None:
    """Bytes, NHWC and RGB go in and scores come out; it brings its own proof."""
    spec: dict[str, Any] = {"layout": layout, "color": color, "dtype": dtype}
    if dtype == "float32":
        spec |= {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}
    else:
        spec["scale"] = 1.0
    said = spoken(input=spec, output={"activation": activation})
    manifest, report = attempt(tmp_path, mean_colour(layout=layout, dtype=dtype), said)
    found = manifest.input
    assert (found.dtype, found.layout, found.color) == ("uint8", "nhwc", "rgb")
    assert manifest.output.activation == "none"
    assert report.checks[-1].name == "reference"
    assert "red, blue, pattern" in report.checks[-1].detail
    batch = noise(3)
    values = np.stack(batch)[..., :: -1 if color == "bgr" else 1] / 255
    if dtype == "float32":
        values = (values - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.4]
    raw = GAIN * values.mean(axis=(1, 2))
    powers = np.exp(raw)
    softmax = powers / powers.sum(axis=1, keepdims=True)
    wanted = softmax if activation == "softmax" else 1 / (1 + np.exp(-raw))
    assert OnnxSession(manifest).run(batch) == pytest.approx(wanted, abs=1e-5)


def test_what_was_said_is_kept_and_where_it_came_from(tmp_path: Path) -> None:
    """Resize and fit, labels, licence; the hash of the file it was made of."""
    data = mean_colour().SerializeToString()
    digest = hashlib.sha256(data).hexdigest()
    spec = {"resize": "bicubic", "fit": "crop", "keep": 0.5}
    said = {**spoken(input=spec), "sha256": digest}
    manifest, _ = attempt(tmp_path, mean_colour(), said)
    assert manifest.format.resize == "bicubic"
    assert (manifest.format.fit, manifest.format.keep) == ("crop", 0.5)
    notes = manifest.provenance.model_dump()
    assert notes["imported_from"] == f"sha256:{digest}"
    assert notes["source"] == "made by the tests"


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("objectness", [False, True])
@pytest.mark.parametrize("anchors_first", [False, True])
def test_boxes_are_reduced_to_the_best_of_each_class(
    tmp_path: Path, *, anchors_first: bool, objectness: bool, sigmoid: bool
) -> None:
    """One anchor suffices; boxes do not count, objectness does."""
    said = spoken(
        labels=BOXED,
        output={"activation": "sigmoid" if sigmoid else "none"},
        detector={
            "layout": "anchors_first" if anchors_first else "classes_first",
            "objectness": objectness,
        },
    )
    model = boxes_of_colours(
        anchors_first=anchors_first, objectness=objectness, sigmoid=sigmoid
    )
    manifest, _ = attempt(tmp_path, model, said)
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[3, 5] = (200, 100, 0)
    picture[6, 1] = (0, 255, 50)
    row = OnnxSession(manifest).run([picture])[0]

    def seen(value: float) -> float:
        return float(1 / (1 + np.exp(4 - 8 * value / 255))) if sigmoid else value / 255

    red = seen(200) * (seen(100) if objectness else 1)
    blue = seen(50) * (seen(255) if objectness else 1)
    assert row == pytest.approx([red, blue], abs=1e-5)
    said_of = manifest.categories.by_category(row)
    assert set(said_of) == {Category.VIOLENCE_WEAPON, Category.DRUGS}


def faults(
    folder: Path, model: ModelProto | bytes, said: dict[str, Any] | bytes
) -> str:
    """Everything that is said against an import; nothing was installed."""
    with pytest.raises(ManifestError) as caught:
        attempt(folder, model, said)
    assert not list((folder / "models").glob("*"))
    return "\n".join(caught.value.faults)


def external() -> ModelProto:
    """A graph that keeps a weight in another file."""
    model = mean_colour()
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return model


def foreign() -> ModelProto:
    """A graph with an operator of somebody's own."""
    model = mean_colour()
    model.opset_import.append(helper.make_opsetid("my.ops", 1))
    model.graph.node[2].domain = "my.ops"
    return model


@pytest.mark.parametrize(
    ("model", "said", "told"),
    [
        (external(), spoken(), "keeps weights in another file"),
        (foreign(), spoken(), "needs operators of 'my.ops'"),
        (b"junk", spoken(), "is not an ONNX file"),
        (mean_colour(), {**spoken(), "sha256": "0" * 64}, "fetch it again, or leave"),
        (
            mean_colour(),
            spoken(labels=[{"name": n, "category": "csea.image"} for n in "abc"]),
            "no generic model may claim child",
        ),
        (
            mean_colour(),
            spoken(labels=[{"name": n, "category": "nice"} for n in "abc"]),
            "should be one of safe, sexual.explicit",
        ),
        (mean_colour(), spoken(input={"color": "gbr"}), "my.yaml: input.color: 'gbr'"),
        (mean_colour(), b"[", "mend the YAML there"),
        (
            mean_colour(),
            spoken(output={"activation": "none"}),
            "not 0…1; mend output.activation",
        ),
        (
            boxes_of_colours(),
            spoken(labels=BOXED, detector={"boxes": "4"}),
            "detector|boxes: '4'",
        ),
        (
            boxes_of_colours(),
            spoken(labels=BOXED, detector={}, output={"activation": "softmax"}),
            "a detector's is none or sigmoid",
        ),
        (
            boxes_of_colours(),
            spoken(labels=BOXED[:1], detector={}),
            "none of it has 5 numbers",
        ),
        (boxes_of_colours(), spoken(labels=BOXED), "say how they lie with `detector:`"),
        (
            boxes_of_colours(),
            {**spoken(detector={"boxes": 6}), "labels": None},
            "output or labels: missing",
        ),
    ],
)
def test_what_cannot_be_trusted_is_refused(
    tmp_path: Path, model: ModelProto | bytes, said: dict[str, Any] | bytes, told: str
) -> None:
    """Each with a sentence and its mend; nothing is left in the models folder."""
    assert any(part in faults(tmp_path, model, said) for part in told.split("|"))


def test_missing_files_are_told(tmp_path: Path) -> None:
    """Whichever it is."""
    with pytest.raises(ManifestError, match=r"none\.yaml: cannot be read"):
        open_source(tmp_path / "my.onnx", tmp_path / "none.yaml")
    (tmp_path / "my.yaml").write_text("name: x")
    with pytest.raises(ManifestError, match=r"none\.onnx: cannot be read"):
        open_source(tmp_path / "none.onnx", tmp_path / "my.yaml")


def test_a_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protobuf's own is 2 GiB; ours is told before it is all in memory."""
    monkeypatch.setattr("sidecar.models.source.MAX_BYTES", 10)
    with pytest.raises(ManifestError, match="larger than"):
        source_of(tmp_path, mean_colour(), spoken())


def test_broken_names_are_told(tmp_path: Path) -> None:
    """Protobuf hands over what is no text as bytes."""
    data = mean_colour().SerializeToString().replace(b"gain", b"g\xffin")
    with pytest.raises(ManifestError, match="has broken names"):
        source_of(tmp_path, data, spoken())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    data=st.binary(max_size=60) | st.tuples(st.integers(0, 400), st.binary(max_size=3)),
    key=st.sampled_from(
        ["input", "output", "labels", "detector", "name", "provenance"]
    ),
    value=st.none()
    | st.integers()
    | st.text(max_size=5)
    | st.lists(st.none(), max_size=2),
)
def test_any_file_is_imported_or_refused(
    tmp_path: Path, data: bytes | tuple[int, bytes], key: str, value: object
) -> None:
    """Bytes of any kind, a model with some changed, a manifest with a junk key."""
    good = mean_colour().SerializeToString()
    model = (
        data
        if isinstance(data, bytes)
        else good[: data[0]] + data[1] + good[data[0] + len(data[1]) :]
    )
    for said in (spoken(), {**spoken(), key: value}):
        with suppress(ManifestError):
            attempt(tmp_path, model, said, replace=True)
