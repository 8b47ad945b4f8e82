"""A publisher that sends one encoded group again and again, on a simulated clock."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from sidecar.clock import ManualClock
from sidecar.domain import AccessUnit, Codec, Want


@dataclass
class Groups:
    """Pictures at `fps`, each at its time; heeds `want` and `rest` as a source does.

    Attributes:
        clock: Advances as pictures come.
        group: One keyframe and its deltas, in order.
        fps: Pictures a second.
        seconds: How long it lasts.
        off_s: How much later picture number n comes than its time.
        lost: Whether picture number n never comes.
        heeds: Whether a request is answered, with the group's start.
        natural: Whether a group ends by itself; else at requests alone.
        rests: When it was told to rest, and until when.
        open_s: How long it was not resting.
    """

    clock: ManualClock
    group: Sequence[AccessUnit]
    fps: float = 5.0
    seconds: float = 60.0
    off_s: Callable[[int], float] = lambda _: 0.0
    lost: Callable[[int], bool] = lambda _: False
    heeds: bool = False
    natural: bool = True
    codec: Codec = Codec.VP8
    wants: list[Want] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    rests: list[tuple[float, float]] = field(default_factory=list)
    open_s: float = 0.0
    _until: float = -1.0

    def want(self, want: Want) -> None:
        """See `Source`."""
        self.wants.append(want)
        if want is Want.ALL:
            self._until = -1.0

    def rest(self, until: float) -> None:
        """See `Source`."""
        self._until = until
        self.rests.append((self.clock.monotonic(), until))

    def request_keyframe(self) -> None:
        """See `Source`."""
        self.asked.append(self.clock.monotonic())

    async def __aiter__(self) -> AsyncIterator[AccessUnit]:
        start, place, answered, chained = self.clock.monotonic(), 0, 0, False
        for number in range(int(self.seconds * self.fps)):
            at = start + number / self.fps + self.off_s(number)
            self.clock.advance(max(0.0, at - self.clock.monotonic()))
            await asyncio.sleep(0)  # what is due by the timer goes first
            if self.heeds and len(self.asked) > answered:
                answered, place = len(self.asked), 0
            unit = self.group[place]
            last = len(self.group) - 1
            place = (
                min(last, place + 1) if not self.natural else (place + 1) % (last + 1)
            )
            open_ = at >= self._until
            self.open_s += 1 / self.fps if open_ else 0.0
            chained = self._chained(unit, chained=chained) and open_
            if (chained or (unit.keyframe and open_)) and not self.lost(number):
                yield replace(unit, received_at=at, completed_at=at)

    def _chained(self, unit: AccessUnit, *, chained: bool) -> bool:
        return self.wants[-1] is Want.ALL and (chained or unit.keyframe)
