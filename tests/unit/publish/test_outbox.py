"""The outbox: nothing lost, same id on retry, order kept per stream."""

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.domain import ActionKind
from sidecar.errors import ConfigError, OutboxFull, PublishError
from sidecar.publish.entry import Depth, Entry, Expired
from sidecar.publish.outbox import Outbox
from tests.unit.publish.strategies import FAR, entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A place for the file, in a folder that is not there yet."""
    return tmp_path / "state" / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    """An empty outbox of at most five rows."""
    box = Outbox(path, max_rows=5)
    yield box
    box.close()


def due(outbox: Outbox, now: float = 0.0) -> list[str]:
    """The ids that are claimed at `now`."""
    return [e.id for e in outbox.claim(now, 100)]


def test_what_was_put_comes_out_whole(outbox: Outbox) -> None:
    """Every field survives the file."""
    outbox.put(entry("1", require_enforced=True), 1.0)
    assert outbox.claim(0.0, 9) == [entry("1", require_enforced=True)]


def test_file_and_folder_are_private(outbox: Outbox, path: Path) -> None:
    """Only the owner may read what is due."""
    outbox.put(entry("1"), 0.0)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_claimed_one_is_not_given_twice(outbox: Outbox) -> None:
    """Until it is due again, under the same id, with its tries counted."""
    outbox.put(entry("1"), 0.0)
    assert due(outbox) == ["1"]
    assert due(outbox, 1e6) == []
    outbox.retry({"1": 5.0})
    assert due(outbox, 4.9) == []
    (again,) = outbox.claim(5.0, 9)
    assert (again.id, again.tries) == ("1", 1)


def test_delivered_is_removed(outbox: Outbox) -> None:
    """And only that one; an unknown id changes nothing."""
    for number in ("1", "2"):
        outbox.put(entry(number), 0.0)
    outbox.delivered("1", 1.0, FAR)
    outbox.delivered("1", 1.0, FAR)
    assert outbox.depth() == Depth(1, 0, 0.0)
    assert due(outbox) == ["2"]


def test_order_is_kept_per_stream(outbox: Outbox) -> None:
    """One stream's second action waits for its first; other streams do not."""
    outbox.put(entry("1", "a", ActionKind.FLAG), 0.0)
    outbox.put(entry("2", "a"), 0.0)
    outbox.put(entry("3", "b"), 0.0)
    assert due(outbox) == ["1", "3"]
    outbox.delivered("1", 0.0, FAR)
    assert due(outbox) == ["2"]


def test_a_refused_flag_does_not_hold_up_a_takedown(outbox: Outbox) -> None:
    """What the broker will not have steps aside, and is tried again later."""
    outbox.put(entry("1", "a", ActionKind.FLAG), 0.0)
    outbox.put(entry("2", "a"), 0.0)
    due(outbox)
    outbox.refused("1", 30.0)
    assert due(outbox) == ["2"]
    assert due(outbox, 30.0) == ["1"]


def test_a_reversal_never_overtakes_its_takedown(outbox: Outbox) -> None:
    """Else the stream would end up taken down for good."""
    outbox.put(entry("1"), 0.0)
    outbox.put(entry("2", action=ActionKind.REVERSE_TAKEDOWN), 0.0)
    due(outbox)
    outbox.refused("1", 30.0)
    assert due(outbox) == []
    outbox.delivered("1", 30.0, FAR)
    assert due(outbox, 30.0) == ["2"]


def test_a_refused_reversal_expires_when_a_takedown_passed_it(outbox: Outbox) -> None:
    """Sent later it would put a violating stream back on air; it alarms instead."""
    outbox.put(entry("1", action=ActionKind.REVERSE_TAKEDOWN), 0.0)
    outbox.put(entry("2"), 0.0)
    due(outbox)
    outbox.refused("1", 30.0)
    assert due(outbox) == ["2"]
    outbox.delivered("2", 5.0, FAR)
    assert outbox.expire(5.0) == [
        Expired("1", "a", "reverse_takedown", delivered=False)
    ]


def test_enforcement_is_waited_for(outbox: Outbox) -> None:
    """Delivered, kept, sent again, gone when an enforcer says so."""
    outbox.put(entry("1", require_enforced=True), 0.0)
    due(outbox)
    outbox.delivered("1", 1.0, 31.0)
    assert outbox.depth() == Depth(0, 1, None)
    assert due(outbox, 30.0) == []
    (again,) = outbox.claim(31.0, 9)
    assert again.delivered
    assert outbox.enforced("1")
    assert not outbox.enforced("1")
    assert outbox.depth() == Depth()


def test_a_reversed_takedown_is_not_sent_again(outbox: Outbox) -> None:
    """Awaiting enforcement, it falls silent once its reversal is delivered."""
    outbox.put(entry("1", require_enforced=True), 0.0)
    outbox.put(entry("2", action=ActionKind.REVERSE_TAKEDOWN), 0.0)
    due(outbox)
    outbox.delivered("1", 1.0, 31.0)
    assert due(outbox, 1.0) == ["2"]
    outbox.delivered("2", 2.0, 32.0)
    assert due(outbox, 1e6) == []


def test_expired_ones_are_told(outbox: Outbox) -> None:
    """They do not vanish: each comes out once, for an alarm, and is not sent."""
    outbox.put(entry("1", expires_at=10.0), 0.0)
    outbox.put(entry("2", "b", expires_at=10.0, require_enforced=True), 0.0)
    due(outbox)
    outbox.delivered("2", 1.0, 2.0)
    outbox.retry({"1": 0.0})
    assert due(outbox, 10.0) == []
    assert outbox.expire(9.9) == []
    assert outbox.expire(10.0) == [
        Expired("1", "a", "takedown", delivered=False),
        Expired("2", "b", "takedown", delivered=True),
    ]
    assert outbox.expire(10.0) == []


def test_a_full_outbox_refuses(outbox: Outbox) -> None:
    """Loudly, and keeps what it has; with room it takes more."""
    for number in range(5):
        outbox.put(entry(str(number), str(number)), 0.0)
    with pytest.raises(OutboxFull, match="5 actions"):
        outbox.put(entry("x"), 0.0)
    assert len(due(outbox)) == 5
    outbox.delivered("0", 0.0, FAR)
    outbox.put(entry("x"), 0.0)


def test_a_full_disk_is_a_publish_error(outbox: Outbox) -> None:
    """Nothing half-written; what is in the file is still handed out and removed."""
    outbox.put(entry("1"), 0.0)
    (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
    outbox._db.execute(f"PRAGMA max_page_count = {pages}")
    big = Entry("2", "b", "takedown", "t", b"x" * 100_000, FAR)
    with pytest.raises(PublishError, match="full"):
        outbox.put(big, 0.0)
    with pytest.raises(PublishError, match="full"):
        outbox.probe()
    assert due(outbox) == ["1"]
    outbox.retry({"1": 0.0})
    assert due(outbox) == ["1"]
    outbox._db.execute("PRAGMA max_page_count = 1000000")
    outbox.probe()
    outbox.put(big, 0.0)
    assert due(outbox) == ["2"]


def test_an_id_is_put_once(outbox: Outbox) -> None:
    """The same id twice is refused, not doubled."""
    outbox.put(entry("1"), 0.0)
    with pytest.raises(PublishError):
        outbox.put(entry("1"), 0.0)
    assert outbox.depth().undelivered == 1


def test_it_survives_a_restart(path: Path) -> None:
    """Everything undelivered is due at once in the next process, under its id."""
    first = Outbox(path)
    first.put(entry("1"), 3.0)
    first.put(entry("2", "b"), 4.0)
    due(first)
    first.refused("2", FAR)
    first.close()
    second = Outbox(path)
    assert due(second) == ["1", "2"]
    assert second.depth() == Depth(2, 0, 3.0)
    second.close()


def test_a_damaged_file_stops_the_start(path: Path) -> None:
    """It may hold takedowns: it is named, and neither mended nor thrown away."""
    path.parent.mkdir()
    path.write_bytes(b"this is not a database, whatever it may be" * 100)
    with pytest.raises(ConfigError, match=r"outbox\.db.*move it aside"):
        Outbox(path)
    assert path.read_bytes().startswith(b"this is not")


def test_a_torn_file_stops_the_start(path: Path) -> None:
    """Damage inside a database is found by the check at the start."""
    box = Outbox(path, max_rows=1000)
    for number in range(200):
        box.put(entry(f"{number:0500}", str(number)), 0.0)
    box.close()
    data = bytearray(path.read_bytes())
    for at in range(8192, len(data), 4096):
        data[at : at + 64] = b"\xa5" * 64
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="damaged"):
        Outbox(path)


def test_another_schema_stops_the_start(path: Path) -> None:
    """A newer file, or another program's, is left alone."""
    path.parent.mkdir()
    for statement in ("PRAGMA user_version = 3", "CREATE TABLE other (x)"):
        path.unlink(missing_ok=True)
        db = sqlite3.connect(path)
        db.execute(statement)
        db.close()
        with pytest.raises(ConfigError, match="another file"):
            Outbox(path)


def test_two_sidecars_do_not_share_a_file(outbox: Outbox, path: Path) -> None:
    """The second one is told, instead of both sending."""
    outbox.put(entry("1"), 0.0)
    with pytest.raises(ConfigError, match="another sidecar"):
        Outbox(path)


def test_an_impossible_place_is_named(tmp_path: Path) -> None:
    """A folder that is a file, or a file that is a folder."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="may write to"):
        Outbox(tmp_path / "file" / "outbox.db")
    with pytest.raises(ConfigError, match="may write to"):
        Outbox(tmp_path)


def test_what_waits_can_be_shown(outbox: Outbox) -> None:
    """The oldest first, with how often it was tried; no more than asked for."""
    for number in range(3):
        outbox.put(entry(str(number)), 10.0 + number)
    outbox.claim(20.0, 1)
    shown = outbox.pending(2)
    assert [(p.created_at, p.tries) for p in shown] == [(10.0, 1), (11.0, 0)]


def test_the_messages_of_an_earlier_process_can_be_read(path: Path) -> None:
    """The newest so many, oldest first, with how far each has got."""
    first = Outbox(path)
    for number in range(3):
        first.put(replace(entry(str(number)), require_enforced=number == 1), 10.0)
    first.delivered("1", 11.0, 99.0)
    first.close()
    second = Outbox(path)
    payload = entry("1").payload
    assert second.messages(2) == [
        ("1", payload, True, True),
        ("2", entry("2").payload, False, False),
    ]
    assert len(second.messages(9)) == 3
    second.close()


def test_shown_topics_survive_a_restart(path: Path) -> None:
    """Added once, taken away when they are emptied; twice does no harm."""
    first = Outbox(path)
    first.show({"a", "b"}, set())
    first.show({"b", "c"}, {"a", "never"})
    first.close()
    second = Outbox(path)
    assert second.shown() == {"b", "c"}
    second.close()


def test_a_file_of_the_first_schema_is_taken_over(path: Path) -> None:
    """What is due in it stays due, under its id; shown topics are kept from then on."""
    old = Outbox(path)
    old.put(entry("1"), 3.0)
    old._db.execute("DROP TABLE shown")
    old._db.execute("PRAGMA user_version = 1")
    old.close()
    for expected in (set[str](), {"a"}):
        new = Outbox(path)
        assert due(new) == ["1"]
        assert new.shown() == expected
        new.show({"a"}, set())
        new.close()
