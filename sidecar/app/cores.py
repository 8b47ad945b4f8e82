"""How many cores this process may use."""

import os
from pathlib import Path
from typing import Final

_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")  # cgroup v2, docs.kernel.org


def usable_cores(quota: Path = _QUOTA) -> int:
    """By affinity and by the container's quota, at least 1. Reads a file."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        text = quota.read_text(encoding="ascii")
    except OSError:
        return cores
    return min(cores, granted(text) or cores)


def granted(cpu_max: str) -> int | None:
    """Whole cores in a `cpu.max`, at least 1; None: as many as there are."""
    allowance, _, period = cpu_max.partition(" ")
    if not (allowance.isdecimal() and period.strip().isdecimal()):
        return None
    return max(1, int(allowance) // max(1, int(period)))
