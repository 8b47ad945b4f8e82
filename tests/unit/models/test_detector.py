"""What is proved of a detector's reduction: numpy's word of odd outputs."""

import numpy as np
import pytest

from sidecar.errors import ManifestError
from sidecar.models.detector import Detector, reduced


def test_an_output_of_another_shape_is_told() -> None:
    """Not three axes, or other numbers an anchor than were said."""
    with pytest.raises(ManifestError, match=r"the shape \(1, 6\)"):
        reduced(np.zeros((1, 6), np.float32), Detector(), 2, "none")
    with pytest.raises(ManifestError, match="an anchor has 7 numbers, not 6"):
        reduced(np.zeros((1, 7, 9), np.float32), Detector(), 2, "none")
