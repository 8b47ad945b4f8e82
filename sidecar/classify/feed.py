"""Pictures to what a net is fed, and what it gives to scores, in numpy. Pure.

The same arithmetic as is baked into the graph for onnxruntime: here for a net that
somebody else runs as its file is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.card import ModelInput, ModelOutput
from sidecar.domain import Picture

Tensor = NDArray[np.uint8] | NDArray[np.float32]


def feed(batch: Sequence[Picture], spec: ModelInput) -> Tensor:
    """`batch` in the net's own layout, colour order and type, C-contiguous."""
    pixels = np.stack(batch)
    if spec.color == "bgr":
        pixels = pixels[..., ::-1]
    if spec.layout == "nchw":
        pixels = pixels.transpose(0, 3, 1, 2)
    if spec.dtype == "uint8":
        return np.ascontiguousarray(pixels)
    values = np.ascontiguousarray(pixels, dtype=np.float32)
    if spec.plain:
        return values
    shape = (3, 1, 1) if spec.layout == "nchw" else (3,)
    mean = np.array(spec.mean, np.float32).reshape(shape)
    std = np.array(spec.std, np.float32).reshape(shape)
    values *= np.float32(spec.scale)
    values -= mean
    values /= std
    return values


def activated(raw: NDArray[np.float32], spec: ModelOutput) -> NDArray[np.float32]:
    """Scores in 0…1 of the net's output `(n, labels)`."""
    if spec.activation == "softmax":
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        softmax: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
        return softmax
    if spec.activation == "sigmoid":
        with np.errstate(over="ignore"):  # of a very negative value: 1 / inf is 0
            sigmoid: NDArray[np.float32] = np.reciprocal(1 + np.exp(-raw))
        return sigmoid
    return raw
