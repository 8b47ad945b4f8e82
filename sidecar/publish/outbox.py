"""Durable: actions that are due, in SQLite, each kept until it is delivered.

On disk before the first publish (WAL, synchronous FULL). Order is kept per stream; a
message the broker refuses steps aside for later ones, except for a reversal.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sidecar.domain import ActionKind
from sidecar.errors import OutboxFull
from sidecar.publish.entry import Depth, Entry, Expired, Pending, entry_of
from sidecar.publish.outbox_file import open_file, translated

NEVER: Final = 1e18

_DUE: Final = """
SELECT o.id, o.stream, o.action, o.topic, o.payload, o.properties,
       o.expires_at, o.require_enforced, o.delivered_at IS NOT NULL,
       coalesce(a.tries, 0)
FROM outbox AS o LEFT JOIN temp.attempt AS a ON a.id = o.id
WHERE coalesce(a.next_at, 0) <= :now AND o.expires_at > :now AND NOT EXISTS (
  SELECT 1 FROM outbox AS e LEFT JOIN temp.attempt AS b ON b.id = e.id
  WHERE e.stream = o.stream AND e.seq < o.seq AND e.delivered_at IS NULL
    AND (coalesce(b.refused, 0) = 0 OR o.action = :reversal)
)
ORDER BY o.seq LIMIT :limit
"""


class Outbox:
    """The file. Not thread-safe: one thread opens, uses and closes it.

    Args:
        path: Its place; the directory is made, both are for the owner only.
        max_rows: More than so many raise OutboxFull.

    Raises:
        ConfigError: if the file is damaged, newer, in use, or out of reach.
    """

    def __init__(self, path: Path, max_rows: int = 10_000) -> None:
        self.path = path
        self.max_rows = max_rows
        self._db = open_file(path)

    def put(self, entry: Entry, now: float) -> Depth:
        """Puts `entry` on disk. When this returns it survives a crash.

        Raises:
            OutboxFull: nothing was put.
            PublishError: the disk is full or failing; nothing was put.
        """
        properties = json.dumps({"response": entry.response_topic, "user": entry.user})
        with self._change(durable=True):
            depth = self.depth()
            if depth.undelivered + depth.awaiting >= self.max_rows:
                raise OutboxFull(f"outbox {self.path}: {self.max_rows} actions are due")
            self._db.execute(
                "INSERT INTO outbox (id, stream, action, topic, payload, properties,"
                " created_at, expires_at, require_enforced)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(entry.id, entry.stream, entry.action, entry.topic),
                    *(entry.payload, properties, now, entry.expires_at),
                    int(entry.require_enforced),
                ),
            )
        return self.depth()

    def claim(self, now: float, limit: int) -> list[Entry]:
        """Up to `limit` due actions, first in first; not given again before `retry`."""
        with self._change():
            rows = self._db.execute(
                _DUE,
                {
                    "now": now,
                    "limit": limit,
                    "reversal": ActionKind.REVERSE_TAKEDOWN.value,
                },
            ).fetchall()
            entries = [entry_of(row) for row in rows]
            self._db.executemany(
                "INSERT INTO temp.attempt (id, next_at, tries) VALUES (?, ?, 1)"
                " ON CONFLICT (id) DO UPDATE SET next_at = excluded.next_at,"
                " tries = tries + 1",
                [(e.id, NEVER) for e in entries],
            )
        return entries

    def retry(self, due_at: Mapping[str, float]) -> None:
        """Claimed but not delivered: each is due again at its time."""
        with self._change():
            for action_id, next_at in due_at.items():
                self._schedule((action_id,), next_at, refused=False)

    def refused(self, action_id: str, next_at: float) -> None:
        """The broker said no: due again at `next_at`, and others may pass it."""
        with self._change():
            self._schedule((action_id,), next_at, refused=True)

    def delivered(self, action_id: str, now: float, next_at: float) -> None:
        """The broker has it: removed, or kept until enforced and resent at `next_at`.

        What this action overtakes is put to rest: a refused reversal before a takedown
        expires, a takedown before a reversal is not sent again.
        """
        with self._change():
            row = self._db.execute(
                "SELECT stream, seq, action, require_enforced FROM outbox WHERE id = ?",
                (action_id,),
            ).fetchone()
            if row is None:
                return
            stream, seq, action, require_enforced = row
            self._overtake(str(stream), int(seq), str(action), now)
            if require_enforced:
                self._db.execute(
                    "UPDATE outbox SET delivered_at = coalesce(delivered_at, ?)"
                    " WHERE id = ?",
                    (now, action_id),
                )
                self._schedule((action_id,), next_at, refused=False)
            else:
                self._remove(action_id)

    def enforced(self, action_id: str) -> bool:
        """An enforcer did it: removed. Whether it was still here."""
        with self._change():
            return self._remove(action_id)

    def expire(self, now: float) -> list[Expired]:
        """Removes what ran out of time; each is cause for an alarm."""
        with self._change():
            rows = self._db.execute(
                "SELECT id, stream, action, delivered_at IS NOT NULL FROM outbox"
                " WHERE expires_at <= ?",
                (now,),
            ).fetchall()
            for row in rows:
                self._remove(str(row[0]))
        return [Expired(str(r[0]), str(r[1]), str(r[2]), bool(r[3])) for r in rows]

    def depth(self) -> Depth:
        """How much is in it."""
        with translated(self.path):
            row = self._db.execute(
                "SELECT count(*) FILTER (WHERE delivered_at IS NULL),"
                " count(delivered_at), min(created_at) FILTER (WHERE"
                " delivered_at IS NULL) FROM outbox"
            ).fetchone()
        return Depth(int(row[0]), int(row[1]), row[2])

    def pending(self, limit: int) -> list[Pending]:
        """The oldest `limit` actions that are still here."""
        with translated(self.path):
            rows = self._db.execute(
                "SELECT o.id, o.action, o.stream, o.created_at, coalesce(a.tries, 0)"
                " FROM outbox AS o LEFT JOIN temp.attempt AS a ON a.id = o.id"
                " ORDER BY o.seq LIMIT ?",
                (limit,),
            ).fetchall()
        return [Pending(*row) for row in rows]

    def messages(self, limit: int) -> list[tuple[str, bytes, bool, bool]]:
        """The newest `limit` actions that are still here, oldest first.

        Of each its id, payload, whether it waits for `enforced`, and is delivered.
        """
        with translated(self.path):
            rows = self._db.execute(
                "SELECT id, payload, require_enforced, delivered_at IS NOT NULL"
                " FROM outbox ORDER BY seq DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [(str(i), bytes(p), bool(e), bool(d)) for i, p, e, d in reversed(rows)]

    def shown(self) -> set[str]:
        """Topics of retained verdicts that the broker may hold."""
        with translated(self.path):
            rows = self._db.execute("SELECT topic FROM shown").fetchall()
        return {str(topic) for (topic,) in rows}

    def show(self, new: set[str], gone: set[str]) -> None:
        """Adds `new` topics to those shown, and takes away those that are `gone`."""
        with self._change():
            self._db.executemany(
                "INSERT OR IGNORE INTO shown VALUES (?)", [(topic,) for topic in new]
            )
            self._db.executemany(
                "DELETE FROM shown WHERE topic = ?", [(topic,) for topic in gone]
            )

    def probe(self) -> None:
        """Tries the disk with a row that is gone again. Raises PublishError."""
        with self._change(durable=True):
            self._db.execute(
                "INSERT INTO outbox (id, stream, action, topic, payload, properties,"
                " created_at, expires_at, require_enforced)"
                " VALUES ('', '', '', '', zeroblob(8192), '', 0, 0, 0)"
            )
            self._db.execute("DELETE FROM outbox WHERE id = ''")

    def close(self) -> None:
        """Lets go of the file."""
        self._db.close()

    def _schedule(self, ids: Iterable[str], next_at: float, *, refused: bool) -> None:
        self._db.executemany(
            "INSERT INTO temp.attempt (id, next_at, refused) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET next_at = excluded.next_at,"
            " refused = max(refused, excluded.refused)",
            [(one, next_at, int(refused)) for one in ids],
        )

    def _overtake(self, stream: str, seq: int, action: str, now: float) -> None:
        if action == ActionKind.TAKEDOWN:
            self._db.execute(
                "UPDATE outbox SET expires_at = min(expires_at, ?)"
                " WHERE stream = ? AND seq < ? AND action = ?",
                (now, stream, seq, ActionKind.REVERSE_TAKEDOWN.value),
            )
        elif action == ActionKind.REVERSE_TAKEDOWN:
            earlier = self._db.execute(
                "SELECT id FROM outbox WHERE stream = ? AND seq < ?", (stream, seq)
            ).fetchall()
            self._schedule((str(row[0]) for row in earlier), NEVER, refused=False)

    def _remove(self, action_id: str) -> bool:
        self._db.execute("DELETE FROM temp.attempt WHERE id = ?", (action_id,))
        done = self._db.execute("DELETE FROM outbox WHERE id = ?", (action_id,))
        return done.rowcount > 0

    @contextmanager
    def _change(self, *, durable: bool = False) -> Iterator[None]:
        # NORMAL still keeps the file whole; a lost removal is a repeat of the same id.
        level = "FULL" if durable else "NORMAL"
        with translated(self.path):
            self._db.execute(f"PRAGMA synchronous = {level}")
            self._db.execute("BEGIN")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
