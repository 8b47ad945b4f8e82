"""The alarm: it rings once, and is not set anew without need."""

import asyncio

import pytest

from sidecar.classify.alarm import Alarm

pytestmark = pytest.mark.anyio


async def test_it_rings_once_and_may_be_set_again() -> None:
    """At the instant, which may have passed; setting it again is a ring of its own."""
    rung = asyncio.Event()
    alarm = Alarm(rung.set)
    for at in (7.01, 6.0):
        alarm.set(at, 7.0)
        await rung.wait()
        rung.clear()
        assert alarm._timer is None


async def test_the_same_instant_changes_nothing() -> None:
    """No timer is made in vain; another instant takes its place."""
    alarm = Alarm(lambda: None)
    alarm.set(60.0, 0.0)
    first = alarm._timer
    assert first is not None
    alarm.set(60.0, 1.0)
    assert alarm._timer is first
    alarm.set(30.0, 1.0)
    assert first.cancelled()
    second = alarm._timer
    assert second is not None
    alarm.set(None, 1.0)
    alarm.clear()
    assert second.cancelled()
