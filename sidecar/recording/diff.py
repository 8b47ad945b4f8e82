"""What another policy would change: actions that appear, vanish or move; pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sidecar.domain import ActionKind, Category
from sidecar.recording.whatif import Fired

HORIZON_S: Final = 60.0
CUTS: Final = frozenset({ActionKind.TAKEDOWN, ActionKind.INTERRUPT})


@dataclass(frozen=True, slots=True)
class Moved:
    """The same action, at another instant or by another rule."""

    old: Fired
    new: Fired

    @property
    def by_s(self) -> float:
        """How much later it comes; below 0: earlier."""
        return self.new.at - self.old.at


@dataclass(slots=True)
class Difference:
    """Between two policies on one recording, by stream and time.

    Attributes:
        added: Only the new one asks for it.
        removed: Only the old one does.
        moved: Both do, and not at the same instant.
        same: How many do not change.
    """

    added: list[Fired] = field(default_factory=list)
    removed: list[Fired] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    same: int = 0


def difference(
    old: Iterable[Fired],
    new: Iterable[Fired],
    kinds: Collection[ActionKind] = CUTS,
    horizon_s: float = HORIZON_S,
) -> Difference:
    """What changes from `old` to `new`, among actions of `kinds`.

    Two are the same action if stream, kind and category are, and they are no further
    apart than `horizon_s`; each is paired once, in the order of time.
    """
    found = Difference()
    before, after = _grouped(old, kinds), _grouped(new, kinds)
    for key in sorted(before.keys() | after.keys()):
        for pair in _pairs(before[key], after[key], horizon_s):
            match pair:
                case (None, Fired() as one):
                    found.added.append(one)
                case (Fired() as one, None):
                    found.removed.append(one)
                case (Fired() as one, Fired() as other) if one.at != other.at:
                    found.moved.append(Moved(one, other))
                case _:
                    found.same += 1
    return found


def _grouped(
    found: Iterable[Fired], kinds: Collection[ActionKind]
) -> defaultdict[tuple[str, ActionKind, Category | str], list[Fired]]:
    groups = defaultdict(list)
    for one in found:
        if one.action in kinds:
            groups[one.stream, one.action, one.category or ""].append(one)
    for group in groups.values():
        group.sort(key=lambda one: one.at)
    return groups


def _pairs(
    old: Sequence[Fired], new: Sequence[Fired], horizon_s: float
) -> Iterator[tuple[Fired | None, Fired | None]]:
    """Each action of both, with the other's if there is one near enough."""
    i = j = 0
    while i < len(old) and j < len(new):
        apart_s = new[j].at - old[i].at
        if abs(apart_s) <= horizon_s:
            yield old[i], new[j]
            i, j = i + 1, j + 1
        elif apart_s > 0:
            yield old[i], None
            i += 1
        else:
            yield None, new[j]
            j += 1
    yield from ((one, None) for one in old[i:])
    yield from ((None, one) for one in new[j:])
