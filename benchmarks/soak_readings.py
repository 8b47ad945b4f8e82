"""What a process has used and counted: `/proc` and `/metrics`, read from outside."""

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LINE: Final = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME = 11, 12  # of /proc/PID/stat behind the name, proc(5)

Labels = frozenset[tuple[str, str]]


class Counters:
    """One scrape of Prometheus text."""

    def __init__(self, values: Mapping[tuple[str, Labels], float]) -> None:
        self._values = values

    @classmethod
    def of(cls, text: str) -> "Counters":
        """Reads the text; lines that are no sample are passed over."""
        found = {}
        for line in text.splitlines():
            if (match := _LINE.fullmatch(line)) is not None:
                name, labels, value = match.groups()
                key = name, frozenset(_LABEL.findall(labels or ""))
                found[key] = float(value)
        return cls(found)

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of `name` that have these labels."""
        wanted = set(labels.items())
        return sum(
            value
            for (found, has), value in self._values.items()
            if found == name and wanted <= has
        )

    def by(self, name: str, *labels: str) -> dict[str, float]:
        """The samples of `name`, by the values of these labels, joined by `/`."""
        found: dict[str, float] = {}
        for (known, has), value in self._values.items():
            if known == name:
                key = "/".join(dict(has).get(label, "") for label in labels)
                found[key] = found.get(key, 0.0) + value
        return found


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a process.

    Attributes:
        at: Monotonic seconds.
        cpu_s: User and system time of all its threads.
        rss_mb: Resident memory, MiB.
        threads: Of the operating system.
        sockets: Open ones.
    """

    at: float
    cpu_s: float
    rss_mb: float
    threads: int
    sockets: int


def read(pid: int) -> Reading:
    """The present reading of a process of ours."""
    folder = Path(f"/proc/{pid}")
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    pages = int((folder / "statm").read_text().split()[1])
    return Reading(
        at=time.monotonic(),
        cpu_s=(int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS,
        rss_mb=round(pages * _PAGE / (1 << 20), 1),
        threads=len(list((folder / "task").iterdir())),
        sockets=sum(_is_socket(entry) for entry in (folder / "fd").iterdir()),
    )


def _is_socket(entry: Path) -> bool:
    try:
        return str(entry.readlink()).startswith("socket:")
    except OSError:  # closed meanwhile
        return False
