"""Memory in which a worker's decoders put pictures and the sidecar reads them.

It has no name: it is gone with the last process that has it, however that ends. Each
side keeps its own account: a slot is taken from the worker's arena for the picture that
is decoded into it, is lent to the sidecar with the sample, and comes back once nobody
there refers to the picture any more.

What the models want to see changes with them: each new format gets a region of the
block, and keeps it.
"""

import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.arena import PictureSlots
from sidecar.domain import PictureFormat
from sidecar.errors import SidecarError

_SPARE = 1 << 26  # bytes at least for formats to come; untouched, they cost nothing


class BlockFull(SidecarError):
    """There is no room for another format; a new block has to begin."""


@dataclass(frozen=True, slots=True)
class Region:
    """Where the slots of one format lie.

    Attributes:
        number: Of the region, from 0.
        fmt: Of its pictures.
        offset: Its first byte in the block.
    """

    number: int
    fmt: PictureFormat
    offset: int


def region_bytes(fmt: PictureFormat, count: int) -> int:
    """How much memory `count` slots take."""
    return fmt.height * fmt.width * 3 * count


class Plan:
    """Which format lies where in a block; pure.

    Args:
        formats: There is room for these, and for others of four times their size.
        count: Slots of each.
    """

    def __init__(self, formats: Sequence[PictureFormat], count: int) -> None:
        self.count = count
        self.size = sum(region_bytes(fmt, count) for fmt in formats) * 4 + _SPARE
        self._regions: dict[PictureFormat, Region] = {}
        self._end = 0

    def regions(self, formats: Sequence[PictureFormat]) -> tuple[Region, ...]:
        """Of each format, the same ones for ever. Raises BlockFull."""
        return tuple(self._regions.get(fmt) or self._new(fmt) for fmt in formats)

    def _new(self, fmt: PictureFormat) -> Region:
        size = region_bytes(fmt, self.count)
        if self._end + size > self.size:
            raise BlockFull
        region = Region(len(self._regions), fmt, self._end)
        self._regions[fmt] = region
        self._end += size
        return region


class Block:
    """Shared memory, mapped for as long as any of its pictures is referred to.

    Args:
        fd: Of the memory; it stays the caller's and may be closed at once.
        count: Slots of each region.

    Raises:
        OSError: It cannot be mapped.
    """

    def __init__(self, fd: int, count: int) -> None:
        self._memory = memoryview(mmap.mmap(fd, os.fstat(fd).st_size))
        self._count = count
        self._slots: dict[int, PictureSlots] = {}

    def add(self, region: Region) -> PictureSlots:
        """The slots of a region, always the same. Raises ValueError: beyond the end."""
        slots = self._slots.get(region.number)
        if slots is None:
            rest = self._memory[region.offset :]
            slots = PictureSlots(region.fmt, self._count, rest)
            self._slots[region.number] = slots
        return slots

    def slots(self, number: int) -> PictureSlots:
        """Those of a region that was added. Raises KeyError."""
        return self._slots[number]


def memory(size: int) -> int:
    """A descriptor of `size` bytes of shared memory; the caller closes it.

    Pages cost memory from the first time they are written to.

    Raises:
        OSError: There is none to be had.
    """
    fd = os.memfd_create("sidecar-pictures", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, size)
    except OSError:
        os.close(fd)
        raise
    return fd
