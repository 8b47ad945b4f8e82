"""Agreement of two models: the figures, and what speaks against the new one."""

import pytest

from sidecar.classify.comparison import Agreement, Comparison, Limits
from sidecar.domain import Category, LabelScore, ModelRef, Scores

NONE: frozenset[str] = frozenset()
RULE = frozenset({"cut"})


def scores(drugs: float, other: float | None = None) -> Scores:
    """A word on drugs, and maybe on something else."""
    by = {Category.DRUGS: LabelScore(drugs, "d")}
    if other is not None:
        by[Category.OTHER] = LabelScore(other, "o")
    return Scores("s", by, ModelRef("m", ""), 0.0)


def test_figures_of_what_both_give() -> None:
    """Largest and mean difference over categories in common; disagreeing samples."""
    comparison = Comparison()
    assert comparison.agreement == Agreement()
    comparison.add(scores(0.5), scores(0.75, other=1.0), NONE, RULE)
    comparison.add(scores(0.5), scores(0.5), RULE, RULE)
    comparison.failed()
    assert comparison.agreement == Agreement(
        samples=2, failed=1, max_difference=0.25, mean_difference=0.125, disagreements=1
    )


LIMITS = Limits(samples=10, max_mean_difference=0.2, max_disagreement=0.1)


def test_nothing_speaks_against_one_that_agrees() -> None:
    """At the limits it may still take over."""
    just = Agreement(samples=10, mean_difference=0.2, disagreements=1, failed=3)
    assert just.objection(LIMITS) is None
    assert Agreement().objection(Limits(samples=0)) is None


@pytest.mark.parametrize(
    ("agreement", "told"),
    [
        (Agreement(samples=9), "9 of 10 samples were compared"),
        (Agreement(samples=10, mean_difference=0.21), "swap.max_mean_difference 0.2"),
        (Agreement(samples=10, disagreements=2), "on 2 of 10 samples"),
    ],
)
def test_an_objection_names_the_key_to_turn(agreement: Agreement, told: str) -> None:
    """Too few samples, too far apart, other hits: each is a reason to refuse."""
    assert told in (agreement.objection(LIMITS) or "")
