"""Entries to lines of JSON and back; pure. `docs/replay.md` describes the format.

Times are seconds since the session's epoch, rounded to microseconds; scores are rounded
to six decimals, as the classify stage does already.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sidecar.domain import Scores, Stream
from sidecar.recording.entry import Decision, Entry

SCHEMA: Final = "sidecar.recording/1"
DECIMALS: Final = 6
LEGS: Final = ("receive_s", "decode_s", "queue_s", "inference_s")


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a sidecar: its entries share a clock.

    Attributes:
        id: Unique.
        epoch: The wall time of second 0, UTC.
        site: Which site.
        sidecar: Which sidecar.
        version: Of the program.
    """

    id: str
    epoch: datetime
    site: str = "default"
    sidecar: str = "sidecar"
    version: str = ""


class Writer:
    """Makes the lines of one file, which can be read without any other.

    Args:
        session: Whose entries.
        number: Which file of the session, from 1.
    """

    def __init__(self, session: Session, number: int = 1) -> None:
        self._session = session
        self._number = number
        self._streams: dict[str, Stream] = {}
        self._by: dict[str, int] = {}

    def head(self) -> str:
        """The first line."""
        session = self._session
        epoch = session.epoch.astimezone(UTC).isoformat(timespec="microseconds")
        return _dump(
            {
                "schema": SCHEMA,
                "session": session.id,
                "file": self._number,
                "epoch": epoch.replace("+00:00", "Z"),
                "site": session.site,
                "sidecar": session.sidecar,
                "version": session.version,
            }
        )

    def lines(self, entry: Entry) -> Iterator[str]:
        """One line for `entry`, after those that introduce what it refers to."""
        stream = entry.stream
        if self._streams.get(stream.id) != stream:
            self._streams[stream.id] = stream
            yield _dump(
                {
                    "kind": "stream",
                    "stream": stream.id,
                    "source": stream.source,
                    "labels": dict(stream.labels),
                }
            )
        said: dict[str, object] = {
            "kind": entry.kind,
            "stream": stream.id,
            "at": round(entry.at, DECIMALS),
        }
        if entry.scores is not None:
            by, introduced = self._scored_by(entry.scores)
            yield from introduced
            said |= {
                "captured_at": round(entry.scores.captured_at, DECIMALS),
                "by": by,
                "scores": {
                    category: round(min(1.0, max(0.0, label.score)), DECIMALS)
                    for category, label in entry.scores.by_category.items()
                },
                "legs": [round(getattr(entry.scores, leg), DECIMALS) for leg in LEGS],
            }
            if entry.scores.unchanged_since is not None:
                since = round(entry.scores.unchanged_since, DECIMALS)
                said["unchanged_since"] = since
        said["verdict"] = entry.verdict
        if entry.reason is not None:
            said["reason"] = entry.reason
        if entry.decisions:
            said["actions"] = [_decided(one) for one in entry.decisions]
        if entry.shadow:
            said["shadow"] = [_decided(one) for one in entry.shadow]
        yield _dump(said)

    def _scored_by(self, scores: Scores) -> tuple[int, list[str]]:
        """Number of the line that says which label of which model gave each score."""
        given = map(scores.model_of, scores.by_category)
        models = list(dict.fromkeys([*scores.models, *given]))
        about = {
            "models": [{"name": model.name, "hash": model.hash} for model in models],
            "labels": {
                category: {
                    "label": label.label,
                    "model": models.index(scores.model_of(category)),
                }
                for category, label in scores.by_category.items()
            },
        }
        key = _dump(about)
        number = self._by.get(key)
        if number is not None:
            return number, []
        number = self._by[key] = len(self._by)
        return number, [_dump({"kind": "by", "by": number} | about)]


def lost_line(lines: int) -> str:
    """Tells that so many entries before this line are missing."""
    return _dump({"kind": "lost", "entries": lines})


def close_line(why: str) -> str:
    """The last line: `rotated`, `stopped`, or `interrupted` before all was done."""
    return _dump({"kind": "close", "why": why})


def _decided(one: Decision) -> dict[str, object]:
    return {
        "action": one.action,
        "rule": one.rule,
        "policy": one.policy,
        "hash": one.policy_hash,
        "category": one.category,
        "score": None if one.score is None else round(one.score, DECIMALS),
        "dry_run": one.dry_run,
    }


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
