"""Brings an ONNX file in: preprocessing and reduction baked in, and proved.

What is installed takes `uint8 (n, height, width, 3)` RGB and gives a score of 0…1 a
label, whatever the file took and gave. It comes with a proof of its own: what the file
says of some pictures when numpy feeds it floats, as its authors would.
"""

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx

from sidecar.classify.graph import prepare
from sidecar.classify.manifest import FILE_NAME, Manifest, load
from sidecar.classify.verification import VerifyReport
from sidecar.errors import ManifestError
from sidecar.models import detector as detectors
from sidecar.models.detector import Detector
from sidecar.models.folder import install, write_card
from sidecar.models.proof import proof
from sidecar.models.source import Source, detector_of

_OURS: Final = "sidecar_"  # names that graph.py puts in, and that a file may not use
_BAKED: Final = "baked_"


def import_onnx(
    source: Source, card: Mapping[str, Any], models_dir: Path, *, replace: bool = False
) -> tuple[Manifest, VerifyReport]:
    """Converts, proves and installs; the new manifest, and what was proved.

    Args:
        source: As opened.
        card: Its manifest, with every hint dealt with.
        models_dir: Where to put it.
        replace: Whether another model of this name may give way.

    Raises:
        ManifestError: The manifest is faulty, the graph unsafe or not as it says, or
            what came out does not say what the file says.
    """
    with tempfile.TemporaryDirectory(prefix="sidecar-import-") as name:
        original = _as_it_is(Path(name) / "model", source, card)
        baked = _renamed(prepare(original).data)
        files = {"model.onnx": baked.data, **proof(source, card, original)}
        fresh = _final_card(source, original, baked)
        return install(models_dir, fresh, files, replace=replace)


def _as_it_is(folder: Path, source: Source, card: Mapping[str, Any]) -> Manifest:
    """The file under its manifest, with boxes reduced: loaded by the usual rules."""
    plain = {key: value for key, value in card.items() if key != "detector"}
    data, detector = source.data, detector_of(source, card)
    if detector is not None:
        data, plain["output"] = _reduced(source, detector, plain)
    plain |= {"file": "model.onnx", "sha256": hashlib.sha256(data).hexdigest()}
    folder.mkdir()
    (folder / "model.onnx").write_bytes(data)
    write_card(folder, plain)
    try:
        return load(folder)
    except ManifestError as exc:
        shown = str(folder / FILE_NAME), str(source.manifest)
        raise ManifestError(*(fault.replace(*shown) for fault in exc.faults)) from exc


def _reduced(
    source: Source, detector: Detector, card: Mapping[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    """The graph with the maximum over its anchors, and its output's card."""
    spec, labels = card.get("output"), card.get("labels")
    if not isinstance(spec, Mapping) or not isinstance(labels, list):
        raise ManifestError(f"{source.manifest}: output or labels: missing")
    act, name = spec.get("activation"), spec.get("name")
    if act not in {"none", "sigmoid"} or not isinstance(name, str):
        raise ManifestError(
            f"{source.manifest}: output.activation: {act!r}: a detector's is none or"
            " sigmoid"
        )
    model = detectors.reduce(source.model, name, detector, len(labels), act)
    output = {"name": detectors.OUTPUT, "activation": "none", "combine": "max"}
    return model.SerializeToString(), output


@dataclass(frozen=True, slots=True)
class _Baked:
    """A graph with everything in it, under names that a file may use."""

    data: bytes
    input: str
    output: str


def _renamed(data: bytes) -> _Baked:
    """What was put around the net becomes a part of it."""
    model = onnx.load_model_from_string(data)
    graph = model.graph
    for node in graph.node:
        node.name = _name(node.name)
        node.input[:] = [_name(value) for value in node.input]
        node.output[:] = [_name(value) for value in node.output]
    for value in (*graph.input, *graph.output):
        value.name = _name(value.name)
    weights = {tensor.name for tensor in graph.initializer}
    (taken,) = (value.name for value in graph.input if value.name not in weights)
    done = model.SerializeToString(deterministic=True)
    return _Baked(done, taken, graph.output[0].name)


def _name(name: str) -> str:
    return _BAKED + name.removeprefix(_OURS) if name.startswith(_OURS) else name


def _final_card(source: Source, original: Manifest, baked: _Baked) -> dict[str, Any]:
    """The manifest of what was made: bytes in, scores out."""
    said = original.model_dump(mode="json", by_alias=True)
    kept = ("width", "height", "resize", "fit", "keep", "pad")
    return {
        **said,
        "file": "model.onnx",
        "sha256": hashlib.sha256(baked.data).hexdigest(),
        "provenance": {
            **said["provenance"],
            "imported_from": f"sha256:{source.sha256}",
            "made_by": "sidecar models import onnx",
        },
        "input": {
            "name": baked.input,
            "color": "rgb",
            "layout": "nhwc",
            "dtype": "uint8",
            **{key: getattr(original.input, key) for key in kept},
        },
        "output": {
            "name": baked.output,
            "activation": "none",
            "combine": original.output.combination.value,
        },
    }
