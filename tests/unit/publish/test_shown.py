"""Verdict topics on disk: before the broker holds them, and until it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from sidecar.clock import ManualClock
from sidecar.errors import PublishError
from sidecar.publish.message import Kind, Message, emptied
from sidecar.publish.outbox import Outbox
from sidecar.publish.retained import Retained
from sidecar.publish.settings import OutboxSettings
from sidecar.publish.shown import Shown
from sidecar.publish.store import OutboxThread

pytestmark = pytest.mark.anyio
T = TypeVar("T")


def word(topic: str, text: str = "clear", kind: Kind = Kind.VERDICT) -> Message:
    """A retained message."""
    return Message(kind, topic, text.encode(), qos=1, retain=True)


class CountingStore(OutboxThread):
    """Counts the calls; fails while told to; lets news come in during one."""

    def __init__(self, path: Path) -> None:
        super().__init__(OutboxSettings(path), ManualClock())
        self.calls = 0
        self.error: PublishError | None = None
        self.meanwhile: Callable[[], None] | None = None

    async def call(self, use: Callable[[Outbox], T]) -> T:
        """As the thread does."""
        self.calls += 1
        if self.error is not None:
            raise self.error
        result = await super().call(use)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return result


class Book:
    """What a publisher keeps of its retained messages."""

    def __init__(self, folder: Path) -> None:
        self.store = CountingStore(folder / "outbox.db")
        self.retained = Retained()
        self.shown = Shown(self.store, self.retained)

    def put(self, message: Message) -> None:
        """The newest word."""
        self.retained.put(message)
        self.shown.put(message)

    def send_all(self) -> dict[str, bytes]:
        """Takes and delivers everything; what was sent."""
        taken = self.retained.take(99, 0.0)
        for message in taken:
            self.retained.delivered(message)
            self.shown.delivered(message)
        return {message.topic: message.payload for message in taken}

    async def on_disk(self) -> set[str]:
        """What the next process would find."""
        return await self.store.call(Outbox.shown)


async def test_the_disk_is_written_when_a_topic_appears_and_when_it_ends(
    tmp_path: Path,
) -> None:
    """Not at each change of a verdict, and never for the status."""
    book = Book(tmp_path)
    book.put(word("status", kind=Kind.STATUS))
    await book.shown.save()
    assert book.store.calls == 1  # what was left over
    book.put(word("a"))
    await book.shown.save()
    assert await book.on_disk() == {"a"}
    book.send_all()
    calls = book.store.calls
    for _ in range(9):
        book.put(word("a"))
        await book.shown.save()
        book.send_all()
    assert book.store.calls == calls
    book.put(emptied("a"))
    await book.shown.save()
    assert await book.on_disk() == {"a"}  # the broker does not know yet
    book.send_all()
    await book.shown.save()
    assert await book.on_disk() == set()
    await book.store.close()


async def test_what_is_left_over_and_not_set_again_is_emptied(tmp_path: Path) -> None:
    """Those of present streams get their new verdict only."""
    first = Book(tmp_path)
    for topic in ("gone", "present", "ended", "emptied"):
        first.put(word(topic))
    await first.shown.save()
    await first.store.close()
    second = Book(tmp_path)
    second.put(word("present", "starting"))
    second.put(word("ended"))
    second.put(emptied("ended"))
    second.put(emptied("emptied"))
    await second.shown.save()
    sent = second.send_all()
    assert sent.pop("present") == b"starting"
    assert sent == {"gone": b"", "ended": b"", "emptied": b""}
    await second.shown.save()
    assert await second.on_disk() == {"present"}
    await second.store.close()


async def test_a_stream_that_returns_while_it_is_emptied_stays_on_disk(
    tmp_path: Path,
) -> None:
    """Its old verdict is on the way out, its new one waits behind."""
    book = Book(tmp_path)
    book.put(word("a"))
    await book.shown.save()
    book.send_all()
    book.put(emptied("a"))
    (empty,) = book.retained.take(9, 0.0)
    book.put(word("a"))
    book.retained.delivered(empty)
    book.shown.delivered(empty)
    await book.shown.save()
    assert await book.on_disk() == {"a"}
    await book.store.close()


async def test_what_comes_during_a_write_is_written_too(tmp_path: Path) -> None:
    """When `save` returns, everything that may be sent now is on disk."""
    book = Book(tmp_path)
    await book.shown.save()
    book.put(word("a"))
    book.store.meanwhile = lambda: book.put(word("b"))
    await book.shown.save()
    assert await book.on_disk() == {"a", "b"}
    await book.store.close()


async def test_a_failing_disk_is_tried_again(tmp_path: Path) -> None:
    """At reading and at writing alike; nothing is forgotten."""
    first = Book(tmp_path)
    first.put(word("gone"))
    await first.shown.save()
    await first.store.close()
    book = Book(tmp_path)
    book.put(word("a"))
    book.store.error = PublishError("full")
    with pytest.raises(PublishError):
        await book.shown.save()
    book.store.error = None
    await book.shown.save()
    assert book.send_all() == {"gone": b"", "a": b"clear"}
    book.store.error = PublishError("full")
    with pytest.raises(PublishError):
        await book.shown.save()
    book.store.error = None
    await book.shown.save()
    assert await book.on_disk() == {"a"}
    await book.store.close()
