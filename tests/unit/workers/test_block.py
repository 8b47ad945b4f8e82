"""Shared memory: one side writes, the other reads, and it is gone with both."""

import errno
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import PictureFormat
from sidecar.workers.block import Block, BlockFull, Plan, Region, memory, region_bytes

OPEN = Path("/proc/self/fd")
FORMATS = (PictureFormat(4, 3), PictureFormat(2, 5))

sides = st.integers(1, 9)
formats = st.lists(st.builds(PictureFormat, sides, sides), max_size=4)


@pytest.fixture
def fd() -> Iterator[int]:
    """Memory for two slots of each format."""
    fd = memory(Plan(FORMATS, 2).size)
    yield fd
    os.close(fd)


@given(st.lists(formats, max_size=4), st.integers(1, 5))
def test_each_format_has_a_region_of_its_own(
    wishes: list[list[PictureFormat]], count: int
) -> None:
    """The same for ever; no two overlap, and all lie within the block."""
    plan = Plan(FORMATS, count)
    seen: dict[PictureFormat, Region] = {}
    for wish in wishes:
        for fmt, region in zip(wish, plan.regions(wish), strict=True):
            assert region.fmt == fmt
            assert seen.setdefault(fmt, region) == region
    end = 0
    for number, region in enumerate(sorted(seen.values(), key=lambda r: r.offset)):
        assert (region.number, region.offset) == (number, end)
        end += region_bytes(region.fmt, count)
    assert end <= plan.size


def test_a_block_that_is_full_says_so() -> None:
    """Formats without end do not fit; those that have a region keep it."""
    plan = Plan([PictureFormat(1000, 1000)], 2)
    first = plan.regions([PictureFormat(1000, 1000)])
    many = [PictureFormat(side, side) for side in range(1001, 1100)]
    with pytest.raises(BlockFull):
        plan.regions(many)
    assert plan.regions([PictureFormat(1000, 1000)]) == first


def test_what_one_side_writes_the_other_reads(fd: int) -> None:
    """Every slot of every format its own bytes, by another mapping."""
    regions = Plan(FORMATS, 2).regions(FORMATS)
    here, there = Block(fd, 2), Block(fd, 2)
    for region in regions:
        assert here.add(region) is here.add(region)
        there.add(region)
        for slot in range(2):
            here.slots(region.number).array[slot] = 10 * region.number + slot
    for region in regions:
        slots = there.slots(region.number)
        for slot in range(2):
            picture = slots.lend(slot, lambda _: None)
            assert picture.shape == (region.fmt.height, region.fmt.width, 3)
            assert np.all(picture == 10 * region.number + slot)


def test_readers_may_outlive_the_block(fd: int) -> None:
    """A worker that is gone takes no picture away from who looks at it."""
    block = Block(fd, 2)
    slots = block.add(Plan(FORMATS, 2).regions(FORMATS)[1])
    slots.array[1] = 7
    picture = slots.lend(1, lambda _: None)
    del slots, block
    gc.collect()
    assert np.all(picture == 7)


def test_nothing_stays_open(fd: int) -> None:
    """With the last reference the mapping and its descriptor are gone."""
    before = len(list(OPEN.iterdir()))
    block = Block(fd, 2)
    block.add(Plan(FORMATS, 2).regions(FORMATS)[0])
    del block
    gc.collect()
    assert len(list(OPEN.iterdir())) == before


def test_too_little_memory_is_refused() -> None:
    """A descriptor of something else is not read beyond its end."""
    region = Plan(FORMATS, 3).regions(FORMATS)[1]
    fd = memory(region.offset + region_bytes(region.fmt, 3) - 1)
    try:
        with pytest.raises(ValueError, match="needed"):
            Block(fd, 3).add(region)
    finally:
        os.close(fd)


def test_memory_that_cannot_be_had_leaves_no_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error comes out, the descriptor does not stay."""

    def full(_fd: int, _size: int) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(os, "ftruncate", full)
    before = len(list(OPEN.iterdir()))
    with pytest.raises(OSError, match="no memory"):
        memory(10)
    assert len(list(OPEN.iterdir())) == before
