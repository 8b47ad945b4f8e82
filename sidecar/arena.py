"""Memory for pictures, side by side: filled by a decoder, read by the engine.

A picture is a view of a slot. The slot is free again when the last reference to the
picture, and to any view of it, is gone, in whichever thread: so no slot is ever filled
anew while somebody may still read it, and nobody has to say when they are done. Whoever
keeps a picture longer than it is needed keeps a slot; it is never shared by mistake.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from sidecar.domain import Picture, PictureFormat

GiveBack = Callable[[int], None]
_FREE: Final = b"\x01"


class Lease:
    """What a picture in a slot stands on: numpy keeps it as long as any view lives.

    Attributes:
        slots: The memory.
        index: The slot.
        address: Of its first byte.
    """

    __slots__ = ("_give_back", "address", "index", "slots")

    def __init__(self, slots: "PictureSlots", index: int, give_back: GiveBack) -> None:
        self.slots = slots
        self.index = index
        self.address = slots.address + index * slots.stride
        self._give_back = give_back

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Numpy's protocol, version 3: the slot's bytes, writable."""
        return {
            "shape": self.slots.shape,
            "typestr": "|u1",
            "data": (self.address, False),
            "version": 3,
        }

    def __del__(self) -> None:
        self._give_back(self.index)


class PictureSlots:
    """`count` slots of one format, adjacent in memory; who has which is not known here.

    Args:
        fmt: Of the pictures.
        count: How many.
        buffer: Memory to use, of `size(fmt, count)` bytes at least; our own if None. A
            page that is never written costs nothing.

    Raises:
        ValueError: No slot, or the buffer is too small or read-only.
    """

    def __init__(
        self, fmt: PictureFormat, count: int, buffer: memoryview | None = None
    ) -> None:
        if count < 1:
            raise ValueError("at least one slot is needed")
        self.fmt = fmt
        self.count = count
        self.shape = (fmt.height, fmt.width, 3)
        self.stride = fmt.height * fmt.width * 3
        self.array: Picture  # (count, height, width, 3)
        if buffer is None:
            self.array = np.zeros((count, *self.shape), np.uint8)
        elif buffer.readonly or buffer.nbytes < self.size:
            raise ValueError(f"a writable buffer of {self.size} bytes is needed")
        else:
            self.array = np.ndarray((count, *self.shape), np.uint8, buffer)
        self.address = self.array.ctypes.data

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.count * self.stride

    def lend(self, index: int, give_back: GiveBack) -> Picture:
        """The picture in a slot.

        Args:
            index: Which; the caller knows that it is free, or filled for it.
            give_back: Called once with `index` when nobody has the picture any more, in
                any thread and maybe amid garbage collection: it must neither block nor
                raise.
        """
        return np.asarray(Lease(self, index, give_back))


class PictureArena:
    """Slots, and who gets the next one; for any number of threads.

    They are handed out in turn, so that samples which are decoded one after the other,
    and so go into the same batch, lie side by side: such a batch is the model's input
    as it lies. The turn goes round the first `near` slots while one of them is free,
    which keeps the memory in use small.

    Args:
        slots: The memory.
        near: How many are used before the others; all of them if None.
    """

    def __init__(self, slots: PictureSlots, near: int | None = None) -> None:
        self.slots = slots
        self._near = min(near or slots.count, slots.count)
        # Given back by a single store, which no lock has to guard: it may happen amid
        # garbage collection in a thread that holds the lock.
        self._free = bytearray(_FREE * slots.count)
        self._turn = 0
        self._lock = threading.Lock()

    @property
    def fmt(self) -> PictureFormat:
        """Of the pictures."""
        return self.slots.fmt

    @property
    def free(self) -> int:
        """How many slots nobody has."""
        return self._free.count(_FREE)

    def take(self) -> Picture | None:
        """A picture to be filled, with whatever its slot held before; None: all taken.

        Never waits for one to be given back.
        """
        with self._lock:
            index = self._next()
            if index < 0:
                return None
            self._free[index] = 0
            self._turn = index + 1
        return self.slots.lend(index, self._give_back)

    def _next(self) -> int:
        """The free slot whose turn it is; -1 if there is none."""
        for start, end in (
            (self._turn, self._near),
            (0, self._near),
            (self._near, self.slots.count),
        ):
            index = self._free.find(_FREE, start, end)
            if index >= 0:
                return index
        return -1

    def _give_back(self, index: int) -> None:
        self._free[index] = 1


def lease_of(picture: Picture) -> Lease | None:
    """What a whole picture in a slot stands on; None for one in memory of its own."""
    base: object = picture.base
    return base if isinstance(base, Lease) else None


def slot_of(picture: Picture) -> int:
    """The slot of a picture, to sort by; -1 for one in memory of its own."""
    lease = lease_of(picture)
    return -1 if lease is None else lease.index


def first_of(batch: Sequence[Picture], count: int) -> Lease | None:
    """The first picture's, if the others of `batch` lie right behind it.

    Args:
        batch: One picture or more.
        count: At least `len(batch)`; what lies in the slots after it comes along, and
            may change while it is read.
    """
    first = lease_of(batch[0])
    if first is None or first.index + count > first.slots.count:
        return None
    for offset, picture in enumerate(batch):
        lease = lease_of(picture)
        if (
            lease is None
            or lease.slots is not first.slots
            or lease.index != first.index + offset
        ):
            return None
    return first
