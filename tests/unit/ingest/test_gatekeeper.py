"""Gatekeeper: the gate's word put into practice, on a clock that is moved by hand."""

import asyncio

import pytest

from sidecar.clock import ManualClock
from sidecar.ingest.gate import Gate
from sidecar.ingest.gatekeeper import Gatekeeper
from sidecar.stats import Stats

pytestmark = pytest.mark.anyio


class Door:
    """Notes what is done to it, and what the listener is told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.aided = True
        self.opened = asyncio.Event()

    def close(self) -> bool:
        """Noted."""
        self.done.append("close")
        return self.aided

    def open(self) -> None:
        """Noted."""
        self.done.append("open")
        self.opened.set()

    def interrupted(self) -> None:
        """Noted."""
        self.done.append("interrupted")

    def resumed(self, now: float) -> None:
        """Noted, with its instant."""
        self.done.append(f"resumed at {now:g}")


class Post:
    """A gatekeeper at its door."""

    def __init__(self, longest_s: float = 10.0) -> None:
        self.door, self.clock, self.stats = Door(), ManualClock(), Stats()
        gate = Gate(longest_s)
        self.keeper = Gatekeeper(gate, self.door, self.door, self.clock, self.stats)

    def hear(self) -> None:
        """A packet comes through."""
        self.keeper.heard(1, self.clock.monotonic())

    async def opens(self) -> None:
        """Returns once the timer has opened it."""
        async with asyncio.timeout(30):
            await self.door.opened.wait()
        self.door.opened.clear()

    def counted(self) -> tuple[float | None, float | None]:
        """Openings and closed seconds so far."""
        value = self.stats.registry.get_sample_value
        return (
            value("sidecar_gate_openings_total"),
            value("sidecar_gate_closed_seconds_total"),
        )


def timers() -> int:
    """Live timers of the running loop."""
    loop = asyncio.get_running_loop()
    return sum(not t.cancelled() for t in loop._scheduled)  # type: ignore[attr-defined]


async def test_it_closes_behind_a_packet_and_opens_in_time() -> None:
    """The listener knows before packets are missing, and before they come again."""
    post = Post()
    post.keeper.rest(0.06)
    assert post.door.done == []
    post.hear()
    assert post.door.done == ["close", "interrupted"]
    post.clock.advance(0.06)
    await post.opens()
    assert post.door.done == ["close", "interrupted", "open", "resumed at 0.06"]
    assert not post.keeper.closed
    assert post.counted() == (1, 0.06)


async def test_without_the_kernel_it_closes_all_the_same() -> None:
    """And counts that each packet will have to be read."""
    post = Post()
    for aided in (True, False):
        post.door.aided = aided
        post.hear()
        post.keeper.rest(100.0)
        assert post.keeper.closed
        post.keeper.open()
    value = post.stats.registry.get_sample_value
    assert value("sidecar_gate_unaided_total") == 1


async def test_early_timer_waits_on() -> None:
    """The stream's clock counts, not the event loop's."""
    post = Post()
    post.hear()
    post.keeper.rest(0.06)
    loop = asyncio.get_running_loop()
    waited = asyncio.Event()
    loop.call_later(0.13, waited.set)
    await waited.wait()
    assert post.keeper.closed
    post.clock.advance(1.0)
    await post.opens()


async def test_it_opens_at_once_when_asked() -> None:
    """And the timer goes."""
    before = timers()
    post = Post()
    post.hear()
    post.keeper.rest(100.0)
    assert timers() == before + 1
    post.clock.advance(2.0)
    post.keeper.open()
    assert post.door.done[-1] == "resumed at 2"
    assert timers() == before
    assert post.counted() == (1, 2)


async def test_it_closes_again_behind_each_look_out() -> None:
    """A long rest goes on after one packet."""
    post = Post(longest_s=0.06)
    post.hear()
    post.keeper.rest(100.0)
    for _ in range(3):
        post.clock.advance(0.06)
        await post.opens()
        post.hear()
        assert post.keeper.closed
    assert post.counted()[0] == 3
    post.keeper.stop()


async def test_reports_of_too_many_packets_open_it() -> None:
    """The sender speeds up; with another sender, counting begins anew."""
    post = Post()
    post.keeper.reported(0, 0.0)
    post.keeper.renumbered()
    post.hear()
    post.keeper.rest(100.0)
    post.keeper.reported(50_000, 0.1)
    assert post.door.done[-1] == "interrupted"
    post.keeper.reported(70_000, 0.2)
    assert post.door.done[-1] == "resumed at 0.2"


async def test_stopped_it_leaves_nothing() -> None:
    """No timer, no further change; the time until then is counted, once."""
    before = timers()
    post = Post()
    post.hear()
    post.keeper.rest(100.0)
    post.clock.advance(3.0)
    post.keeper.stop()
    post.keeper.stop()
    post.keeper.rest(0.0)
    post.keeper.rest(200.0)
    assert timers() == before
    assert post.door.done == ["close", "interrupted"]
    assert post.counted() == (0, 3)
