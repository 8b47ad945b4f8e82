"""What a row of a model's output says in the platform's words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.domain import Category, LabelScore

ScoreRow = NDArray[np.float32]

# float32 has seven digits, and its last one depends on the processor.
SCORE_DECIMALS: Final = 6


class Combine(StrEnum):
    """How the scores of several labels of one category become one."""

    SUM = "sum"  # labels compete for one whole (softmax)
    MAX = "max"  # labels are judged on their own (sigmoid)


@dataclass(frozen=True, slots=True)
class CategoryMap:
    """Which label, in output order, belongs to which category.

    Attributes:
        labels: One entry per output column: its name, and its category or None.
        combine: How labels of one category are put together.
    """

    labels: tuple[tuple[str, Category | None], ...]
    combine: Combine = Combine.SUM

    def __len__(self) -> int:
        """How many columns a row has."""
        return len(self.labels)

    def by_category(self, row: ScoreRow) -> Mapping[Category, LabelScore]:
        """The scores of one row of shape `(labels,)`, each in 0…1, per category.

        Rounded here, once: what is decided on is what is published and recorded.
        With `SUM` the label is all names joined as `A+B`; with `MAX` the one that won.

        Raises:
            ValueError: `row` has another length than there are labels.
        """
        values = row.tolist()
        if len(values) != len(self.labels):
            raise ValueError(f"{len(values)} scores for {len(self.labels)} labels")
        put_together = _sum if self.combine is Combine.SUM else _max
        return {
            category: put_together(
                [
                    LabelScore(round(values[column], SCORE_DECIMALS), name)
                    for column, name in columns
                ]
            )
            for category, columns in _columns(self.labels)
        }


@lru_cache(maxsize=64)
def _columns(
    labels: tuple[tuple[str, Category | None], ...],
) -> tuple[tuple[Category, tuple[tuple[int, str], ...]], ...]:
    """For each category its columns, with their names; worked out once a model."""
    found: dict[Category, list[tuple[int, str]]] = {}
    for column, (name, category) in enumerate(labels):
        if category is not None:
            found.setdefault(category, []).append((column, name))
    return tuple((category, tuple(columns)) for category, columns in found.items())


def _sum(scores: list[LabelScore]) -> LabelScore:
    """All of them as one; at most 1, float32 columns may sum to 1.0000001."""
    if len(scores) == 1 and scores[0].score <= 1:
        return scores[0]
    total = round(sum(s.score for s in scores), SCORE_DECIMALS)
    return LabelScore(min(1.0, total), "+".join(s.label for s in scores))


def _max(scores: list[LabelScore]) -> LabelScore:
    """The highest, the first of equals."""
    return max(scores, key=lambda s: s.score)
