"""What a file says of some pictures before it is converted: its proof afterwards."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image

from sidecar.classify.float_path import activated, raw_output
from sidecar.classify.manifest import Manifest
from sidecar.classify.reference import FOLDER, SCORES
from sidecar.domain import Picture
from sidecar.errors import ManifestError
from sidecar.models import detector as detectors
from sidecar.models.detector import Detector
from sidecar.models.source import Source, detector_of

_SEED: Final = 20201116
_HALF: Final = 0.5 + 1e-4  # a score's distance from the middle, with rounding


def proof(
    source: Source, card: Mapping[str, Any], original: Manifest
) -> dict[str, bytes]:
    """Pictures, and what the file as it was says of them."""
    spec, files, scores = original.input, {}, {}
    told = _Told(source, card["output"], detector_of(source, card))
    for name, picture in _pictures(spec.height, spec.width).items():
        scores[name] = told.scores(original, picture)
        out = io.BytesIO()
        Image.fromarray(picture).save(out, "PNG")
        files[f"{FOLDER}/{name}.png"] = out.getvalue()
    card = {
        "made_by": f"{source.path.name} as it was, fed floats by numpy, onnxruntime",
        "scores": scores,
    }
    files[f"{FOLDER}/{SCORES}"] = json.dumps(card, indent=1).encode()
    return files


@dataclass(frozen=True, slots=True)
class _Told:
    """The file as it was, by the path that shares nothing with the baked graph."""

    source: Source
    output: Mapping[str, Any]
    detector: Detector | None

    def scores(self, original: Manifest, picture: Picture) -> list[float]:
        """One row; ManifestError if it is none of scores."""
        labels = len(original.labels)
        name, act = self.output["name"], self.output["activation"]
        raw = raw_output(self.source.data, original.input, name, picture)
        if self.detector is None:
            row = activated(raw, act)[0]
        else:
            row = detectors.reduced(raw, self.detector, labels, act)[0]
        fits = row.shape == (labels,) and bool(np.all(np.abs(row - 0.5) <= _HALF))
        if not fits:
            raise ManifestError(
                f"{self.source.path}: gives {row.shape} scores from {row.min():.3g} to"
                f" {row.max():.3g} for {labels} labels, not 0…1; mend"
                " output.activation, or the labels"
            )
        return [float(score) for score in np.clip(row, 0, 1)]


def _pictures(height: int, width: int) -> dict[str, Picture]:
    """Two plain fields, which tell swapped colours, and something with a pattern."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [127.5 + 127.5 * np.sin(9 * (x * k + y * y)) for k in (1, 2, 3)]
    noise = np.random.default_rng(_SEED).integers(-20, 21, (height, width, 3))
    pattern = np.clip(np.stack(waves, axis=2) + noise, 0, 255)
    return {
        "red": np.full((height, width, 3), (255, 0, 0), np.uint8),
        "blue": np.full((height, width, 3), (0, 0, 255), np.uint8),
        "pattern": pattern.astype(np.uint8),
    }
