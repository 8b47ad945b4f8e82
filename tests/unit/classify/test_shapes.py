"""Batch sizes: few, and little padding where padding costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.classify.shapes import BatchShapes, doubling, fine

LARGEST = st.integers(1, 300)


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (3, (1, 2, 3)),
        (8, (1, 2, 4, 8)),
        (128, (1, 2, 4, 8, 16, 32, 64, 128)),
        (100, (1, 2, 4, 8, 16, 32, 64, 100)),
    ],
)
def test_an_accelerators_sizes_double(largest: int, sizes: tuple[int, ...]) -> None:
    """Up to the largest, which is always one of them."""
    assert doubling(largest).sizes == sizes


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [
        (1, (1,)),
        (4, (1, 2, 3, 4)),
        (9, (1, 2, 3, 4, 5, 6, 7, 8, 9)),
        (20, (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20)),
    ],
)
def test_a_cpus_sizes_are_finer(largest: int, sizes: tuple[int, ...]) -> None:
    """Each one up to 8; a batch of the usual size is never padded."""
    assert fine(largest).sizes == sizes


@given(largest=LARGEST, data=st.data())
def test_a_batch_fits_and_wastes_little(largest: int, data: st.DataObject) -> None:
    """The size found holds the batch; on a CPU a fifth of it is padding at most."""
    count = data.draw(st.integers(1, largest))
    for shapes in (doubling(largest), fine(largest)):
        assert shapes.largest == largest
        assert list(shapes.sizes) == sorted(set(shapes.sizes))
        assert count <= shapes.fitting(count) < 2 * count or count == 1
        assert shapes.fitting(count) in shapes.sizes
    size = fine(largest).fitting(count)
    assert size - count <= size / 5
    assert len(fine(largest).sizes) <= 8 + 4 * 6


def test_the_smallest_that_fits() -> None:
    """Not the first of those that do."""
    assert BatchShapes((1, 4, 8)).fitting(2) == 4
