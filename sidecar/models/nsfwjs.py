"""nsfwjs's MobileNetV2 (MIT), converted on the user's machine from its npm package.

The weights are not ours to ship: what is here reads the published tarball, pinned by
its hash, as data. No JavaScript is run.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sidecar.classify.catalogue import bundled_models
from sidecar.classify.manifest import Manifest
from sidecar.classify.reference import FOLDER, SCORES
from sidecar.classify.verification import VerifyReport
from sidecar.errors import ManifestError
from sidecar.models import keras_layers, tf_graph
from sidecar.models.folder import install
from sidecar.models.js_literal import exported
from sidecar.models.net import INPUT, OUTPUT, Net, Value
from sidecar.models.tarball import read_files, require_integrity
from sidecar.models.tfjs_weights import Weights, read_weights, shard_names
from sidecar.sample.resize import ALIGN_CORNERS

VERSION: Final = "4.4.0"
PACKAGE: Final = f"nsfwjs@{VERSION}"
INTEGRITY: Final = (
    "sha512-krC1fgeTLXtZwgdpKJ0jm7hqv0gTSRQQRL+FhOaxaJ9Wj92t42BO3csO2odwgTAgZgf2RvkwPtp0"
    "R8Aa7dc+MA=="
)
SIDE: Final = 224
LABELS: Final = (  # nsfwjs's classes, in its order
    ("Drawing", None),
    ("Hentai", "sexual.explicit"),
    ("Neutral", "safe"),
    ("Porn", "sexual.explicit"),
    ("Sexy", "sexual.suggestive"),
)
_LICENCE: Final = "package/LICENSE"
_MODELS: Final = "package/dist/models"


class Variant(StrEnum):
    """Which of the package's models."""

    V2 = "v2"
    MID = "mid"


@dataclass(frozen=True, slots=True)
class _Recipe:
    """Where a variant lies in the package, and what it is called here."""

    name: str
    folder: str
    shards: tuple[str, ...]
    about: str


_RECIPES: Final = {
    Variant.V2: _Recipe(
        "nsfwjs", "mobilenet_v2", ("group1-shard1of1",), "MobileNetV2, width 1.0"
    ),
    Variant.MID: _Recipe(
        "nsfwjs-mid",
        "mobilenet_v2_mid",
        ("group1-shard1of2", "group1-shard2of2"),
        "MobileNetV2, width 1.4",
    ),
}


def import_nsfwjs(
    tarball: bytes, variant: Variant, models_dir: Path, *, replace: bool = False
) -> tuple[Manifest, VerifyReport]:
    """Converts, proves and installs a variant; its manifest, and what was proved.

    Raises:
        ManifestError: Not the package that is known, or what came out is not the same.
    """
    recipe = _RECIPES[variant]
    files = package_files(tarball, variant)
    data = convert(files, variant)
    card = _card(recipe, hashlib.sha256(data).hexdigest())
    kept = {
        "model.onnx": data,
        "LICENCE": files[_LICENCE],
        **_references(variant),
    }
    return install(models_dir, card, kept, replace=replace)


def package_files(tarball: bytes, variant: Variant) -> dict[str, bytes]:
    """The files of the package that a variant needs, once its hash is as pinned."""
    recipe = _RECIPES[variant]
    names = [f"{_MODELS}/{recipe.folder}/{n}.min.js" for n in ("model", *recipe.shards)]
    try:
        require_integrity(tarball, INTEGRITY)
        return read_files(tarball, [_LICENCE, *names])
    except ManifestError as exc:
        raise ManifestError(*(f"{PACKAGE}: {fault}" for fault in exc.faults)) from exc


def convert(files: Mapping[str, bytes], variant: Variant) -> bytes:
    """The ONNX file of a variant: `uint8 (n, 224, 224, 3)` to five scores.

    Raises:
        ManifestError: The bundles are not what is known of them; says which and where.
    """
    recipe = _RECIPES[variant]
    described = _exported(files, recipe, "model")
    try:
        weights = _weights(files, recipe, described["weightsManifest"])
        net, scores = _build(described["modelTopology"], weights, variant)
        model = net.model(scores, len(LABELS))
    except ManifestError as exc:
        told = (f"{PACKAGE}: {recipe.folder}: {fault}" for fault in exc.faults)
        raise ManifestError(*told) from exc
    except (KeyError, TypeError, ValueError, LookupError, AttributeError) as exc:
        raise ManifestError(
            f"{PACKAGE}: {recipe.folder}: is not described as expected"
            f" ({type(exc).__name__})"
        ) from exc
    return bytes(model.SerializeToString(deterministic=True))


def _weights(files: Mapping[str, bytes], recipe: _Recipe, manifest: Any) -> Weights:  # noqa: ANN401
    """All weights, of the shards that are known."""
    if tuple(shard_names(manifest)) != recipe.shards:
        raise ManifestError("names other shards than are known")
    shards = {name: _exported(files, recipe, name) for name in recipe.shards}
    return read_weights(manifest, shards)


def _build(topology: Any, weights: Weights, variant: Variant) -> tuple[Net, Value]:  # noqa: ANN401
    """One is a layers model, the other a graph."""
    if variant is Variant.V2:
        return keras_layers.build(topology, weights)
    return tf_graph.build(topology, weights, "Identity")


def _exported(files: Mapping[str, bytes], recipe: _Recipe, name: str) -> Any:  # noqa: ANN401
    """What a bundle of the package exports."""
    path = f"{_MODELS}/{recipe.folder}/{name}.min.js"
    try:
        return exported(files[path].decode())
    except (ManifestError, ValueError) as exc:
        raise ManifestError(f"{PACKAGE}: {path}: {exc}") from exc


def _references(variant: Variant) -> dict[str, bytes]:
    """The bundled photographs, with what the original says of them."""
    folder = bundled_models() / "nsfwjs" / FOLDER
    said = json.loads((folder / SCORES).read_bytes())
    scores = {name: rows[variant.value] for name, rows in said["scores"].items()}
    card = {"made_by": said["made_by"], "tolerance": 1e-5, "scores": scores}
    files = {f"{FOLDER}/{SCORES}": json.dumps(card, indent=1).encode()}
    for name in scores:
        files[f"{FOLDER}/{name}.png"] = (folder / f"{name}.png").read_bytes()
    return files


def _card(recipe: _Recipe, sha256: str) -> dict[str, Any]:
    return {
        "schema": "sidecar.model/1",
        "name": recipe.name,
        "version": VERSION,
        "file": "model.onnx",
        "sha256": sha256,
        "licence": "MIT, Infinite Red, Inc.; see LICENCE beside this file",
        "provenance": {
            "source": f"https://www.npmjs.com/package/nsfwjs/v/{VERSION}",
            "file": f"dist/models/{recipe.folder}",
            "integrity": INTEGRITY,
            "made_by": "sidecar models import nsfwjs",
        },
        "description": (
            f"nsfwjs's {recipe.about}: pornography and drawn pornography, suggestive"
            " pictures, drawings, and everything else. A score is a priority for"
            " people's review: never act on one frame."
        ),
        "input": {
            "name": INPUT,
            "width": SIDE,
            "height": SIDE,
            "color": "rgb",
            "layout": "nhwc",
            "dtype": "uint8",
            "resize": ALIGN_CORNERS,
        },
        "output": {"name": OUTPUT, "activation": "none", "combine": "sum"},
        "labels": [{"name": name, "category": word} for name, word in LABELS],
    }
