"""How many cores this process may use: its affinity and its container's quota."""

import os
from math import floor
from pathlib import Path
from typing import Final

_MOUNT: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")


def usable_cores(mount: Path = _MOUNT, own: Path = _OWN) -> int:
    """At least 1. A quota of 1.5 cores counts as 1: the half is not there for long.

    Args:
        mount: Where control groups (version 2) are mounted.
        own: The file that says in which of them this process is.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    cores = allowed or os.cpu_count() or 1
    quotas = [quota_of(_read(path / "cpu.max")) for path in _groups(mount, _read(own))]
    return max(1, floor(min([cores, *(q for q in quotas if q is not None)])))


def quota_of(text: str) -> float | None:
    """The cores that a `cpu.max` file grants ("200000 100000": 2); None: no limit."""
    words = text.split()
    if len(words) != len(("quota", "period")) or not all(map(str.isdecimal, words)):
        return None
    quota, period = map(int, words)
    return quota / period if period else None


def _groups(mount: Path, own: str) -> list[Path]:
    """This process's group and all above it; within a container only the mount."""
    entry = next(
        (line[3:] for line in own.splitlines() if line.startswith("0::/")), "/"
    )
    inside = Path(entry.lstrip("/"))
    return [mount / inside, *(mount / parent for parent in inside.parents)]


def _read(path: Path) -> str:
    """Its text; empty if it is not there."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
