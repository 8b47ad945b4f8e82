"""The picture arena: a slot has one picture at a time, and comes back exactly once."""

import gc
import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sidecar.arena import (
    PictureArena,
    PictureSlots,
    first_of,
    lease_of,
    slot_of,
)
from sidecar.domain import Picture, PictureFormat

FMT = PictureFormat(5, 3)


def arena(count: int, near: int | None = None) -> PictureArena:
    """An arena of small pictures."""
    return PictureArena(PictureSlots(FMT, count), near)


def taken(room: PictureArena) -> Picture:
    """A picture; there is one."""
    picture = room.take()
    assert picture is not None
    return picture


def side_by_side(batch: Sequence[Picture], count: int) -> NDArray[np.uint8] | None:
    """The array that the engine reads, without a copy; None: the pictures lie apart."""
    first = first_of(batch, count)
    return None if first is None else first.slots.array[first.index :][:count]


def test_a_picture_is_a_slot_of_the_arena() -> None:
    """Shape and type as the model wants; writing to it writes to the arena."""
    room = arena(2)
    picture = taken(room)
    assert picture.shape == (3, 5, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    picture[:] = 7
    assert room.slots.array[0].min() == 7
    assert room.slots.array[1].max() == 0


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["take", "view", "drop"]), st.integers(0))
    ),
    count=st.integers(1, 5),
    near=st.none() | st.integers(1, 5),
)
def test_no_slot_has_two_pictures(
    steps: list[tuple[str, int]], count: int, near: int | None
) -> None:
    """Whatever is taken, kept by a view of it or dropped: each slot has one holder.

    None is given exactly when all are taken, and in the end all are free.
    """
    room = arena(count, near)
    held: dict[int, list[Picture]] = {}
    for what, number in steps:
        slot = sorted(held)[number % len(held)] if held else None
        if what == "take":
            picture = room.take()
            assert (picture is None) == (len(held) == count)
            if picture is not None:
                assert slot_of(picture) not in held
                held[slot_of(picture)] = [picture]
            del picture
        elif slot is not None and what == "view":
            held[slot].append(held[slot][-1][1:])  # a view outlives what it is of
        elif slot is not None:
            del held[slot][0]
            if not held[slot]:
                del held[slot]
        assert room.free == count - len(held)
    held.clear()
    assert room.free == count


def test_a_slot_is_given_back_once() -> None:
    """By the last of its holders, not by each."""
    seen: Counter[int] = Counter()
    slots = PictureSlots(FMT, 3)
    picture = slots.lend(2, lambda index: seen.update([index]))
    views = [picture[:1], picture.reshape(-1), picture]
    del picture
    while views:
        assert not seen
        views.pop()
    gc.collect()
    assert seen == {2: 1}


def test_pictures_come_side_by_side() -> None:
    """In turn, also when earlier ones were given back; then round again."""
    room = arena(4)
    first, second = taken(room), taken(room)
    del first
    third, fourth = taken(room), taken(room)
    assert [slot_of(p) for p in (second, third, fourth)] == [1, 2, 3]
    assert slot_of(taken(room)) == 0


def test_the_far_slots_are_for_need() -> None:
    """While a near slot is free the others are left alone."""
    room = arena(4, near=2)
    for _ in range(5):
        assert slot_of(taken(room)) < 2
    held = [taken(room) for _ in range(4)]
    assert sorted(map(slot_of, held)) == [0, 1, 2, 3]
    assert room.take() is None


def test_threads_never_share_a_slot() -> None:
    """Eight threads that take, mark, look again and drop."""
    room = arena(3)
    torn: list[int] = []

    def work(mark: int) -> None:
        for _ in range(400):
            picture = room.take()
            if picture is not None:
                picture[:] = mark
                if not (picture == mark).all():
                    torn.append(mark)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torn
    assert room.free == 3


def test_a_batch_side_by_side_is_an_array_as_it_lies() -> None:
    """No copy: what is written to a picture shows in the array, in order."""
    room = arena(4)
    taken(room)
    batch = [taken(room), taken(room)]
    batch[0][:], batch[1][:] = 1, 2
    array = side_by_side(batch, 2)
    assert array is not None
    assert array.shape == (2, 3, 5, 3)
    assert np.shares_memory(array, batch[1])
    assert array[:, 0, 0, 0].tolist() == [1, 2]


def test_a_batch_may_be_padded_by_its_neighbours() -> None:
    """What lies after it fills up, unless the arena ends there."""
    room = arena(4)
    batch = [taken(room), taken(room)]
    array = side_by_side(batch, 4)
    assert array is not None
    assert array.shape[0] == 4
    assert side_by_side(batch[1:], 4) is None


def test_what_does_not_lie_so_has_to_be_gathered() -> None:
    """Another order, a gap, another arena, memory of its own: None."""
    room, other = arena(4), arena(4)
    first, second, third = taken(room), taken(room), taken(room)
    foreign = [taken(other), taken(other)][1]
    own = np.zeros((3, 5, 3), np.uint8)
    for batch in (
        [second, first],
        [first, third],
        [first, foreign],
        [first, own],
        [own, first],
    ):
        assert side_by_side(batch, 2) is None
    assert lease_of(own) is None
    assert slot_of(own) == -1
    assert slot_of(first[1:]) == -1  # a view is no whole picture


def test_it_lies_in_memory_that_is_given() -> None:
    """For instance shared with another process: both sides see the same slot."""
    memory = bytearray(PictureSlots(FMT, 2).size)
    one = PictureSlots(FMT, 2, memoryview(memory))
    two = PictureSlots(FMT, 2, memoryview(memory))
    taken(PictureArena(one))[:] = 9
    assert two.lend(0, lambda _: None).min() == 9
    assert two.lend(1, lambda _: None).max() == 0


def test_hopeless_memory_is_refused() -> None:
    """No slot, too few bytes, or bytes that cannot be written."""
    with pytest.raises(ValueError, match="at least one slot"):
        PictureSlots(FMT, 0)
    for memory in (memoryview(bytearray(89)), memoryview(bytes(90))):
        with pytest.raises(ValueError, match="writable buffer of 90 bytes"):
            PictureSlots(FMT, 2, memory)
