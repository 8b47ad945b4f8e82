"""Where in recorded columns a policy's memory of a stream begins anew; pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sidecar.domain import UnknownReason
from sidecar.recording.columns import MARKED, REASONS, Columns, Places
from sidecar.recording.entry import EntryKind
from sidecar.recording.rerun import REMEMBERED_S

_AWAY: Final = (
    UnknownReason.STARTING,
    UnknownReason.UNREACHABLE,
    UnknownReason.NO_FRAMES,
)
_Flags = NDArray[np.bool_]


class Lives:
    """Where the windows, the cooldowns and the armed state of all rules begin anew.

    Attributes:
        window: For each sample, the number of the window-life it is in: samples of
            another life do not count with it.
        cooldown: Likewise of the life that cooldowns belong to.
        fired_at: For each cooldown-life, when its rules count as fired; NaN: never.
        rearmed: The samples, sorted, before which every rule is armed again.
    """

    def __init__(self, columns: Columns) -> None:
        marks, count = columns.marks, len(columns)
        cuts = np.zeros(count + 1, np.int64)
        lives = np.zeros(count + 1, np.int64)
        np.add.at(cuts, columns.bounds[:-1], 1)
        np.add.at(lives, columns.bounds[:-1], 1)
        cleared = marks.kind == MARKED.index(EntryKind.CLEARED)
        came_back = _comebacks(columns)
        began = marks.kind == MARKED.index(EntryKind.BEGAN)
        np.add.at(cuts, marks.before[cleared | (began & ~came_back)], 1)
        np.add.at(lives, marks.before[cleared | began], 1)
        self.window = np.cumsum(cuts[:count])
        self.cooldown = np.cumsum(lives[:count])
        self.fired_at = _fired_at(columns, cleared, began, self.cooldown)
        away = (marks.kind == MARKED.index(EntryKind.UNSEEN)) & np.isin(
            marks.reason, [REASONS.index(reason) for reason in _AWAY]
        )
        self.rearmed = np.unique(marks.before[away])


def _comebacks(columns: Columns) -> _Flags:
    """Which marks are the beginning of a stream that is still remembered."""
    marks = columns.marks
    back = np.zeros(len(marks.at), bool)
    began, ended = MARKED.index(EntryKind.BEGAN), MARKED.index(EntryKind.ENDED)
    stream = np.repeat(np.arange(len(columns.streams)), np.diff(marks.bounds))
    last: dict[int, int] = {}  # the end that stands, by stream
    for place in np.flatnonzero((marks.kind == began) | (marks.kind == ended)):
        owner = int(stream[place])
        if marks.kind[place] == ended:
            last[owner] = int(place)
        elif (end := last.pop(owner, None)) is not None:
            same = marks.session[end] == marks.session[place]
            back[place] = same and marks.at[place] - marks.at[end] <= REMEMBERED_S
    return back


def _fired_at(
    columns: Columns, cleared: _Flags, began: _Flags, life: Places
) -> dict[int, float]:
    """When all rules of a cooldown-life count as fired: a person cleared the case."""
    found: dict[int, float] = {}
    ends = np.repeat(columns.bounds[1:], np.diff(columns.marks.bounds))
    for place in np.flatnonzero(cleared | began):
        before = int(columns.marks.before[place])
        if before >= ends[place]:
            continue  # no sample comes after it
        if cleared[place]:
            found[int(life[before])] = float(columns.marks.at[place])
        else:
            found.pop(int(life[before]), None)
    return found
