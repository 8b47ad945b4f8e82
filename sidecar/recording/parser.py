"""Lines of a recording to entries; pure, strict: see `sidecar.recording.lines`.

Unknown keys are passed over, so that a later version may add some; unknown kinds, words
and schemas are refused.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar

from sidecar.domain import (
    ActionKind,
    Category,
    LabelScore,
    ModelRef,
    Scores,
    SourceKind,
    Stream,
    UnknownReason,
    VerdictState,
    is_stream_id,
)
from sidecar.recording.entry import Decision, Entry, EntryKind
from sidecar.recording.lines import LEGS, SCHEMA, Session

MAX_LINE: Final = 1 << 20  # characters; a sample has a few hundred
_FARTHEST_S: Final = 1e10
_E = TypeVar("_E", bound=StrEnum)
_Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _ScoredBy:
    """Who gave some scores; a label without a model is the first model's."""

    models: tuple[ModelRef, ...]
    labels: Mapping[str, tuple[Category, str, ModelRef | None]]


@dataclass(slots=True)
class Tally:
    """What was read.

    Attributes:
        files: How many.
        entries: How many.
        lost: Entries that a recorder could not keep, by its own word.
        truncated: Files that end in the middle of a line: their writer was killed.
        interrupted: Files whose writer was stopped before all was done.
        shadow: What shadow policies would have decided, while it was recorded.
    """

    files: int = 0
    entries: int = 0
    lost: int = 0
    truncated: int = 0
    interrupted: int = 0
    shadow: int = 0


class LineFault(ValueError):
    """A line is none of this format; the text says why."""


class Parser:
    """Reads the lines of one file, in order.

    Raises:
        LineFault: By every method, on a line that is none of this format.
    """

    def __init__(self, tally: Tally, session: int = 0, offset_s: float = 0.0) -> None:
        self._tally = tally
        self._session = session
        self._offset_s = offset_s
        self._streams: dict[str, Stream] = {}
        self._by: dict[int, _ScoredBy] = {}
        self._last_at: dict[str, float] = {}

    def take(self, text: str) -> Entry | None:
        """The entry of a line; None if it only introduces something."""
        said = _load(text)
        kind = _text(said, "kind")
        if kind == "stream":
            self._introduce(said)
        elif kind == "by":
            self._learn(said)
        elif kind == "lost":
            self._tally.lost += _whole(said, "entries")
        elif kind == "close":
            self._tally.interrupted += _text(said, "why") == "interrupted"
        else:
            return self._entry(_word(EntryKind, kind, "kind"), said)
        return None

    def _introduce(self, said: _Object) -> None:
        name = _text(said, "stream")
        if not is_stream_id(name):
            raise LineFault(f"{name[:40]!r} is no stream id")
        source = _word(SourceKind, _text(said, "source"), "source")
        labels = _object(said, "labels")
        if not all(isinstance(value, str) for value in labels.values()):
            raise LineFault("'labels' are texts")
        self._streams[name] = Stream(name, source, labels=labels)

    def _learn(self, said: _Object) -> None:
        number = _whole(said, "by")
        models = tuple(
            ModelRef(_text(model, "name"), _text(model, "hash"))
            for model in _objects(said, "models")
        )
        found: dict[str, tuple[Category, str, ModelRef | None]] = {}
        labels = _object(said, "labels")
        for name in labels:
            about = _object(labels, name)
            which = _whole(about, "model")
            if which >= len(models):
                raise LineFault(f"labels.{name[:40]}: there is no model {which}")
            category = _word(Category, name, "labels")
            model = models[which] if which else None
            found[name] = (category, _text(about, "label"), model)
        if not found:
            raise LineFault("'labels' is empty")
        self._by[number] = _ScoredBy(models, found)

    def _entry(self, kind: EntryKind, said: _Object) -> Entry:
        name = _text(said, "stream")
        stream = self._streams.get(name)
        if stream is None:
            raise LineFault(f"stream {name[:40]!r} was not introduced in this file")
        at = self._offset_s + _time(said, "at")
        if at < self._last_at.get(name, -math.inf):
            raise LineFault(f"'at' goes back in time for stream {name!r}")
        self._last_at[name] = at
        verdict = _word(VerdictState, _text(said, "verdict"), "verdict")
        reason = None
        if verdict is VerdictState.UNKNOWN:
            reason = _word(UnknownReason, _text(said, "reason"), "reason")
        self._tally.entries += 1
        shadow = _decisions(said, "shadow")
        self._tally.shadow += len(shadow)
        return Entry(
            kind=kind,
            stream=stream,
            at=at,
            verdict=verdict,
            reason=reason,
            scores=self._scores(said, name) if kind is EntryKind.SAMPLE else None,
            decisions=_decisions(said, "actions"),
            shadow=shadow,
            session=self._session,
        )

    def _scores(self, said: _Object, name: str) -> Scores:
        known = self._by.get(_whole(said, "by"))
        if known is None:
            raise LineFault(f"'by': {said['by']} was not introduced in this file")
        given = _object(said, "scores")
        if given.keys() != known.labels.keys():
            raise LineFault("'scores' are not of the categories that 'by' names")
        by_category: dict[Category, LabelScore] = {}
        for key, (category, label, model) in known.labels.items():
            by_category[category] = LabelScore(_share(given, key), label, model)
        legs = said.get("legs")
        if not isinstance(legs, list) or len(legs) != len(LEGS):
            raise LineFault(f"'legs' are {len(LEGS)} numbers")
        receive, decode, queue, infer = (_time({"legs": s}, "legs") for s in legs)
        since = said.get("unchanged_since")
        if since is not None:
            since = self._offset_s + _time(said, "unchanged_since")
        return Scores(
            name,
            by_category,
            known.models[0],
            self._offset_s + _time(said, "captured_at"),
            receive,
            decode,
            queue,
            infer,
            others=known.models[1:],
            unchanged_since=since,
        )


def parse_head(text: str) -> tuple[Session, int]:
    """The session that a file's first line names, and the file's number in it.

    Raises:
        LineFault: It is no first line, or of a format that is not known here.
    """
    said = _load(text)
    schema = said.get("schema")
    if schema != SCHEMA:
        raise LineFault(
            f"the schema is {str(schema)[:40]!r}, not {SCHEMA!r}: this is no recording,"
            " or one of another version of the sidecar"
        )
    stamp = _text(said, "epoch")
    try:
        epoch = datetime.fromisoformat(stamp)
    except ValueError:
        epoch = datetime.min  # noqa: DTZ901 - without a zone, and so refused
    if epoch.tzinfo is None:
        raise LineFault(f"'epoch' is no UTC time: {stamp[:40]!r}")
    session = Session(
        _text(said, "session"),
        epoch,
        _text(said, "site"),
        _text(said, "sidecar"),
        _text(said, "version"),
    )
    return session, _whole(said, "file")


def _decisions(said: _Object, key: str) -> tuple[Decision, ...]:
    if key not in said:
        return ()
    return tuple(map(_decision, _objects(said, key)))


def _decision(one: _Object) -> Decision:
    category, score = one.get("category"), one.get("score")
    dry_run = one.get("dry_run")
    if not isinstance(dry_run, bool):
        raise LineFault("'dry_run' is true or false")
    return Decision(
        action=_word(ActionKind, _text(one, "action"), "action"),
        rule=_text(one, "rule"),
        policy=_text(one, "policy"),
        policy_hash=_text(one, "hash"),
        category=None if category is None else _word(Category, category, "category"),
        score=None if score is None else _share(one, "score"),
        dry_run=dry_run,
    )


def _load(text: str) -> _Object:
    try:
        said = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise LineFault("nested too deep") from None
    except ValueError as exc:
        raise LineFault(f"not JSON: {exc}") from None
    if not isinstance(said, dict):
        raise LineFault("not a JSON object")
    return said


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _text(said: _Object, key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str):
        raise LineFault(f"{key!r} is missing or no text")
    return value


def _object(said: _Object, key: str) -> dict[str, Any]:
    value = said.get(key)
    if not isinstance(value, dict):
        raise LineFault(f"{key!r} is missing or no object")
    return value


def _objects(said: _Object, key: str) -> list[_Object]:
    listed = said.get(key)
    if not isinstance(listed, list) or not all(isinstance(o, dict) for o in listed):
        raise LineFault(f"{key!r} is missing or no list of objects")
    return listed


def _whole(said: _Object, key: str) -> int:
    value = said.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise LineFault(f"{key!r} is missing or no whole number")
    return value


def _number(said: _Object, key: str) -> float:
    value = said.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise LineFault(f"{key!r} is missing or no number")
    return float(value) if abs(value) < _FARTHEST_S else math.inf


def _time(said: _Object, key: str) -> float:
    value = _number(said, key)
    if not math.isfinite(value):
        raise LineFault(f"{key!r} is out of range")
    return value


def _share(said: _Object, key: str) -> float:
    value = _number(said, key)
    if not 0 <= value <= 1:
        raise LineFault(f"{key!r} is not within 0 and 1")
    return value


def _word(kind: type[_E], value: object, key: str) -> _E:
    try:
        return kind(str(value))
    except ValueError:
        raise LineFault(f"{key!r}: {str(value)[:40]!r} is not known") from None
