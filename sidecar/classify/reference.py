"""Pictures whose scores are known: a model's folder may hold them as its own proof.

`reference/scores.json` is `{"made_by": …, "scores": {"name": [a score a label], …}}`,
and beside it lies `name.png` for each. A picture of the model's size tries the net and
its colours; any other tries the resize as well, whose bytes round what the original may
have kept as fractions.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.domain import Picture
from sidecar.errors import ManifestError

FOLDER: Final = "reference"
SCORES: Final = "scores.json"
MAX_BYTES: Final = 8 << 20
MAX_SIDE: Final = 4096

_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
_Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Row = Annotated[list[_Score], Field(min_length=1, max_length=4096)]


class References(BaseModel):
    """`scores.json`: what the original says, and how far a score may be off."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    made_by: Annotated[str, Field(min_length=1, max_length=500)]
    tolerance: Annotated[float, Field(gt=0, le=0.1)] = 1e-4
    resize_tolerance: Annotated[float, Field(gt=0, le=0.1)] = 0.02
    scores: Annotated[dict[_Name, _Row], Field(min_length=1, max_length=16)]


@dataclass(frozen=True, slots=True)
class Reference:
    """A picture of any size, and what the original says of it, a score a label."""

    name: str
    picture: Picture
    scores: NDArray[np.float64]
    tolerance: float
    resize_tolerance: float


def read(model_dir: Path, labels: int) -> tuple[Reference, ...]:
    """The references in a model's folder; none where it has no `reference/`.

    Raises:
        ManifestError: They cannot be read, or have other than `labels` scores.
    """
    folder = model_dir / FOLDER
    if not folder.is_dir():
        return ()
    card = parse_scores(folder / SCORES, _bytes(folder / SCORES))
    found = []
    for name, scores in card.scores.items():
        if len(scores) != labels:
            raise ManifestError(
                f"{folder / SCORES}: {name}: {len(scores)} scores, the manifest has"
                f" {labels} labels; make them again"
            )
        path = folder / f"{name}.png"
        picture = parse_picture(path, _bytes(path))
        allowed = card.tolerance, card.resize_tolerance
        found.append(Reference(name, picture, np.array(scores), *allowed))
    return tuple(found)


def parse_scores(path: Path, data: bytes) -> References:
    """A `scores.json`; `path` is named in errors."""
    try:
        return References.model_validate_json(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))[:80]
        raise ManifestError(f"{path}: {place}: {first['msg']}; make it again") from exc


def parse_picture(path: Path, data: bytes) -> Picture:
    """The pixels of a PNG, of bounded size; `path` is named in errors."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if max(image.size) > MAX_SIDE or image.mode != "RGB":
                raise ManifestError(f"{path}: should be RGB, {MAX_SIDE} pixels at most")
            return np.asarray(image, np.uint8).copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as exc:
        raise ManifestError(f"{path}: is no sound PNG; make it again") from exc


def _bytes(path: Path) -> bytes:
    """A file's content, bounded."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ManifestError(f"{path}: cannot be read ({exc.strerror})") from exc
    if len(data) > MAX_BYTES:
        raise ManifestError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    return data
