"""What came of a replay: for each stream what was seen and decided; pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.decide.policyset import PolicySet
from sidecar.domain import ModelRef, Stream, UnknownReason, VerdictState
from sidecar.recording.column_log import ColumnLog
from sidecar.recording.diff import Difference
from sidecar.recording.entry import Entry, EntryKind
from sidecar.recording.whatif import Fired

SCHEMA: Final = "sidecar.replay/1"
_DECIMALS: Final = 6


@dataclass(frozen=True, slots=True)
class Change:
    """A verdict from `at` on."""

    at: float
    verdict: VerdictState
    reason: UnknownReason | None


@dataclass(slots=True)
class StreamOutcome:
    """One stream.

    Attributes:
        stream: Which.
        began_at: The first thing that is known of it, seconds.
        ended_at: The last.
        samples: How many were classified.
        unseen_s: How long its verdict was UNKNOWN.
        actions: What was decided.
        verdicts: Each change of its verdict.
        legs: For each sample an action was decided on: its legs, seconds.
    """

    stream: Stream
    began_at: float
    ended_at: float
    samples: int = 0
    unseen_s: float = 0.0
    actions: list[Fired] = field(default_factory=list)
    verdicts: list[Change] = field(default_factory=list)
    legs: dict[float, dict[str, float]] = field(default_factory=dict)
    away_s: float = 0.0  # between its sessions: not watched, so neither seen nor unseen

    @property
    def watched_s(self) -> float:
        """For how long it was watched."""
        return max(0.0, self.ended_at - self.began_at - self.away_s)


class Outcome:
    """Collects entries, in the order of each stream's time.

    Attributes:
        streams: By id, in the order they appeared.
        columns: All samples, for what needs them.
        partial: Whether the replay was stopped before its end.
    """

    def __init__(self, policies: PolicySet, models: Sequence[ModelRef] = ()) -> None:
        self.policies = policies
        self.models = list(models)
        self.streams: dict[str, StreamOutcome] = {}
        self.log = ColumnLog()
        self.partial = False
        self.lost = 0
        self.shadow = 0  # of the recording: what nobody was sent
        self._gone_at: dict[str, float] = {}

    def add(self, entry: Entry) -> None:
        """Takes one entry."""
        self.log.add(entry)
        found = self.streams.get(entry.stream.id)
        if found is None:
            found = StreamOutcome(entry.stream, entry.at, entry.at)
            self.streams[entry.stream.id] = found
        if entry.kind is EntryKind.BEGAN:
            found.away_s += entry.at - self._gone_at.pop(entry.stream.id, entry.at)
        elif entry.stream.id not in self._gone_at and _unseen(found):
            found.unseen_s += entry.at - found.ended_at
        found.ended_at = entry.at
        if entry.kind is EntryKind.ENDED:
            self._gone_at[entry.stream.id] = entry.at
        self._decided(found, entry)

    def _decided(self, found: StreamOutcome, entry: Entry) -> None:
        change = Change(entry.at, entry.verdict, entry.reason)
        last = found.verdicts[-1] if found.verdicts else None
        if last is None or (last.verdict, last.reason) != (entry.verdict, entry.reason):
            found.verdicts.append(change)
        scores = entry.scores
        if scores is not None:
            found.samples += 1
            self.models += [m for m in scores.models if m not in self.models]
        for one in entry.decisions:
            found.actions.append(
                Fired(
                    stream=entry.stream.id,
                    at=entry.at,
                    action=one.action,
                    rule=one.rule,
                    policy=one.policy,
                    category=one.category,
                    score=one.score,
                    captured_at=None if scores is None else scores.captured_at,
                    dry_run=one.dry_run,
                )
            )
            if scores is not None:
                found.legs[entry.at] = {
                    "receive": scores.receive_s,
                    "decode": scores.decode_s,
                    "queue": scores.queue_s,
                    "inference": scores.inference_s,
                }

    def as_json(self) -> dict[str, Any]:
        """For machines; equal, byte for byte, on every run."""
        streams = self.streams.values()
        return {
            "schema": SCHEMA,
            "partial": self.partial,
            "lost_entries": self.lost,
            "recorded_shadow_actions": self.shadow,
            "policies": [
                {"name": policy.name, "hash": policy.hash}
                for policy in self.policies.policies
            ],
            "models": [{"name": m.name, "hash": m.hash} for m in self.models],
            "streams": [_stream_json(found) for found in streams],
            "totals": {
                "streams": len(self.streams),
                "samples": sum(found.samples for found in streams),
                "watched_s": _round(sum(found.watched_s for found in streams)),
                "unseen_s": _round(sum(found.unseen_s for found in streams)),
                "actions": sum(len(found.actions) for found in streams),
            },
        }


def _unseen(found: StreamOutcome) -> bool:
    return bool(found.verdicts) and found.verdicts[-1].verdict is VerdictState.UNKNOWN


def _stream_json(found: StreamOutcome) -> dict[str, Any]:
    return {
        "stream": found.stream.id,
        "began_at": _round(found.began_at),
        "watched_s": _round(found.watched_s),
        "unseen_s": _round(found.unseen_s),
        "samples": found.samples,
        "actions": [fired_json(one) for one in found.actions],
        "verdicts": [
            {
                "at": _round(change.at),
                "verdict": change.verdict,
                "reason": change.reason,
            }
            for change in found.verdicts
        ],
    }


def fired_json(one: Fired) -> dict[str, Any]:
    """An action, for machines."""
    return {
        "stream": one.stream,
        "at": _round(one.at),
        "action": one.action,
        "category": one.category,
        "score": None if one.score is None else _round(one.score),
        "captured_at": None if one.captured_at is None else _round(one.captured_at),
        "rule": one.rule,
        "policy": one.policy,
        "dry_run": one.dry_run,
    }


def _round(value: float) -> float:
    return round(value, _DECIMALS)


def difference_json(found: Difference, *, partial: bool) -> dict[str, Any]:
    """What another policy changes, for machines."""
    return {
        "schema": "sidecar.replay.diff/1",
        "partial": partial,
        "added": [fired_json(one) for one in found.added],
        "removed": [fired_json(one) for one in found.removed],
        "moved": [
            {
                "old": fired_json(moved.old),
                "new": fired_json(moved.new),
                "by_s": _round(moved.by_s),
            }
            for moved in found.moved
        ],
        "same": found.same,
    }
