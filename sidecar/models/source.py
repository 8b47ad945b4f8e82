"""An ONNX file and its manifest, as the user gives them: read within bounds."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto
from pydantic import ValidationError

from sidecar.classify.faults import describe
from sidecar.classify.graph_check import is_text
from sidecar.classify.model_file import MAX_BYTES
from sidecar.classify.model_yaml import read as read_card
from sidecar.errors import ManifestError
from sidecar.models.detector import Detector


@dataclass(frozen=True, slots=True)
class Source:
    """A file and what is said of it, before anything is decided.

    Attributes:
        path: The ONNX file.
        data: Its bytes.
        model: The same, parsed.
        manifest: The manifest's file.
        card: What YAML holds there.
    """

    path: Path
    data: bytes
    model: ModelProto
    manifest: Path
    card: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """The file's hash."""
        return hashlib.sha256(self.data).hexdigest()


def open_source(path: Path, manifest: Path) -> Source:
    """The file and its manifest, each read within bounds.

    Raises:
        ManifestError: One cannot be read, is none, or the manifest's hash is another.
    """
    card = read_card(manifest)
    data = _read(path)
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as exc:
        raise ManifestError(f"{path}: is not an ONNX file; export it again") from exc
    if not is_text(model):
        raise ManifestError(f"{path}: has broken names; export it again")
    source = Source(path, data, model, manifest, card)
    if card.get("sha256", source.sha256) != source.sha256:
        raise ManifestError(
            f"{manifest}: sha256: {card['sha256']!r:.80}: that of {path} is"
            f" {source.sha256}; fetch it again, or leave the key out"
        )
    return source


def detector_of(source: Source, card: Mapping[str, Any]) -> Detector | None:
    """How the boxes lie, if the manifest says that there are boxes.

    Raises:
        ManifestError: The key `detector` is not as it should be.
    """
    if "detector" not in card:
        return None
    try:
        return Detector.model_validate(card["detector"])
    except ValidationError as exc:
        raise ManifestError(*describe(source.manifest, Detector, exc)) from exc


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ManifestError(f"{path}: cannot be read ({exc.strerror})") from exc
    if len(data) > MAX_BYTES:
        raise ManifestError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    return data
