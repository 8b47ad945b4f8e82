"""The live feed: each reader gets what it has not seen, and costs nobody else."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest
from starlette.types import Message

from sidecar.stats import Stats
from sidecar.web import live as module
from sidecar.web.live import LiveFeed, LiveResponse, TooManyReaders
from sidecar.web.table import Row

pytestmark = pytest.mark.anyio


class Source:
    """Rows and actions that a test sets."""

    def __init__(self) -> None:
        self.table = {"a": Row({"kind": "whip"}, {"score": 0.1})}
        self.said: list[dict[str, Any]] = []
        self.asked = 0

    def rows(self) -> Mapping[str, Row]:
        """As set."""
        self.asked += 1
        return dict(self.table)

    def spark(self, stream_id: str) -> Sequence[float]:
        """Two scores."""
        assert stream_id in self.table
        return [0.1, 0.2]

    def actions(self, after: int) -> tuple[int, Sequence[Mapping[str, Any]]]:
        """As set; the version is their number."""
        return len(self.said), self.said[after:]

    def head(self) -> Mapping[str, Any]:
        """How often it was asked."""
        return {"asked": self.asked}

    def score(self, stream_id: str, score: float) -> None:
        """A row changes."""
        self.table[stream_id] = Row({"kind": "whip"}, {"score": score})


def feed_of(source: Source, stats: Stats | None = None) -> LiveFeed:
    """A feed of a process called abc."""
    return LiveFeed(source, stats or Stats(), "abc")


async def heard(events: AsyncGenerator[bytes, None]) -> tuple[str, dict[str, Any]]:
    """The next event's id and data."""
    async with asyncio.timeout(30):
        text = (await anext(events)).decode()
    lines = dict(line.split(": ", 1) for line in text.strip().splitlines())
    assert text.endswith("\n\n")
    assert lines["event"] == "news"
    return lines["id"], json.loads(lines["data"])


async def test_first_everything_then_what_changes() -> None:
    """Rows whole with their past, later only their news; actions once."""
    source = Source()
    source.said = [{"id": "x"}]
    feed = feed_of(source)
    events = feed.events(None)
    _, first = await heard(events)
    assert first["full"] is True
    assert first["rows"] == [
        {"id": "a", "kind": "whip", "score": 0.1, "spark": [0.1, 0.2]}
    ]
    assert first["actions"] == [{"id": "x"}]
    source.score("a", 0.9)
    source.score("b", 0.5)
    source.said.append({"id": "y"})
    feed.turn()
    _, second = await heard(events)
    assert second["full"] is False
    assert {"id": "a", "score": 0.9} in second["rows"]
    assert len(second["rows"]) == 2
    assert second["actions"] == [{"id": "y"}]
    del source.table["a"]
    feed.turn()
    assert (await heard(events))[1]["gone"] == ["a"]
    await events.aclose()


async def test_a_reader_resumes_where_it_was() -> None:
    """By the last event's id; of another process, or nonsense: everything anew."""
    source = Source()
    feed = feed_of(source)
    events, other = feed.events(None), feed.events(None)
    at, _ = await heard(events)
    await heard(other)
    await events.aclose()
    source.score("b", 0.5)
    feed.turn()
    again = feed.events(at)
    _, missed = await heard(again)
    assert missed["full"] is False
    assert [row["id"] for row in missed["rows"]] == ["b"]
    await again.aclose()
    for last in ("def-1-0", "abc-99-0", "nonsense", "abc-1"):
        fresh = feed.events(last)
        assert (await heard(fresh))[1]["full"] is True
        await fresh.aclose()
    await other.aclose()


async def test_a_slow_reader_loses_its_own_turns_only() -> None:
    """It gets the newest in one message; what it skipped is counted."""
    stats, source = Stats(), Source()
    feed = feed_of(source, stats)
    slow, quick = feed.events(None), feed.events(None)
    await heard(slow)
    await heard(quick)
    for number in range(5):
        source.score("a", number / 10)
        feed.turn()
        assert (await heard(quick))[1]["rows"] == [{"id": "a", "score": number / 10}]
    assert (await heard(slow))[1]["rows"] == [{"id": "a", "score": 0.4}]
    lost = {"stage": "web", "reason": "slow_reader"}
    assert stats.registry.get_sample_value("sidecar_lost_total", lost) == 4
    await slow.aclose()
    await quick.aclose()


async def test_readers_side_by_side_share_the_work() -> None:
    """A message is made once for all who stand at the same place."""
    source = Source()
    feed = feed_of(source)
    readers = [feed.events(None) for _ in range(3)]
    for reader in readers:
        await heard(reader)
    source.score("a", 0.7)
    feed.turn()
    for reader in readers:
        await heard(reader)
    assert len(feed._messages) == 1
    for reader in readers:
        await reader.aclose()


async def test_nobody_reading_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns happen while somebody reads, and not otherwise."""
    monkeypatch.setattr(module, "TURN_S", 0.001)
    source = Source()
    feed = feed_of(source)
    async with asyncio.TaskGroup() as group:
        turning = group.create_task(feed.run())
        for _ in range(10):
            await asyncio.sleep(0.001)
        assert source.asked == 0
        events = feed.events(None)
        await heard(events)
        await heard(events)
        await events.aclose()
        turning.cancel()
    assert source.asked >= 2


async def test_the_number_of_readers_is_bounded() -> None:
    """One more is refused; who leaves makes room, and is not counted any more."""
    stats = Stats()
    feed = feed_of(Source(), stats)
    readers = [feed.events(None) for _ in range(module.MOST_READERS)]
    for reader in readers:
        await heard(reader)
    assert stats.registry.get_sample_value("sidecar_page_readers") == len(readers)
    with pytest.raises(TooManyReaders):
        feed.check()
    await readers[0].aclose()
    feed.check()
    for reader in readers:
        await reader.aclose()
    assert stats.registry.get_sample_value("sidecar_page_readers") == 0


async def test_the_stop_ends_every_feed() -> None:
    """So that the listener need not wait for open pages."""
    feed = feed_of(Source())
    events, other = feed.events(None), feed.events(None)
    await heard(events)
    await heard(other)
    feed.close()
    for reader in (events, other):
        assert [event async for event in reader] == []


async def test_a_reader_that_takes_nothing_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its response ends after a while, and it is no reader any more."""
    monkeypatch.setattr(module, "STALL_S", 0.01)
    stats = Stats()
    feed = feed_of(Source(), stats)
    sent: list[Message] = []
    stalls = True

    async def send(message: Message) -> None:
        nonlocal stalls
        sent.append(message)
        if message["type"] == "http.response.body" and stalls:
            stalls = False
            await asyncio.sleep(30)

    response = LiveResponse(feed.events(None))
    await response.stream_response(send)
    assert dict(sent[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
    assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
    assert len(sent) == 3
    assert stats.registry.get_sample_value("sidecar_page_readers") == 0
