"""In the sidecar: a worker's pictures, until nobody refers to them any more."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from sidecar.domain import Formats, Picture, PictureFormat
from sidecar.workers.block import Block, Plan, Region
from sidecar.workers.codec import WireError
from sidecar.workers.messages import Place


class Borrowing:
    """Reads pictures where the worker put them, and notes which are done with.

    Args:
        block: Where they lie.
        plan: Of the block.
        formats: What the models want to see now.
    """

    def __init__(self, block: Block, plan: Plan, formats: Formats) -> None:
        self._block = block
        self._plan = plan
        self._formats = formats
        self._told: tuple[PictureFormat, ...] = ()
        self._give_back: dict[int, Callable[[int], None]] = {}
        # By any thread, amid garbage collection even: hence no more than an append.
        self._returned: deque[Place] = deque()

    def news(self) -> tuple[Region, ...] | None:
        """What the worker has to be told of formats; None: nothing has changed.

        Raises:
            BlockFull: There is no room for a format.
        """
        wanted = self._formats()
        if wanted == self._told:
            return None
        self._told = wanted
        regions = self._plan.regions(wanted)
        for region in regions:
            self._block.add(region)
            self._give_back[region.number] = partial(self._done, region.number)
        return regions

    def borrow(self, places: Sequence[Place]) -> dict[PictureFormat, Picture]:
        """The pictures at these places, the first one's first.

        Raises:
            WireError: There are no such places.
        """
        found = {}
        for number, slot in places:
            give_back = self._give_back.get(number)
            if give_back is None or not 0 <= slot < self._plan.count:
                raise WireError(f"there is no slot {slot} in region {number}")
            slots = self._block.slots(number)
            found[slots.fmt] = slots.lend(slot, give_back)
        if not found:
            raise WireError("a sample without a picture")
        return found

    def returned(self) -> tuple[Place, ...]:
        """The places that nobody refers to any more; each is told once."""
        places = []
        while self._returned:
            places.append(self._returned.popleft())
        return tuple(places)

    def _done(self, number: int, slot: int) -> None:
        self._returned.append((number, slot))
