"""How far a score can be taken for a probability, and what would mend it; pure.

Reliability and expected calibration error as by Guo et al. (2017), with each stream
weighing the same however many samples it has: frames of one stream are no independent
cases. Temperature scaling divides the log-odds by one number; it changes no order, so
no verdict: a threshold on the calibrated score is another one on the raw score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.domain import Category
from sidecar.recording.columns import Columns
from sidecar.replay.labels import Episode

_BINS: Final = 10
_LEAST: Final = 1e-6
_COLDEST, _HOTTEST = 0.05, 20.0
_STEPS: Final = 80
_GOLDEN: Final = (5**0.5 - 1) / 2
_Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bin:
    """Samples of about one score: the mean score, the labelled share, their weight."""

    score: float
    labelled: float
    weight: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """Of one category's scores by one model.

    Attributes:
        category: Which.
        model: Its name and hash.
        model_hash: Of its file: the temperature holds for no other.
        temperature: The log-odds divided by this fit the labels best.
        ece: Expected calibration error as the scores are, and once scaled.
        bins: As the scores are.
        scaled: Once scaled.
    """

    category: Category
    model: str
    model_hash: str
    temperature: float
    ece: tuple[float, float]
    bins: tuple[Bin, ...]
    scaled: tuple[Bin, ...]

    def probability(self, score: float) -> float:
        """The calibrated score."""
        return float(_scaled(np.array([score], np.float64), self.temperature)[0])


def calibrate(
    columns: Columns, category: Category, spans: Sequence[Episode]
) -> Calibration:
    """Fits one number to the labels; time without a label counts as harmless."""
    scores, labelled, weights = _cases(columns, category, spans)
    temperature = _fit(scores, labelled, weights)
    scaled = _scaled(scores, temperature)
    before, after = _bins(scores, labelled, weights), _bins(scaled, labelled, weights)
    model = columns.models[category]
    return Calibration(
        category=category,
        model=model.name,
        model_hash=model.hash,
        temperature=round(temperature, 3),
        ece=(_ece(before), _ece(after)),
        bins=before,
        scaled=after,
    )


def _cases(
    columns: Columns, category: Category, spans: Sequence[Episode]
) -> tuple[_Values, NDArray[np.bool_], _Values]:
    """Scores, whether labelled, and weights: each stream's add up to one."""
    column = columns.scores[category]
    labelled = np.zeros(len(columns), bool)
    weights = np.zeros(len(columns))
    for index, stream in enumerate(columns.streams):
        own = columns.span(index)
        given = ~np.isnan(column[own])
        if given.any():
            weights[own] = given / given.sum()
        times = columns.captured_at[own]
        for span in spans:
            if span.stream == stream.id and span.category is category:
                labelled[own] |= (times >= span.start) & (times <= span.end)
    known = weights > 0
    return column[known].astype(np.float64), labelled[known], weights[known]


def _scaled(scores: _Values, temperature: float) -> _Values:
    clipped = np.clip(scores, _LEAST, 1 - _LEAST)
    odds = np.log(clipped) - np.log1p(-clipped)
    scaled: _Values = 1 / (1 + np.exp(-odds / temperature))
    return scaled


def _fit(scores: _Values, labelled: NDArray[np.bool_], weights: _Values) -> float:
    """The temperature of least log loss, by golden section on its logarithm."""

    def loss(log_temperature: float) -> float:
        scaled = _scaled(scores, float(np.exp(log_temperature)))
        likely = np.where(labelled, scaled, 1 - scaled)
        return float(-(weights * np.log(likely)).sum())

    low, high = float(np.log(_COLDEST)), float(np.log(_HOTTEST))
    for _ in range(_STEPS):
        left = high - _GOLDEN * (high - low)
        right = low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def _bins(
    scores: _Values, labelled: NDArray[np.bool_], weights: _Values
) -> tuple[Bin, ...]:
    which = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    total = weights.sum()
    found = []
    for number in range(_BINS):
        mine = which == number
        weight = weights[mine].sum()
        if weight > 0:
            score = float((weights[mine] * scores[mine]).sum() / weight)
            share = float((weights[mine] * labelled[mine]).sum() / weight)
            found.append(Bin(score, share, float(weight / total)))
    return tuple(found)


def _ece(bins: Sequence[Bin]) -> float:
    return sum(one.weight * abs(one.score - one.labelled) for one in bins)
