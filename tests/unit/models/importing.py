"""An ONNX file and its manifest, as a user would give them."""

import copy
from pathlib import Path
from typing import Any

import yaml
from onnx import ModelProto

from sidecar.models.source import Source, open_source
from tests.fakes.onnx_models import card


def source_of(
    folder: Path, model: ModelProto | bytes, said: dict[str, Any] | bytes
) -> Source:
    """The two files, opened."""
    data = model if isinstance(model, bytes) else model.SerializeToString()
    text = said if isinstance(said, bytes) else yaml.safe_dump(said).encode()
    (folder / "my.onnx").write_bytes(data)
    (folder / "my.yaml").write_bytes(text)
    return open_source(folder / "my.onnx", folder / "my.yaml")


def spoken(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """A user's manifest: no hash, no file."""
    said = copy.deepcopy(card(**changes))
    return {key: value for key, value in said.items() if key not in {"file", "sha256"}}
