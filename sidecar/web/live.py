"""The live feed: server-sent events that cost a reader's share and no more.

Nothing is queued for anybody. A reader has a cursor, and when it is ready gets all that
has changed since: one that is slow gets fewer, larger messages, and what it skipped is
counted. A cursor goes out as the event's id and comes back as Last-Event-ID.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from starlette.responses import StreamingResponse
from starlette.types import Send

from sidecar.log import get_logger
from sidecar.stats import Stats
from sidecar.web.problems import ControlError
from sidecar.web.table import Row, RowTable

log = get_logger(__name__)

TURN_S: Final = 1.0
STALL_S: Final = 20.0
MOST_READERS: Final = 32
_ID: Final = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,15})-([0-9]{1,15})")
_NUMBERS: Final = {"ensure_ascii": True, "separators": (",", ":"), "allow_nan": False}


class TooManyReaders(ControlError):
    """No more pages can be kept up to date."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "too_many_readers"


class LiveSource(Protocol):
    """Where the feed takes its news from, once a turn."""

    def rows(self) -> Mapping[str, Row]:
        """All streams."""
        ...

    def spark(self, stream_id: str) -> Sequence[float]:
        """One stream's last scores, for whoever sees it for the first time."""
        ...

    def actions(self, after: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
        """The version of the actions, and those that changed after `after`."""
        ...

    def head(self) -> Mapping[str, Any]:
        """What is said of the whole: time, health, versions."""
        ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has seen: the table's turn and the actions' version."""

    turn: int
    actions: int


class LiveFeed:
    """Turns once a second while somebody reads.

    Args:
        source: The news.
        stats: Counts readers, and turns that a slow one skipped.
        epoch: Differs in each process, hexadecimal: cursors of another are void.
    """

    def __init__(self, source: LiveSource, stats: Stats, epoch: str) -> None:
        self._source = source
        self._stats = stats
        self._epoch = epoch
        self._table = RowTable()
        self._actions = 0
        self._head: Mapping[str, Any] = {}
        self._messages: dict[Cursor | None, bytes] = {}
        self._turned = asyncio.Event()
        self._readers = 0
        self._closed = False

    async def run(self) -> None:
        """Turns for ever; costs nothing while nobody reads."""
        while True:
            await asyncio.sleep(TURN_S)
            if self._readers:
                self.turn()

    def turn(self) -> None:
        """Looks at everything anew and wakes the readers."""
        self._table.update(self._source.rows())
        self._actions, _ = self._source.actions(self._actions)
        self._head = self._source.head()
        self._messages.clear()
        self._turned.set()
        self._turned = asyncio.Event()

    def close(self) -> None:
        """Ends every reader's feed, so that the listener can stop."""
        self._closed = True
        self._turned.set()

    def check(self) -> None:
        """Raises TooManyReaders if one more would be one too many."""
        if self._readers >= MOST_READERS:
            raise TooManyReaders(f"{MOST_READERS} pages are open, which is the limit")

    async def events(self, last: str | None) -> AsyncGenerator[bytes, None]:
        """Messages for a reader whose last event was `last`, for ever."""
        self._readers += 1
        self._stats.page_readers.set(self._readers)
        if self._readers == 1:
            self.turn()
        cursor = self._cursor(last)
        try:
            while not self._closed:
                message, cursor = self._message(cursor), self._now
                yield message
                self._skipped(cursor)
                if self._table.turn == cursor.turn and not self._closed:
                    await self._turned.wait()
        finally:
            self._readers -= 1
            self._stats.page_readers.set(self._readers)

    @property
    def _now(self) -> Cursor:
        return Cursor(self._table.turn, self._actions)

    def _skipped(self, cursor: Cursor) -> None:
        """What came while the last message was on its way, but for the newest."""
        skipped = self._table.turn - cursor.turn - 1
        if skipped > 0:
            self._stats.lost.labels("web", "slow_reader").inc(skipped)

    def _cursor(self, last: str | None) -> Cursor | None:
        found = _ID.fullmatch(last or "")
        if found is None or found[1] != self._epoch:
            return None
        return Cursor(int(found[2]), int(found[3]))

    def _message(self, cursor: Cursor | None) -> bytes:
        """What has changed since `cursor`; made once for all who stand there."""
        known = self._messages.get(cursor)
        if known is None:
            known = self._messages[cursor] = self._made(cursor)
        return known

    def _made(self, cursor: Cursor | None) -> bytes:
        table = self._table
        changes = table.since(None if cursor is None else cursor.turn)
        after = 0 if cursor is None or changes.full else cursor.actions
        fresh = [self._whole(key, table[key]) for key in changes.fresh]
        changed = [{"id": key, **table[key].news} for key in changes.changed]
        data = {
            "full": changes.full,
            "rows": fresh + changed,
            "gone": changes.gone,
            "actions": self._source.actions(after)[1],
            "head": self._head,
        }
        now = self._now
        text = json.dumps(data, **_NUMBERS)  # type: ignore[arg-type] # as named
        return (
            f"id: {self._epoch}-{now.turn}-{now.actions}\nevent: news\ndata: {text}\n\n"
        ).encode("ascii")

    def _whole(self, key: str, row: Row) -> dict[str, Any]:
        spark = self._source.spark(key)
        return {"id": key, **row.lasting, **row.news, "spark": spark}


class LiveResponse(StreamingResponse):
    """Ends when a reader has not taken a message for 20 s."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events)
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """Sends the head and each message, with a deadline for each."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        try:
            async with aclosing(self._events) as events:
                await self._send(events, send)
        except TimeoutError:
            log.warning("page_stalled", after_s=STALL_S)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, events: AsyncGenerator[bytes, None], send: Send) -> None:
        async for chunk in events:
            async with asyncio.timeout(STALL_S):
                await send(
                    {"type": "http.response.body", "body": chunk, "more_body": True}
                )
