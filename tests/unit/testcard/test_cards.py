"""The test cards: distinct, always the same, lettered, and only for known words."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sidecar.domain import Category
from sidecar.testcard import cards


@pytest.mark.parametrize("category", cards.CATEGORIES)
@pytest.mark.parametrize(("width", "height"), [(320, 180), (90, 160), (17, 16)])
def test_a_card_has_the_size_asked_for(
    category: Category, width: int, height: int
) -> None:
    """Any size from 16 pixels on, any aspect: `uint8 (height, width, 3)`."""
    picture = cards.draw(category, width, height)
    assert picture.shape == (height, width, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("category", cards.CATEGORIES)
def test_a_card_is_always_the_same(category: Category) -> None:
    """Two drawings are equal, and changing one does not change the next."""
    first = cards.draw(category, 160, 90)
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(kept, cards.draw(category, 160, 90))


def test_cards_are_told_apart_even_when_tiny() -> None:
    """At 32x18 any two cards differ by more than 40 of 255 a pixel on average."""
    tiny = [cards.draw(c, 32, 18).astype(np.int16) for c in cards.CATEGORIES]
    for one, other in combinations(tiny, 2):
        assert np.abs(one - other).mean() > 40


@pytest.mark.parametrize("category", cards.CATEGORIES)
def test_the_name_is_written_on_the_card(category: Category) -> None:
    """The upper band bears white letters on black, which differ from card to card."""
    band = cards.draw(category, 1280, 720)[: round(720 * cards.BAND)]
    assert (band == 255).all(axis=2).mean() > 0.02
    assert (band == 0).all(axis=2).mean() > 0.7
    for other in set(cards.CATEGORIES) - {category}:
        foreign = cards.draw(other, 1280, 720)[: len(band)]
        assert (foreign != band).any()


@pytest.mark.parametrize("category", cards.CATEGORIES)
def test_the_caption_names_the_category_and_says_harmless(category: Category) -> None:
    """Whoever reads the card knows that it is a test and shows no harm."""
    assert cards.caption(category) == f"TEST CARD · {category.value} · harmless"


@pytest.mark.parametrize("category", [c for c in Category if c not in cards.CATEGORIES])
def test_other_categories_have_no_card(category: Category) -> None:
    """The error names the category asked for and those that exist."""
    with pytest.raises(ValueError, match=rf"{category.value}.*sexual\.explicit"):
        cards.draw(category, 320, 180)


def test_a_card_too_small_to_show_anything_is_refused() -> None:
    """Below 16 pixels the error says what is the least."""
    with pytest.raises(ValueError, match="16 pixels"):
        cards.draw(Category.SAFE, 320, 15)


def test_a_card_is_written_as_png(tmp_path: Path) -> None:
    """The file holds exactly the drawn pixels."""
    path = tmp_path / "card.png"
    cards.write_card(Category.SELF_HARM_ACT, path, 320, 180)
    with Image.open(path) as image:
        assert image.format == "PNG"
        drawn = cards.draw(Category.SELF_HARM_ACT, 320, 180)
        assert np.array_equal(np.array(image), drawn)
