"""A slot is owned by one at a time: a decoder, or the sidecar, until it comes back."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import Picture, PictureFormat, Sample
from sidecar.workers.block import Block, Plan, memory
from sidecar.workers.borrowing import Borrowing
from sidecar.workers.codec import WireError
from sidecar.workers.lending import Lending
from sidecar.workers.messages import Place

FIRST, SECOND = PictureFormat(4, 3), PictureFormat(2, 2)


def own(fmt: PictureFormat, value: int = 0) -> Picture:
    """A picture in memory of its own."""
    return np.full((fmt.height, fmt.width, 3), value, np.uint8)


def sample(picture: Picture, other: Picture | None = None) -> Sample:
    """A sample of one picture, or as two models want to see it."""
    others = {} if other is None else {SECOND: other}
    return Sample("s", picture, 0.0, 0.0, fmt=FIRST, others=others)


class Pair:
    """Both sides of one block."""

    def __init__(self, count: int) -> None:
        plan = Plan([FIRST], count)
        fd = memory(plan.size)
        self.lending = Lending(Block(fd, count), count)
        self.formats: tuple[PictureFormat, ...] = (FIRST, SECOND)
        self.borrowing = Borrowing(Block(fd, count), plan, lambda: self.formats)
        os.close(fd)
        self.show()

    def show(self) -> None:
        """What is wanted is told."""
        regions = self.borrowing.news()
        assert regions is not None
        self.lending.want(regions)

    def free(self, fmt: PictureFormat = FIRST) -> int:
        """Slots that nobody has."""
        return self.lending.arena(fmt).free


@contextmanager
def pair(count: int = 2) -> Iterator[Pair]:
    """Both sides of one block, which is gone at the end."""
    yield Pair(count)


def test_a_picture_in_a_slot_is_lent_as_it_lies() -> None:
    """Its slot stays taken although nobody in the worker refers to it any more."""
    with pair() as both:
        room = both.lending.arena(FIRST).take()
        assert room is not None
        room[:] = 5
        places = both.lending.lend(sample(room))
        assert places == ((0, 0),)
        del room
        assert (both.free(), both.lending.lent) == (1, 1)
        assert np.all(both.borrowing.borrow(places)[FIRST] == 5)
        assert both.borrowing.returned() == places
        both.lending.give_back(places)
        assert (both.free(), both.lending.lent) == (2, 0)


def test_a_sample_of_several_pictures_crosses_whole() -> None:
    """Each in its format, the first one's first; copied where it lies elsewhere."""
    with pair() as both:
        places = both.lending.lend(sample(own(FIRST, 5), own(SECOND, 6)))
        assert places == ((0, 0), (1, 0))
        found = both.borrowing.borrow(places)
        assert list(found) == [FIRST, SECOND]
        assert np.all(found[FIRST] == 5)
        assert np.all(found[SECOND] == 6)
        part = found.pop(FIRST)[:1]
        del found
        assert both.borrowing.returned() == ((1, 0),)
        del part
        assert both.borrowing.returned() == ((0, 0),)


def test_without_room_for_all_nothing_is_lent() -> None:
    """The slot that was found for the first picture is free again."""
    with pair() as both:
        held = [both.lending.arena(SECOND).take() for _ in range(2)]
        assert both.lending.lend(sample(own(FIRST), own(SECOND))) is None
        assert (both.free(), both.lending.lent) == (2, 0)
        assert len(held) == 2


def test_a_format_that_is_new_gets_its_place_and_is_told_once() -> None:
    """What was wanted before keeps its own, so that samples under way still fit."""
    with pair() as both:
        before = both.lending.lend(sample(own(FIRST, 5)))
        assert before is not None
        assert both.borrowing.news() is None
        third = PictureFormat(3, 3)
        both.formats = (third, FIRST)
        both.show()
        assert both.lending.formats() == (third, FIRST)
        assert np.all(both.borrowing.borrow(before)[FIRST] == 5)
        places = both.lending.lend(Sample("s", own(third, 8), 0, 0, fmt=third))
        assert places == ((2, 0),)


@pytest.mark.parametrize("places", [[], [(0, 2)], [(0, -1)], [(2, 0)], [(-1, 0)]])
def test_places_that_there_are_none_of_are_refused(places: list[Place]) -> None:
    """A worker that names one has lost its mind: no memory is read for it."""
    with pair() as both, pytest.raises(WireError):
        both.borrowing.borrow(places)


def test_what_was_not_lent_cannot_come_back() -> None:
    """It would be given to two."""
    with pair() as both, pytest.raises(KeyError):
        both.lending.give_back([(0, 1)])


@given(st.integers(1, 4), st.lists(st.integers(0, 5)))
def test_no_slot_has_two_owners_and_nothing_is_torn(
    count: int, steps: list[int]
) -> None:
    """Lent and free together are always all; what a reader has never changes."""
    with pair(count) as both:
        held: list[tuple[Picture, int]] = []
        for number, step in enumerate(steps):
            if step < len(held):
                held.pop(step)
                both.lending.give_back(both.borrowing.returned())
            else:
                places = both.lending.lend(sample(own(FIRST, number % 256)))
                assert (places is None) == (len(held) == count)
                if places is not None:
                    picture = both.borrowing.borrow(places)[FIRST]
                    held.append((picture, number % 256))
                    del picture
            assert both.free() + len(held) == count
            assert both.lending.lent == len(held)
            assert all(np.all(picture == value) for picture, value in held)
