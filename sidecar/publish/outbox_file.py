"""The outbox's file: made private, opened for one process, checked; its tables."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sidecar.errors import ConfigError, PublishError

_CREATE: Final = """
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  stream TEXT NOT NULL,
  action TEXT NOT NULL,
  topic TEXT NOT NULL,
  payload BLOB NOT NULL,
  properties TEXT NOT NULL,
  created_at REAL NOT NULL,
  expires_at REAL NOT NULL,
  require_enforced INTEGER NOT NULL,
  delivered_at REAL
);
CREATE INDEX outbox_stream ON outbox (stream, seq);
"""
# Topics of retained verdicts on the broker: a process that is killed empties none.
_SHOWN: Final = "CREATE TABLE shown (topic TEXT PRIMARY KEY) WITHOUT ROWID;"
_STEPS: Final = (_CREATE, _SHOWN)  # from each schema version to the next
SCHEMA_VERSION: Final = len(_STEPS)

# Attempts live in memory: a restart tries everything at once, and a full disk does not
# keep what is already in the file from being sent.
_ATTEMPTS: Final = """
CREATE TEMP TABLE attempt (
  id TEXT PRIMARY KEY,
  next_at REAL NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  refused INTEGER NOT NULL DEFAULT 0
);
"""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as PublishError."""
    try:
        yield
    except sqlite3.Error as exc:
        raise PublishError(f"outbox {path}: {exc}") from exc


def open_file(path: Path) -> sqlite3.Connection:
    """The checked, private, exclusively locked file. Raises ConfigError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    except (OSError, sqlite3.Error) as exc:
        raise ConfigError(
            f"outbox {path}: {exc}; name a place that the sidecar may write to"
        ) from exc
    try:
        _prepare(db, path)
    except sqlite3.OperationalError as exc:
        db.close()
        raise ConfigError(
            f"outbox {path}: {exc}; is another sidecar using it? Give each its own"
        ) from exc
    except sqlite3.DatabaseError as exc:
        db.close()
        raise ConfigError(
            f"outbox {path}: {exc}; it is damaged and may hold undelivered takedowns:"
            " keep a copy, then move it aside"
        ) from exc
    except ConfigError:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA temp_store = MEMORY")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version > SCHEMA_VERSION or (version == 0 and tables):
        raise ConfigError(
            f"outbox {path}: it is of another program or a newer version"
            f" (schema {version}); name another file"
        )
    for (verdict,) in db.execute("PRAGMA quick_check"):
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    for number, step in enumerate(_STEPS[version:], version + 1):
        db.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")
    db.executescript(_ATTEMPTS)
