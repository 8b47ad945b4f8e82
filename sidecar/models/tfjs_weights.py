"""TensorFlow.js's weights manifest and shards, as arrays. Pure."""

import base64
import binascii
from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sidecar.errors import ManifestError

MAX_WEIGHTS: Final = 16 << 20  # values; the largest model here has 4.4 million

Weights = Mapping[str, NDArray[np.float32]]
_Dim = Annotated[int, Field(ge=0, le=1 << 16)]
_Finite = Annotated[float, Field(allow_inf_nan=False, strict=False)]


class _Part(BaseModel):
    """Only what is read; other keys are passed over."""

    model_config = ConfigDict(frozen=True, strict=True)


class _Quantization(_Part):
    """Affine per tensor: `q * scale + min`."""

    dtype: Literal["uint8"]
    min: _Finite
    scale: _Finite


class _Spec(_Part):
    name: Annotated[str, Field(min_length=1, max_length=500)]
    shape: Annotated[list[_Dim], Field(max_length=4)]
    dtype: Literal["float32"]
    quantization: _Quantization | None = None


class _Group(_Part):
    paths: Annotated[list[str], Field(min_length=1, max_length=64)]
    weights: Annotated[list[_Spec], Field(max_length=5000)]


_Groups = TypeAdapter(list[_Group])


def shard_names(manifest: Any) -> list[str]:  # noqa: ANN401 (foreign)
    """Names of the files that hold the weights, in order."""
    return [path for group in _groups(manifest) for path in group.paths]


def read_weights(manifest: Any, shards: Mapping[str, str]) -> Weights:  # noqa: ANN401
    """Every tensor by its name.

    Args:
        manifest: `weightsManifest` of the model's description.
        shards: The files' contents by path: base64.

    Raises:
        ManifestError: Not such a manifest, of other types, or of another length.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for group in _groups(manifest):
        data = b"".join(_decoded(path, shards) for path in group.paths)
        at = 0
        for spec in group.weights:
            size = prod(spec.shape) * (1 if spec.quantization else 4)
            if size > MAX_WEIGHTS or at + size > len(data) or spec.name in found:
                raise ManifestError(f"weight {spec.name!r:.80}: too large, or twice")
            found[spec.name] = _tensor(spec, data[at : at + size])
            at += size
        if at != len(data):
            raise ManifestError(f"has {len(data)} bytes of weights, {at} are described")
    return found


def _groups(manifest: Any) -> list[_Group]:  # noqa: ANN401
    try:
        return _Groups.validate_python(manifest)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ManifestError(f"weightsManifest.{place}: {first['msg']}") from exc


def _decoded(path: str, shards: Mapping[str, str]) -> bytes:
    try:
        return base64.b64decode(shards[path], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as exc:
        raise ManifestError(f"shard {path!r:.80}: missing, or no base64") from exc


def _tensor(spec: _Spec, data: bytes) -> NDArray[np.float32]:
    """As TensorFlow.js restores it: in double precision, then rounded once."""
    if spec.quantization is None:
        return np.frombuffer(data, "<f4").astype(np.float32).reshape(spec.shape)
    steps = np.frombuffer(data, np.uint8).astype(np.float64)
    values = steps * spec.quantization.scale + spec.quantization.min
    return values.astype(np.float32).reshape(spec.shape)
