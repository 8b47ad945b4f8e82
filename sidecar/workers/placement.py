"""Which worker takes the next stream; pure."""

from collections.abc import Sequence


def choose(loads: Sequence[int], starting: int, waiting: int) -> int | None:
    """The index of the worker with the fewest streams; None: better wait.

    A worker that is starting gets its part: after the loss of one of two, half of its
    streams would otherwise all end up with the other, and stay there.

    Args:
        loads: Streams of each worker that runs.
        starting: How many more run in a moment.
        waiting: Streams to be placed, this one among them.
    """
    if not loads:
        return None
    least = min(range(len(loads)), key=loads.__getitem__)
    if not starting:
        return least
    part, more = divmod(sum(loads) + waiting, len(loads) + starting)
    have_more = sum(load > part for load in loads)
    due = loads[least] < part or (loads[least] == part and have_more < more)
    return least if due else None
