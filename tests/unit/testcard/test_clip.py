"""The scene and its clips: first the street, then the card, and really encoded."""

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from sidecar.domain import Category, Codec, Picture
from sidecar.testcard import cards, street
from sidecar.testcard.clip import Clip, Scene, scene, write_clip

CARD = Category.VIOLENCE_GRAPHIC
SHORT = Clip(width=320, height=180, fps=10, clean_s=0.5, card_s=0.5)


def apart(one: Picture, other: Picture) -> float:
    """Return the mean difference of two pictures' values."""
    return float(np.abs(one.astype(np.int16) - other).mean())


def decoded(path: Path) -> tuple[str, list[Picture]]:
    """Return codec name and pictures of a video file."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = container.decode(stream)
        pictures = [np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in frames]
        return stream.codec_context.name, pictures


def middle(picture: Picture, cover: float = 0.7) -> Picture:
    """Return the part of the picture where the card lies."""
    height, width = picture.shape[:2]
    wide, high = round(width * cover**0.5), round(height * cover**0.5)
    left, top = (width - wide) // 2, (height - high) // 2
    return picture[top : top + high, left : left + wide]


def test_the_card_comes_on_the_second_and_stays() -> None:
    """Before `card_at_s` the plain street is seen, from then on the card in it."""
    settings = Scene(CARD, width=160, height=90, fps=10, card_at_s=0.5)
    shown = list(islice(scene(settings), 12))
    plain = list(islice(street.frames(160, 90, 10, 0), 12))
    card = cards.draw(CARD, *reversed(middle(shown[0]).shape[:2]))
    for index, picture in enumerate(shown):
        assert np.array_equal(picture, plain[index]) == (index < 5)
        assert np.array_equal(middle(picture), card) == (index >= 5)


def test_the_card_may_come_now_and_then() -> None:
    """For so long, and again after so long; without a category never."""
    settings = Scene(CARD, fps=10, card_at_s=0.5, card_for_s=0.2, card_every_s=0.6)
    seen = [index for index in range(20) if settings.has_card(index)]
    assert seen == [5, 6, 11, 12, 17, 18]
    assert not Scene(None, card_at_s=0.0).has_card(99)


@pytest.mark.parametrize("cover", [0.4, 0.7, 1.0])
def test_the_card_covers_the_share_asked_for(cover: float) -> None:
    """What differs from the street is that share of the picture."""
    settings = Scene(CARD, card_at_s=0.0, cover=cover)
    differs = next(scene(settings)) != next(street.frames(640, 360, 30, 0))
    assert differs.any(axis=2).mean() == pytest.approx(cover, abs=0.02)


def test_without_a_category_the_street_stays_clean() -> None:
    """No card ever comes."""
    settings = Scene(None, width=64, height=36, fps=10, card_at_s=0.0)
    plain = street.frames(64, 36, 10, 0)
    for picture, expected in islice(zip(scene(settings), plain, strict=True), 5):
        assert np.array_equal(picture, expected)


@pytest.mark.parametrize(
    ("name", "codec", "expected"),
    [
        ("clip.mp4", None, "h264"),
        ("clip.webm", None, "vp8"),
        ("clip.mp4", Codec.H264, "h264"),
    ],
)
def test_a_clip_starts_clean_and_then_shows_the_card(
    tmp_path: Path, name: str, codec: Codec | None, expected: str
) -> None:
    """Decoded again: ten frames, the card in the last five, in the suffix's codec."""
    path = tmp_path / name
    clip = Clip(320, 180, fps=10, clean_s=0.5, card_s=0.5, codec=codec)
    write_clip(path, CARD, clip)
    found, pictures = decoded(path)
    assert found == expected
    assert len(pictures) == 10
    card = cards.draw(CARD, *reversed(middle(pictures[0]).shape[:2]))
    distances = [apart(middle(picture), card) for picture in pictures]
    assert min(distances[:5]) > 50
    assert max(distances[5:]) < 20


def test_a_clip_without_a_category_is_as_long_and_clean(tmp_path: Path) -> None:
    """The harmless counterpart for tests: same length, street only."""
    path = tmp_path / "clean.mp4"
    write_clip(path, None, SHORT)
    _, pictures = decoded(path)
    plain = list(islice(street.frames(320, 180, 10, 0), 10))
    assert len(pictures) == 10
    assert max(map(apart, pictures, plain)) < 20


@pytest.mark.parametrize(("width", "height"), [(321, 180), (320, 181)])
def test_odd_sides_are_refused(tmp_path: Path, width: int, height: int) -> None:
    """The encoders halve the colour planes; the error says so before writing."""
    with pytest.raises(ValueError, match=f"{width}x{height}.*even"):
        write_clip(tmp_path / "clip.mp4", CARD, Clip(width, height))
    assert not list(tmp_path.iterdir())


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    """The error says which suffixes there are; nothing is written."""
    with pytest.raises(ValueError, match=r"\.mp4 or \.webm"):
        write_clip(tmp_path / "clip.avi", CARD)
    assert not list(tmp_path.iterdir())
