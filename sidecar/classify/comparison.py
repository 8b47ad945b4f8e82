"""How far two models agree on the same live samples. Pure."""

from dataclasses import dataclass

from sidecar.domain import Category, Scores


@dataclass(frozen=True, slots=True)
class Limits:
    """What a new model has to hold before it takes over.

    Attributes:
        samples: How many live samples are compared; 0: none, it takes over at once.
        within_s: How long that may take.
        max_mean_difference: Of the scores, over samples and categories in common.
        max_disagreement: Share of the samples on which a rule would hear a hit from
            one model and not from the other.
    """

    samples: int = 100
    within_s: float = 300.0
    max_mean_difference: float = 1.0
    max_disagreement: float = 0.02


@dataclass(frozen=True, slots=True)
class Agreement:
    """The figures so far.

    Attributes:
        samples: Compared.
        failed: Samples that the new model did not answer.
        max_difference: Of any score.
        mean_difference: Over samples and categories in common; 0 if there are none.
        disagreements: Samples on which the two would hit other rules.
    """

    samples: int = 0
    failed: int = 0
    max_difference: float = 0.0
    mean_difference: float = 0.0
    disagreements: int = 0

    def objection(self, limits: Limits) -> str | None:
        """Why the new model should not take over; None if nothing speaks against it."""
        if self.samples < limits.samples:
            return (
                f"{self.samples} of {limits.samples} samples were compared within"
                f" {limits.within_s:g} s ({self.failed} failed); lower swap.samples, or"
                " give it more time"
            )
        if self.mean_difference > limits.max_mean_difference:
            return (
                f"scores differ by {self.mean_difference:.3f} in the mean, above"
                f" swap.max_mean_difference {limits.max_mean_difference:g}"
            )
        if self.disagreements > limits.max_disagreement * self.samples:
            return (
                f"on {self.disagreements} of {self.samples} samples another rule would"
                f" hear a hit, above swap.max_disagreement {limits.max_disagreement:g};"
                " calibrate the thresholds for the new model, or allow more"
            )
        return None


class Comparison:
    """Collects the agreement of an old and a new model."""

    def __init__(self) -> None:
        self._samples = 0
        self._failed = 0
        self._max = 0.0
        self._sum = 0.0
        self._count = 0
        self._disagreements = 0

    def failed(self) -> None:
        """The new model did not answer a sample that the old one did."""
        self._failed += 1

    def add(
        self,
        old: Scores,
        new: Scores,
        old_hits: frozenset[str],
        new_hits: frozenset[str],
    ) -> None:
        """One sample.

        Args:
            old: The running model's word on it.
            new: The new model's.
            old_hits: The rules that hear a hit, as they are now.
            new_hits: The rules that would hear one, as they will be.
        """
        self._samples += 1
        self._disagreements += old_hits != new_hits
        for category in _common(old, new):
            off = abs(old.by_category[category].score - new.by_category[category].score)
            self._max = max(self._max, off)
            self._sum += off
            self._count += 1

    @property
    def agreement(self) -> Agreement:
        """As it stands."""
        mean = self._sum / self._count if self._count else 0.0
        return Agreement(
            self._samples, self._failed, self._max, mean, self._disagreements
        )


def _common(old: Scores, new: Scores) -> set[Category]:
    return old.by_category.keys() & new.by_category.keys()
