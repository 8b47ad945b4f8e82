"""Inside a worker: pictures that the sidecar has, until it gives them back."""

from collections.abc import Iterable, Sequence

import numpy as np

from sidecar.arena import PictureArena, lease_of
from sidecar.domain import Picture, PictureFormat, Sample
from sidecar.workers.block import Block, Region
from sidecar.workers.messages import Place


class Lending:
    """Keeps every picture that was lent, so that its slot is nobody else's meanwhile.

    Args:
        block: Where pictures cross.
        near: How many slots of a region are used before the others.
    """

    def __init__(self, block: Block, near: int) -> None:
        self._block = block
        self._near = near
        self._arenas: dict[PictureFormat, tuple[int, PictureArena]] = {}
        self._lent: dict[Place, Picture] = {}
        self._formats: tuple[PictureFormat, ...] = ()

    @property
    def lent(self) -> int:
        """How many pictures the sidecar has."""
        return len(self._lent)

    def formats(self) -> tuple[PictureFormat, ...]:
        """What the models want to see now, the first one's first."""
        return self._formats

    def want(self, regions: Sequence[Region]) -> None:
        """From now on they want to see this, there."""
        for region in regions:
            if region.fmt not in self._arenas:
                arena = PictureArena(self._block.add(region), self._near)
                self._arenas[region.fmt] = region.number, arena
        self._formats = tuple(region.fmt for region in regions)

    def arena(self, fmt: PictureFormat) -> PictureArena:
        """Where decoders put pictures in `fmt`. Raises KeyError: never wanted."""
        return self._arenas[fmt][1]

    def lend(self, sample: Sample) -> tuple[Place, ...] | None:
        """Where the sample's pictures lie, the first one's first; the sidecar's now.

        A picture in memory of its own is copied into a slot; None, and nothing is lent,
        if there is none for it.
        """
        assert sample.fmt is not None
        placed = {}
        for fmt, picture in ((sample.fmt, sample.picture), *sample.others.items()):
            number, arena = self._arenas[fmt]
            found = _in_slot(picture, arena)
            lease = None if found is None else lease_of(found)
            if found is None or lease is None:
                return None
            placed[number, lease.index] = found
        self._lent.update(placed)
        return tuple(placed)

    def give_back(self, places: Iterable[Place]) -> None:
        """The sidecar has done with these. Raises KeyError: one was not lent."""
        for place in places:
            del self._lent[place]


def _in_slot(picture: Picture, arena: PictureArena) -> Picture | None:
    """The picture in a slot of `arena`; None if all are taken."""
    lease = lease_of(picture)
    if lease is not None and lease.slots is arena.slots:
        return picture
    room = arena.take()
    if room is not None:
        np.copyto(room, picture)
    return room
