"""Pure: entries chained by SHA-256, so that none can be changed or left out unseen.

Each entry is one line of canonical JSON (sorted keys, no blanks, ASCII) and carries the
hash of the one before it; its own is SHA-256 of the line without its `hash`. Whoever
can write the file can write a whole new chain: compare its head with one that was
noted elsewhere.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

START: Final = "0" * 64
MAX_LINE: Final = 64 * 1024

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = frozenset(
    {"seq", "at", "actor", "role", "act", "about", "detail", "prev", "hash"}
)
_TEXTS: Final = ("at", "actor", "role", "act", "about", "prev", "hash")


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did, before it is in the chain.

    Attributes:
        actor: The name of the token that was used, or of the part that acted.
        role: `operator`, `observer`, `local` (no token is configured) or `sidecar`.
        act: A word out of a closed set, for instance `policy.apply`.
        about: A stream, an action or a version; empty if none.
        detail: Plain JSON values; never a secret, a picture or an address.
    """

    actor: str
    role: str
    act: str
    about: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    seq: int
    at: str
    deed: Deed
    prev: str
    hash: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found in a chain.

    Attributes:
        entries: How many hold, from the first on.
        head: The hash of the last of them.
        fault: Why the next one does not; None if all hold.
    """

    entries: int
    head: str
    fault: str | None = None


def chained(deed: Deed, at: str, seq: int, prev: str) -> Entry:
    """`deed` as the entry after the one whose hash is `prev`."""
    return Entry(seq, at, deed, prev, _hash(_body(deed, at, seq, prev)))


def to_line(entry: Entry) -> bytes:
    """The entry's line, with its end."""
    body = _body(entry.deed, entry.at, entry.seq, entry.prev)
    return _canonical({**body, "hash": entry.hash}) + b"\n"


def from_line(line: bytes) -> Entry:
    """The entry of a line; its hash is checked, its place in the chain is not.

    Raises:
        ValueError: It is not a line that `to_line` could have made.
    """
    if len(line) > MAX_LINE:
        raise ValueError(f"longer than {MAX_LINE} bytes")
    if not line.endswith(b"\n"):
        raise ValueError("has no end; it was torn")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(value, dict) or value.keys() != _KEYS or not _has_types(value):
        raise ValueError("has other keys or types than an entry")
    deed = Deed(*(value[key] for key in ("actor", "role", "act", "about", "detail")))
    entry = Entry(value["seq"], value["at"], deed, value["prev"], value["hash"])
    if to_line(entry) != line:
        raise ValueError("is not in canonical form")
    body = _body(deed, entry.at, entry.seq, entry.prev)
    if not hmac.compare_digest(_hash(body), entry.hash):
        raise ValueError("does not have the hash it says: it was changed")
    return entry


def verify(lines: Iterable[bytes]) -> Verified:
    """Follows the chain from its start; any bytes give an answer."""
    count, head = 0, START
    for number, line in enumerate(lines, start=1):
        try:
            entry = from_line(line)
        except ValueError as exc:
            return Verified(count, head, f"line {number} {exc}")
        if entry.seq != number:
            return Verified(count, head, f"line {number} has number {entry.seq}")
        if entry.prev != head:
            return Verified(count, head, f"line {number} does not follow the one above")
        count, head = number, entry.hash
    return Verified(count, head)


def is_hash(text: str) -> bool:
    """Whether `text` can be an entry's hash."""
    return _HASH.fullmatch(text) is not None


def _has_types(value: Mapping[str, Any]) -> bool:
    return (
        type(value["seq"]) is int
        and isinstance(value["detail"], dict)
        and all(isinstance(value[key], str) for key in _TEXTS)
    )


def _body(deed: Deed, at: str, seq: int, prev: str) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": at,
        "actor": deed.actor,
        "role": deed.role,
        "act": deed.act,
        "about": deed.about,
        "detail": dict(deed.detail),
        "prev": prev,
    }


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()
