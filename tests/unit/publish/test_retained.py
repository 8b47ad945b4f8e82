"""Retained messages: the newest wins, and none is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.publish.message import Kind, Message
from sidecar.publish.retained import Retained


def word(topic: str, text: str) -> Message:
    """A retained message."""
    return Message(Kind.VERDICT, topic, text.encode(), qos=1, retain=True)


def test_only_the_newest_is_sent() -> None:
    """An unsent older word gives way."""
    book = Retained()
    book.put(word("a", "1"))
    book.put(word("a", "2"))
    assert [m.payload for m in book.take(9, 0.0)] == [b"2"]
    assert book.take(9, 0.0) == []


def test_one_is_under_way_at_a_time() -> None:
    """A newer word waits for the older one's receipt, then goes out."""
    book = Retained()
    book.put(word("a", "1"))
    (first,) = book.take(9, 0.0)
    book.put(word("a", "2"))
    assert book.take(9, 0.0) == []
    book.delivered(first)
    settled = [book.settled]
    (second,) = book.take(9, 0.0)
    book.delivered(second)
    settled.append(book.settled)
    assert settled == [False, True]
    assert second.payload == b"2"


def test_all_again_after_a_reconnection() -> None:
    """A broker that forgot everything is told everything."""
    book = Retained()
    for topic in "abc":
        book.put(word(topic, "1"))
    for message in book.take(2, 0.0):
        book.delivered(message)
    book.all_again()
    assert not book.settled
    assert {m.topic for m in book.take(9, 0.0)} == set("abc")


def test_an_emptied_topic_is_forgotten() -> None:
    """An ended stream costs nothing later."""
    book = Retained()
    book.put(word("a", ""))
    (message,) = book.take(9, 0.0)
    book.delivered(message)
    book.all_again()
    assert book.take(9, 0.0) == []
    assert book.settled


def test_a_refused_one_is_tried_again_slowly() -> None:
    """Not before its time, and then with what is new; it does not hold up leaving."""
    book = Retained()
    book.put(word("a", "1"))
    (message,) = book.take(9, 0.0)
    book.refused(message, 30.0)
    assert book.settled
    book.put(word("a", "2"))
    assert book.take(9, 29.0) == []
    assert [m.payload for m in book.take(9, 30.0)] == [b"2"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=30))
def test_the_broker_ends_up_with_the_newest(steps: list[tuple[str, int]]) -> None:
    """However puts, receipts, refusals and reconnections mix."""
    book = Retained()
    newest: dict[str, bytes] = {}
    broker: dict[str, bytes] = {}
    flying: list[Message] = []
    for number, (topic, what) in enumerate(steps):
        if what == 0:
            newest[topic] = str(number).encode()
            book.put(word(topic, str(number)))
        elif what == 1:
            flying += book.take(1, 0.0)
        elif what == 2 and flying:
            message = flying.pop(0)
            broker[message.topic] = message.payload
            book.delivered(message)
        elif what == 3:
            flying.clear()
            book.all_again()
    while flying or not book.settled:
        flying += book.take(2, 0.0)
        message = flying.pop(0)
        broker[message.topic] = message.payload
        book.delivered(message)
    assert broker == newest
