"""From columns to categories."""

import numpy as np
import pytest

from sidecar.classify.labels import CategoryMap, Combine
from sidecar.domain import Category, LabelScore

PAIRS = (
    ("Porn", Category.SEXUAL_EXPLICIT),
    ("Neutral", Category.SAFE),
    ("Drawing", None),
    ("Hentai", Category.SEXUAL_EXPLICIT),
)
ROW = np.array([0.5, 0.125, 0.125, 0.25], np.float32)


def test_competing_labels_add_up() -> None:
    """Of a softmax, the labels of a category are summed and named together."""
    assert CategoryMap(PAIRS).by_category(ROW) == {
        Category.SEXUAL_EXPLICIT: LabelScore(0.75, "Porn+Hentai"),
        Category.SAFE: LabelScore(0.125, "Neutral"),
    }


def test_independent_labels_compare() -> None:
    """Of sigmoids, the highest label speaks for its category, under its own name."""
    found = CategoryMap(PAIRS, Combine.MAX).by_category(ROW[::-1].copy())
    assert found[Category.SEXUAL_EXPLICIT] == LabelScore(0.5, "Hentai")


def test_a_sum_is_a_score() -> None:
    """Rounding never lifts a sum above 1."""
    row = np.array([0.7, 0.0, 0.0, 0.3000001], np.float32)
    assert CategoryMap(PAIRS).by_category(row)[Category.SEXUAL_EXPLICIT].score == 1.0


def test_a_row_of_another_model_is_refused() -> None:
    """A row of the wrong length is never silently cut."""
    with pytest.raises(ValueError, match="scores for 4 labels"):
        CategoryMap(PAIRS).by_category(ROW[:3])
    assert len(CategoryMap(PAIRS)) == 4
