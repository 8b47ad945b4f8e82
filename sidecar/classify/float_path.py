"""A model as its authors would run it: floats by numpy, apart from any baked graph.

What a conversion is proved against. It shares nothing with `graph.py`.
"""

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sidecar.classify.card import ModelInput
from sidecar.classify.opening import ORT_ERRORS, first_line
from sidecar.domain import Picture
from sidecar.errors import ManifestError


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
    except ORT_ERRORS as exc:
        told = f"onnxruntime cannot run the file: {first_line(exc)}"
        raise ManifestError(told) from exc
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
