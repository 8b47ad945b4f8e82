"""What is not the pinned package is refused, whatever it holds."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.classify.catalogue import IMPORTABLE, bundled_models, find
from sidecar.classify.reference import parse_picture
from sidecar.errors import ManifestError
from sidecar.models.nsfwjs import Variant, convert, import_nsfwjs

DIST = "package/dist/models/mobilenet_v2"


def bundles(described: str, shard: str = '"AAAA"') -> dict[str, bytes]:
    """The files of a package, with these literals."""
    return {
        f"{DIST}/model.min.js": f"module.exports={described}}}".encode(),
        f"{DIST}/group1-shard1of1.min.js": f"module.exports={shard}}}".encode(),
    }


def test_another_tarball_is_refused(tmp_path: Path) -> None:
    """By its hash, before anything in it is looked at; nothing is installed."""
    with pytest.raises(ManifestError, match=r"nsfwjs@4\.4\.0: has the hash sha512-"):
        import_nsfwjs(b"other", Variant.V2, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (bundles("run()"), "model.min.js: character 15: not a literal"),
        ({**bundles("{}"), f"{DIST}/model.min.js": b"\xff"}, "model.min.js: 'utf-8'"),
        (bundles("[]"), "not described as expected"),
        (bundles("{weightsManifest:[]}"), "names other shards than are known"),
        (
            bundles('{weightsManifest:[{paths:["group1-shard1of1"],weights:[]}]}'),
            "has 3 bytes of weights, 0 are described",
        ),
        (
            bundles(
                '{weightsManifest:[{paths:["group1-shard1of1"],weights:[]}],'
                "modelTopology:{}}",
                '""',
            ),
            "not described as expected",
        ),
    ],
)
def test_a_package_that_is_not_understood_is_refused(
    files: dict[str, bytes], told: str
) -> None:
    """Each error names the package, and the file where it can."""
    with pytest.raises(ManifestError, match=told):
        convert(files, Variant.V2)


_KEYS = st.sampled_from(
    ["weightsManifest", "paths", "weights", "modelTopology", "node"]
)
_ANY = st.recursive(
    st.sampled_from(["1", "!0", '"group1-shard1of1"', "[]", "{}", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda v: f"[{','.join(v)}]")
        | st.dictionaries(_KEYS, inner, max_size=3).map(
            lambda v: "{" + ",".join(f"{k}:{x}" for k, x in v.items()) + "}"
        )
    ),
)


@given(_ANY | st.text(max_size=30), _ANY | st.text(max_size=30))
def test_any_package_is_a_model_or_the_error(described: str, shard: Any) -> None:  # noqa: ANN401
    """Whatever the bundles hold, nothing else is raised."""
    files = bundles(described, shard)
    with suppress(ManifestError):
        convert(files, Variant.V2)


def test_the_repository_holds_pictures_and_scores_but_no_weights() -> None:
    """Small pictures, both variants' scores of each, the script; no model file."""
    folder = bundled_models() / "nsfwjs"
    assert not list(folder.rglob("*.onnx"))
    said = (folder / "reference" / "scores.json").read_bytes()
    rows = json.loads(said)["scores"]
    pictures = {path.stem: path for path in (folder / "reference").glob("*.png")}
    assert set(rows) == set(pictures)
    for name, path in pictures.items():
        assert parse_picture(path, path.read_bytes()).size
        assert set(rows[name]) == {"v2", "mid"}


@pytest.mark.parametrize("name", list(IMPORTABLE))
def test_a_model_that_can_be_fetched_is_told_so(tmp_path: Path, name: str) -> None:
    """A configuration that names it says the command, not only that it is missing."""
    with pytest.raises(ManifestError, match=f"`sidecar models import {name[:6]}"):
        find(name, [tmp_path])
