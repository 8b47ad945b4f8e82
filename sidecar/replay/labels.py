"""What people say was there: spans of streams by category, from a CSV file."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sidecar.domain import Category, is_stream_id
from sidecar.errors import ConfigError

COLUMNS: Final = ("stream", "start", "end", "category")
_MOST_BYTES: Final = 64 << 20
_FARTHEST_S: Final = 1e10


@dataclass(frozen=True, slots=True)
class Label:
    """A span of a stream in which something was there; `safe`: it was looked through.

    Attributes:
        stream: Whose id.
        start: Seconds on the recording's clock.
        end: Likewise, after `start`.
        category: What.
    """

    stream: str
    start: float
    end: float
    category: Category


def read_labels(path: Path, epoch: datetime) -> list[Label]:
    """The labels of a file with the columns stream, start, end, category.

    Instants are seconds since `epoch`, or UTC times (RFC 3339).

    Raises:
        ConfigError: With file and line, all faults at once.
    """
    try:
        raw = path.read_bytes()[: _MOST_BYTES + 1]
        text = raw.decode("utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"--labels {path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"--labels {path}: not UTF-8 text") from exc
    if len(raw) > _MOST_BYTES:
        raise ConfigError(f"--labels {path}: larger than {_MOST_BYTES} bytes; split it")
    return parse_labels(str(path), text, epoch)


def parse_labels(name: str, text: str, epoch: datetime) -> list[Label]:
    """As `read_labels`, of a text; `name` is told in faults."""
    rows = csv.reader(io.StringIO(text, newline=""))
    found: list[Label] = []
    faults: list[str] = []
    try:
        head = [cell.strip() for cell in next(rows, [])]
        if head != list(COLUMNS):
            raise ConfigError(f"{name}:1: the first line has to be {','.join(COLUMNS)}")
        for row in rows:
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            try:
                found.append(_label([cell.strip() for cell in row], epoch))
            except ValueError as exc:
                faults.append(f"{name}:{rows.line_num}: {exc}")
    except csv.Error as exc:
        faults.append(f"{name}:{rows.line_num}: not CSV: {exc}")
    if faults:
        raise ConfigError(*faults)
    return found


def _label(row: Sequence[str], epoch: datetime) -> Label:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} columns instead of {len(COLUMNS)}")
    stream, start, end, word = row
    if not is_stream_id(stream):
        raise ValueError(f"{stream[:40]!r} is no stream id")
    try:
        category = Category(word)
    except ValueError:
        known = ", ".join(Category)
        raise ValueError(f"category {word[:40]!r} is not known; use {known}") from None
    label = Label(stream, _instant(start, epoch), _instant(end, epoch), category)
    if not label.start < label.end:
        raise ValueError(f"the end {end[:40]!r} is not after the start {start[:40]!r}")
    return label


def _instant(text: str, epoch: datetime) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return _wall(text, epoch)
    if not (math.isfinite(seconds) and abs(seconds) < _FARTHEST_S):
        raise ValueError(f"{text[:40]!r} is no number of seconds")
    return seconds


def _wall(text: str, epoch: datetime) -> float:
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        wall = None
    if wall is None or wall.tzinfo is None:
        raise ValueError(
            f"{text[:40]!r} is neither a number of seconds nor a UTC time such as "
            "2026-11-27T10:00:00Z"
        )
    return (wall - epoch).total_seconds()


@dataclass(frozen=True, slots=True)
class Episode:
    """A span in which a category was there, overlapping labels made one."""

    stream: str
    start: float
    end: float
    category: Category


def episodes(labels: Iterable[Label]) -> list[Episode]:
    """The spans of everything but `safe`, by stream, category and time."""
    return list(
        _merged(label for label in labels if label.category is not Category.SAFE)
    )


def _merged(labels: Iterable[Label]) -> Iterator[Episode]:
    last: Episode | None = None
    for one in sorted(labels, key=lambda one: (one.stream, one.category, one.start)):
        same = last is not None and (last.stream, last.category) == (
            one.stream,
            one.category,
        )
        if last is not None and same and one.start <= last.end:
            end = max(last.end, one.end)
            last = Episode(last.stream, last.start, end, last.category)
            continue
        if last is not None:
            yield last
        last = Episode(one.stream, one.start, one.end, one.category)
    if last is not None:
        yield last
