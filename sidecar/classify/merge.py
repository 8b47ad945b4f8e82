"""What several models said of one sample, as one word. Pure.

A category that several models give keeps its highest score, `safe` its lowest: another
model that sees nothing never clears what one has seen. Each score names its model.
"""

from collections.abc import Sequence
from dataclasses import replace

from sidecar.domain import Category, LabelScore, Scores


def merge(answers: Sequence[Scores]) -> Scores:
    """The scores of all models of one sample, at least one; the first is `model`.

    The legs are those of the model that took longest, so that they still add up.
    """
    first = answers[0]
    if len(answers) == 1:
        return first
    by_category: dict[Category, LabelScore] = {}
    for answer in answers:
        for category, label in answer.by_category.items():
            found = replace(label, model=answer.model_of(category))
            held = by_category.get(category)
            if held is None or _wins(category, found, held):
                by_category[category] = found
    slowest = max(answers, key=lambda one: one.queue_s + one.inference_s)
    return replace(
        first,
        by_category=by_category,
        queue_s=slowest.queue_s,
        inference_s=slowest.inference_s,
        others=tuple(answer.model for answer in answers[1:]),
    )


def _wins(category: Category, found: LabelScore, held: LabelScore) -> bool:
    if category is Category.SAFE:
        return found.score < held.score
    return found.score > held.score
