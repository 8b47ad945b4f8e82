"""Time that is not the world's: waits cost nothing, and come in order."""

import asyncio
import time
from threading import Event

import pytest

from sidecar.clock import SystemClock
from sidecar.replay.virtual import Inline, RealTime, VirtualClock, run_virtually


def test_waits_cost_nothing_and_come_in_order() -> None:
    """An hour passes at once; who is due first runs first, at its exact instant."""
    clock, told = VirtualClock(), []

    async def wait(seconds: float, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(seconds)
            told.append((seconds, clock.monotonic()))

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait(1000.25, 3), name="slow")
            group.create_task(wait(1500.0, 2), name="slower")

    began = time.perf_counter()
    run_virtually(clock, both())
    assert time.perf_counter() - began < 10
    assert [at for _, at in told] == [1000.25, 1500.0, 2000.5, 3000.0, 3000.75]
    assert clock.wall().isoformat() == "1970-01-01T00:50:00.750000+00:00"


def test_timeouts_are_virtual_too() -> None:
    """Whatever a library waits for by the loop's clock."""
    clock = VirtualClock()

    async def wait() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await asyncio.Event().wait()

    run_virtually(clock, wait())
    assert clock.monotonic() == 600


def test_waiting_for_ever_is_told() -> None:
    """Nothing could wake it: better an error than a process that hangs."""
    with pytest.raises(RuntimeError, match="nothing is due any more"):
        run_virtually(VirtualClock(), asyncio.Event().wait())


def test_work_for_threads_is_done_inline() -> None:
    """At once and on the caller's thread; its error is the awaiter's."""
    clock = VirtualClock()
    told: list[int] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(Inline(), told.append, 1)
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(Inline(), lambda: 1 // 0)

    run_virtually(clock, work())
    assert (told, clock.monotonic()) == ([1], 0.0)


def test_a_second_may_take_a_second() -> None:
    """Counted from the first instant; once stopped, nothing is waited for."""
    stop, clock = Event(), VirtualClock()

    async def wait() -> None:
        for _ in range(2):
            await asyncio.sleep(0.2)
        stop.set()
        await asyncio.sleep(1000)

    began = time.perf_counter()
    run_virtually(clock, wait(), RealTime(stop, SystemClock()))
    assert 0.19 <= time.perf_counter() - began < 100
    assert clock.monotonic() == 1000.4
