"""Several models' words become one."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.classify.merge import merge
from sidecar.domain import Category, LabelScore, ModelRef, Scores

A, B = ModelRef("a", "sha256:a"), ModelRef("b", "sha256:b")


def said(model: ModelRef, queue_s: float = 0.0, **scores: float) -> Scores:
    """A model's word; categories by their last part."""
    names = {category.value.rsplit(".")[-1]: category for category in Category}
    by = {names[name]: LabelScore(score, name) for name, score in scores.items()}
    return Scores("s", by, model, 1.0, queue_s=queue_s, inference_s=0.25)


def test_one_model_is_left_as_it_is() -> None:
    """No copy, no change: one model costs what it cost."""
    only = said(A, drugs=0.5)
    assert merge([only]) is only


def test_the_highest_score_of_a_category_holds_and_names_its_model() -> None:
    """Categories of one model only come along; of both, the higher score."""
    merged = merge([said(A, drugs=0.5, explicit=0.25), said(B, drugs=0.75, graphic=1)])
    assert merged.by_category == {
        Category.DRUGS: LabelScore(0.75, "drugs", B),
        Category.SEXUAL_EXPLICIT: LabelScore(0.25, "explicit", A),
        Category.VIOLENCE_GRAPHIC: LabelScore(1, "graphic", B),
    }
    assert merged.models == (A, B)
    assert merged.model_of(Category.DRUGS) == B


def test_safe_is_as_low_as_the_lowest() -> None:
    """A model that sees nothing does not call safe what another one has seen."""
    merged = merge([said(A, safe=0.125), said(B, safe=0.875)])
    assert merged.by_category[Category.SAFE] == LabelScore(0.125, "safe", A)


def test_the_legs_are_the_slowest_models() -> None:
    """Queue and inference of one and the same model, so that legs add up."""
    merged = merge([said(A, queue_s=0.5, drugs=0), said(B, queue_s=2.0, drugs=1)])
    assert (merged.queue_s, merged.inference_s) == (2.0, 0.25)


shares = st.floats(0, 1)
words = st.dictionaries(
    st.sampled_from(Category), st.builds(LabelScore, shares, st.just("x"))
)


@given(st.lists(words, min_size=1, max_size=4))
def test_no_model_lowers_what_another_says(
    answers: list[dict[Category, LabelScore]],
) -> None:
    """Every category keeps at least each model's score; `safe` at most."""
    models = [ModelRef(f"m{n}", "") for n in range(len(answers))]
    merged = merge(
        [Scores("s", by, m, 0.0) for by, m in zip(answers, models, strict=True)]
    )
    for by in answers:
        for category, label in by.items():
            held = merged.by_category[category].score
            if category is Category.SAFE:
                assert held <= label.score
            else:
                assert held >= label.score
    assert merged.models == tuple(models)
