"""What a row of a model's output says in the platform's words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.domain import Category, LabelScore

ScoreRow = NDArray[np.float32]
_Plan = tuple[tuple[Category, str, tuple[int, ...]], ...]

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
    _plan: _Plan = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Works out once what every sample would have to otherwise."""
        object.__setattr__(self, "_plan", _plan_of(self.labels))

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
        rounded = [round(value, SCORE_DECIMALS) for value in values]
        if self.combine is Combine.MAX:
            return {
                category: self._highest(rounded, columns)
                for category, _, columns in self._plan
            }
        return {
            category: LabelScore(_sum(rounded, columns), label)
            for category, label, columns in self._plan
        }

    def _highest(self, scores: list[float], columns: tuple[int, ...]) -> LabelScore:
        """The highest, the first of equals."""
        column = max(columns, key=scores.__getitem__)
        return LabelScore(scores[column], self.labels[column][0])


def _plan_of(labels: tuple[tuple[str, Category | None], ...]) -> _Plan:
    """For each category the names of its columns, joined, and the columns."""
    found: dict[Category, list[int]] = {}
    for column, (_, category) in enumerate(labels):
        if category is not None:
            found.setdefault(category, []).append(column)
    return tuple(
        (category, "+".join(labels[column][0] for column in columns), tuple(columns))
        for category, columns in found.items()
    )


def _sum(scores: list[float], columns: tuple[int, ...]) -> float:
    """All of them as one; at most 1, float32 columns may sum to 1.0000001."""
    if len(columns) == 1:
        return min(1.0, scores[columns[0]])
    total = sum(scores[column] for column in columns)
    return min(1.0, round(total, SCORE_DECIMALS))
