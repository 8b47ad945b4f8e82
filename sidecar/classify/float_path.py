"""A model as its authors would run it: floats by numpy, apart from any baked graph.

What a conversion is proved against. It shares nothing with `graph.py`.
"""

from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from sidecar.classify.card import ModelInput
from sidecar.domain import Picture
from sidecar.errors import ManifestError

# onnxruntime's exceptions share no base; its Python layer adds ValueError and friends.
_ERRORS: Final[tuple[type[Exception], ...]] = (
    *(
        kind
        for kind in vars(ort_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
    *(ValueError, RuntimeError, MemoryError),
)


def raw_output(
    data: bytes, spec: ModelInput, output: str, picture: Picture
) -> NDArray[np.float32]:
    """The named output for one picture of the input's size, before any activation.

    Raises:
        ManifestError: onnxruntime cannot run it.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = ort.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )
        found = session.run([output], {spec.name: fed(spec, picture)})[0]
    except _ERRORS as exc:
        first = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
        raise ManifestError(f"onnxruntime cannot run the file: {first}") from exc
    return np.asarray(found, np.float32)


def fed(spec: ModelInput, picture: Picture) -> NDArray[np.float32] | NDArray[np.uint8]:
    """What the net is fed: a batch of one."""
    channels = picture[..., ::-1] if spec.color == "bgr" else picture
    batch = channels[None]
    if spec.layout == "nchw":
        batch = batch.transpose(0, 3, 1, 2)
    if spec.dtype == "uint8":
        return np.ascontiguousarray(batch)
    shape = (1, 3, 1, 1) if spec.layout == "nchw" else (1, 1, 1, 3)
    mean, std = (np.array(v, np.float64).reshape(shape) for v in (spec.mean, spec.std))
    values = (batch.astype(np.float64) * spec.scale - mean) / std
    return values.astype(np.float32)


def activated(raw: NDArray[np.float32], activation: str) -> NDArray[np.float64]:
    """Scores of a row of the output."""
    x = raw.astype(np.float64)
    if activation == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-x)))
    if activation == "softmax":
        powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    return x
