# ruff: noqa: INP001, PLR2004
"""What every painter of pictures uses: colours and stretching."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Color = tuple[int, int, int]


def color(rng: Rng) -> Color:
    """Return any colour, saturated ones more often than chance would."""
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    if rng.random() < 0.4:
        red, green, blue = (255 * round(value / 255) for value in (red, green, blue))
    return red, green, blue


def resized(
    picture: NDArray[Any], width: int, height: int, *, smooth: bool = True
) -> NDArray[Any]:
    """Stretch to `width` x `height`: bilinear, or in hard blocks."""
    method = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method))
