"""What this process has used so far, by the operating system's account."""

import asyncio
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_EVERY_S: Final = 0.25  # rarely enough to cost nothing that would show
_STATM: Final = Path("/proc/self/statm")


@dataclass(frozen=True, slots=True)
class Usage:
    """One reading.

    Attributes:
        at: Monotonic seconds.
        cpu_s: User and system time of all threads.
        rss_mb: Resident memory, MiB.
    """

    at: float
    cpu_s: float
    rss_mb: float


def usage() -> Usage:
    """The present reading."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(time.monotonic(), used.ru_utime + used.ru_stime, _rss_mb(used))


def _rss_mb(used: resource.struct_rusage) -> float:
    if not _STATM.exists():
        return used.ru_maxrss / (1 << 20)  # macOS: the peak, in bytes
    pages = int(_STATM.read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


class LoopLag:
    """How late the event loop wakes, looked at four times a second."""

    def __init__(self) -> None:
        self._worst_s = 0.0

    async def run(self) -> None:
        """Watches for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self._worst_s = max(self._worst_s, loop.time() - due)

    def worst_ms(self) -> float:
        """The worst since it was last asked for."""
        worst_s, self._worst_s = self._worst_s, 0.0
        return 1000 * worst_s
