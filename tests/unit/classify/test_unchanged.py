"""What equals the last classified picture is left out; nothing else ever is."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.classify.unchanged import Unchanged, differences, equal
from sidecar.domain import (
    Category,
    Codec,
    LabelScore,
    ModelRef,
    Picture,
    PictureFormat,
    Sample,
    Scores,
)
from sidecar.errors import EngineError
from sidecar.sample.decoder import Decoder
from sidecar.stats import Stats
from sidecar.testcard import cards
from sidecar.testcard.clip import Scene, scene
from tests.fakes.encoded import clip

pytestmark = pytest.mark.anyio

NOISE = 3.0
FORMAT = PictureFormat(128, 128, "area")


class Models:
    """Counts what it is asked; every answer another score."""

    def __init__(self) -> None:
        self.refs: tuple[ModelRef, ...] = (ModelRef("m", "sha256:1"),)
        self.asked: list[Sample] = []
        self.error: EngineError | None = None

    async def classify(self, sample: Sample) -> Scores:
        """Scores, or the error."""
        self.asked.append(sample)
        if self.error is not None:
            raise self.error
        by = {Category.DRUGS: LabelScore(len(self.asked) / 1000, "d")}
        return Scores(
            sample.stream_id,
            by,
            self.refs[0],
            sample.captured_at,
            queue_s=1.0,
            inference_s=1.0,
        )


class Bench:
    """The gate before counting models."""

    def __init__(self, max_s: float = 10.0) -> None:
        self.models = Models()
        self.stats = Stats()
        self.gate = Unchanged(self.models, max_s, NOISE, self.stats)

    async def see(self, picture: Picture, at: float, stream: str = "s") -> Scores:
        """One sample."""
        return await self.gate.classify(
            Sample(stream, picture, at, at, 0.25, 0.5, fmt=FORMAT)
        )

    @property
    def classified(self) -> int:
        """How many were."""
        return len(self.models.asked)

    @property
    def left_out(self) -> float:
        """How many were not, as counted."""
        name = "sidecar_unchanged_total"
        return self.stats.registry.get_sample_value(name) or 0.0


def plain(level: float) -> Picture:
    """Grey."""
    return np.full((128, 128, 3), round(level), np.uint8)


async def test_an_equal_picture_keeps_the_scores_and_says_since_when() -> None:
    """Same scores, its own capture instant and legs, no queue and no inference."""
    bench = Bench()
    first = await bench.see(plain(90), 1.0)
    again = await bench.see(plain(91), 4.0)
    assert (bench.classified, bench.left_out) == (1, 1)
    assert first.unchanged_since is None
    assert again == replace(
        first,
        captured_at=4.0,
        receive_s=0.25,
        decode_s=0.5,
        queue_s=0.0,
        inference_s=0.0,
        unchanged_since=1.0,
    )


async def test_it_is_classified_again_after_a_while() -> None:
    """`max_s` after the last classified one, however still the picture is."""
    bench = Bench(max_s=10.0)
    for second in range(25):
        await bench.see(plain(90), float(second))
    assert [sample.captured_at for sample in bench.models.asked] == [0.0, 10.0, 20.0]


async def test_a_slow_fade_is_not_missed() -> None:
    """Half a level a step: compared with the last classified one, it adds up."""
    bench = Bench(max_s=3600.0)
    shown: list[float] = []
    for step in range(100):
        level = 50 + step / 2
        before = bench.classified
        await bench.see(plain(level), float(step))
        if bench.classified > before:
            shown.append(level)
    assert bench.classified >= 12
    assert max(np.diff(shown)) <= NOISE + 1


@pytest.mark.parametrize("side", [8, 12, 20])
async def test_a_small_card_that_moves_is_not_missed(side: int) -> None:
    """A card of 0.4 to 2.4 % of a still picture, two pixels on at a time."""
    bench = Bench(max_s=3600.0)
    card = cards.draw(Category.SEXUAL_EXPLICIT, max(side, 16), max(side, 16))
    card = card[:side, :side]
    for step in range(40):
        picture = plain(120)
        left = 2 * step + 3
        picture[30 : 30 + side, left : left + side] = card
        await bench.see(picture, float(step))
    assert bench.classified == 40


async def test_a_small_card_that_appears_is_not_missed() -> None:
    """One that fills a single block's quarter in a noisy, otherwise still street."""
    bench = Bench(max_s=3600.0)
    street = next(scene(Scene(width=128, height=128)))
    await bench.see(street, 0.0)
    changed = street.copy()
    changed[64:68, 64:68] = 255 - changed[64:68, 64:68] // 2
    await bench.see(changed, 1.0)
    assert bench.classified == 2


@pytest.mark.parametrize("codec", list(Codec))
async def test_a_codecs_noise_is_no_change(codec: Codec) -> None:
    """A still card, encoded over and over: each keyframe a little different."""
    card = cards.draw(Category.SEXUAL_EXPLICIT, 320, 240)
    grain = np.random.default_rng(0)
    bench = Bench(max_s=3600.0)
    units = [
        clip(
            codec,
            [
                np.clip(card + grain.integers(-2, 3, card.shape), 0, 255).astype(
                    np.uint8
                )
            ],
        )[0]
        for _ in range(8)
    ]
    decoder = Decoder(codec, FORMAT)
    pictures = [decoder.glance(unit) for unit in units]
    shown = [decoded.picture for decoded in pictures if decoded is not None]
    assert len({picture.tobytes() for picture in shown}) > 1
    for number, picture in enumerate(shown):
        await bench.see(picture, float(number))
    assert (bench.classified, bench.left_out) == (1, 7)


async def test_a_moving_street_is_always_classified() -> None:
    """Walkers and cars a second apart are changes."""
    bench = Bench(max_s=3600.0)
    pictures = islice(scene(Scene(width=128, height=128, fps=30)), 0, 300, 30)
    for second, picture in enumerate(pictures):
        await bench.see(picture.copy(), float(second))
    assert bench.classified == 10


async def test_streams_and_models_do_not_mix() -> None:
    """Another stream's picture, and another model's score, are not one's own."""
    bench = Bench()
    await bench.see(plain(90), 0.0, "a")
    await bench.see(plain(90), 0.0, "b")
    assert bench.classified == 2
    bench.models.refs = (ModelRef("m", "sha256:2"),)
    assert (await bench.see(plain(90), 1.0, "a")).model.hash == "sha256:2"
    bench.gate.forget("a")
    bench.gate.forget("a")
    await bench.see(plain(90), 2.0, "a")
    assert bench.classified == 4


async def test_a_failure_keeps_nothing_new() -> None:
    """A picture that was not classified is not what the next one is compared with."""
    bench = Bench()
    await bench.see(plain(90), 0.0)
    bench.models.error = EngineError("no")
    with pytest.raises(EngineError):
        await bench.see(plain(200), 1.0)
    bench.models.error = None
    await bench.see(plain(200), 2.0)
    assert bench.classified == 3


async def test_every_models_picture_has_to_be_equal() -> None:
    """What one model sees and another does not is a change; so is a new format."""
    bench = Bench()
    large = PictureFormat(256, 256, "area")

    def sample(at: float, level: int, *, both: bool = True) -> Sample:
        big = np.full((256, 256, 3), level, np.uint8)
        others = {large: big} if both else {}
        return Sample("s", plain(90), at, at, fmt=FORMAT, others=others)

    for one in (sample(0, 50), sample(1, 50), sample(2, 99), sample(3, 99, both=False)):
        await bench.gate.classify(one)
    assert [one.captured_at for one in bench.models.asked] == [0, 2, 3]


async def test_it_keeps_no_memory_of_the_arenas() -> None:
    """The picture that came is free to be overwritten."""
    bench = Bench()
    picture = plain(90)
    await bench.see(picture, 0.0)
    picture[:] = 200
    await bench.see(picture, 1.0)
    assert bench.classified == 2


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
)
def test_blocks_are_means_at_any_size(height: int, width: int, seed: int) -> None:
    """Each block's figure is the mean absolute difference of its own pixels."""
    rng = np.random.default_rng(seed)
    old, new = rng.integers(0, 256, (2, height, width, 3), np.uint8)
    found = differences(old, new)
    off = np.abs(old.astype(int) - new)
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            block = off[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8]
            assert found[row, column] == pytest.approx(block.mean())
    assert equal(old, new, float(found.max()))
    assert not equal(old, new, float(found.max()) - 1e-6) or found.max() == 0


def test_another_size_is_another_picture() -> None:
    """A change of resolution is never called equal."""
    assert not equal(plain(0), plain(0)[:64], 32.0)
