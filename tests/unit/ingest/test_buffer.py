"""AccessUnitBuffer: bounded, newest wins, and no delta without its keyframe."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import AccessUnit
from sidecar.errors import StreamUnavailable
from sidecar.ingest.buffer import AccessUnitBuffer
from sidecar.ingest.source import Want
from sidecar.stats import Stats
from tests.fakes.sources import unit


def lost(stats: Stats, reason: str) -> float:
    """How many were given up for this reason."""
    labels = {"stage": "ingest", "reason": reason}
    return stats.registry.get_sample_value("sidecar_lost_total", labels) or 0.0


async def rest(buffer: AccessUnitBuffer) -> list[AccessUnit]:
    """All that is still to be read."""
    buffer.close()
    return [found async for found in buffer]


@pytest.mark.anyio
async def test_newest_keyframe_wins() -> None:
    """By default one keyframe is kept, the newest, and the one before is counted."""
    stats = Stats()
    buffer = AccessUnitBuffer(stats)
    buffer.put(unit(1))
    buffer.put(unit(2, keyframe=False))
    buffer.put(unit(3))
    assert lost(stats, "keyframe_superseded") == 1
    assert await rest(buffer) == [unit(3)]


@pytest.mark.anyio
async def test_all_are_delivered_in_order_from_the_next_keyframe() -> None:
    """`ALL` begins with a keyframe and loses nothing after it."""
    stats = Stats()
    buffer = AccessUnitBuffer(stats)
    buffer.want(Want.ALL)
    assert buffer.wanted is Want.ALL
    for number in range(6):
        buffer.put(unit(number, keyframe=number == 2))
    assert lost(stats, "no_keyframe") == 2
    assert [u.data for u in await rest(buffer)] == [unit(n).data for n in range(2, 6)]


@pytest.mark.anyio
async def test_asking_for_the_same_again_changes_nothing() -> None:
    """Repeating `want` does not break the chain."""
    buffer = AccessUnitBuffer(Stats())
    buffer.want(Want.ALL)
    buffer.put(unit(1))
    buffer.want(Want.ALL)
    buffer.put(unit(2, keyframe=False))
    assert len(buffer) == 2


@pytest.mark.anyio
async def test_back_to_keyframes_keeps_the_newest_one() -> None:
    """Deltas in the buffer go, and older keyframes."""
    buffer = AccessUnitBuffer(Stats())
    buffer.want(Want.ALL)
    for number, keyframe in enumerate([True, False, True, False]):
        buffer.put(unit(number, keyframe=keyframe))
    buffer.want(Want.KEYFRAMES)
    assert await rest(buffer) == [unit(2)]


@pytest.mark.anyio
async def test_overflow_drops_everything_up_to_the_next_keyframe() -> None:
    """A reader that stays behind loses all that waits, counted, and no more."""
    stats = Stats()
    buffer = AccessUnitBuffer(stats, capacity=3)
    buffer.want(Want.ALL)
    for number in range(5):
        buffer.put(unit(number, keyframe=number == 0))
    assert len(buffer) == 0
    assert lost(stats, "buffer_overflow") == 3
    assert lost(stats, "no_keyframe") == 2
    buffer.put(unit(5))
    buffer.put(unit(6, keyframe=False))
    assert [u.data for u in await rest(buffer)] == [b"unit 5", b"unit 6"]


@pytest.mark.anyio
async def test_overflow_by_a_keyframe_keeps_it() -> None:
    """A keyframe that finds no room makes room."""
    buffer = AccessUnitBuffer(Stats(), capacity=1)
    buffer.want(Want.ALL)
    buffer.put(unit(1))
    buffer.put(unit(2))
    assert await rest(buffer) == [unit(2)]


@pytest.mark.anyio
async def test_failure_comes_after_what_was_whole() -> None:
    """The reader gets what was there, then the reason, and again if it asks again."""
    buffer = AccessUnitBuffer(Stats())
    buffer.put(unit(1))
    error = StreamUnavailable("s", "gone")
    buffer.fail(error)
    buffer.fail(StreamUnavailable("s", "second"))
    buffer.put(unit(2))
    assert buffer.ended
    assert await anext(buffer) == unit(1)
    for _ in range(2):
        with pytest.raises(StreamUnavailable, match="gone"):
            await anext(buffer)


@pytest.mark.anyio
async def test_failure_after_the_end_is_none() -> None:
    """Of several ends the first one counts."""
    buffer = AccessUnitBuffer(Stats())
    buffer.close()
    buffer.fail(StreamUnavailable("s", "late"))
    assert [found async for found in buffer] == []


@pytest.mark.anyio
async def test_waiting_reader_is_woken() -> None:
    """A reader that waits gets the next unit, then the end."""
    buffer = AccessUnitBuffer(Stats())
    found: list[AccessUnit] = []

    async def read() -> None:
        found.append(await anext(buffer))
        found.extend([each async for each in buffer])

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        buffer.put(unit(1))
        await anyio.wait_all_tasks_blocked()
        assert found == [unit(1)]
        buffer.close()


_steps = st.lists(
    st.sampled_from(["key", "delta", "delta", "read", "all", "keyframes"]), max_size=80
)


@given(_steps)
def test_no_delta_without_what_it_refers_to(steps: list[str]) -> None:
    """Whatever happens: a delta comes only right after its predecessor, in bounds."""
    buffer = AccessUnitBuffer(Stats(), capacity=4)
    read: list[AccessUnit] = []
    for number, step in enumerate(steps):
        if step in {"key", "delta"}:
            at = float(sum(s in {"key", "delta"} for s in steps[:number]))
            buffer.put(unit(number, keyframe=step == "key", at=at))
        elif step == "read" and len(buffer):
            with pytest.raises(StopIteration) as found:
                buffer.__anext__().send(None)
            read.append(found.value.value)
        elif step != "read":
            buffer.want(Want(step))
        assert len(buffer) <= 4
    for before, after in zip([None, *read], read, strict=False):
        assert after.keyframe or (
            before is not None and after.received_at == before.received_at + 1
        )
