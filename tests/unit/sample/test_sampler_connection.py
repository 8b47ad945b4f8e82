"""What a sampler does to a connection, and what it leaves behind: nothing."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from sidecar.domain import Want
from sidecar.errors import StreamUnavailable
from sidecar.sample import look as module
from sidecar.sample.decoder import Decoder
from sidecar.sample.sampler import SamplerSettings
from tests.fakes.live_source import (
    CADENCE_4S,
    Live,
    Rig,
    Silent,
    take,
    turns,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Everything real but the clock and the publisher."""
    with ThreadPoolExecutor(1, "decode") as executor:
        yield Rig(executor)


async def test_a_new_connection_is_looked_at_at_once(rig: Rig) -> None:
    """Not an interval after the last sample of the one before."""
    sampler = rig.sampler(SamplerSettings(CADENCE_4S))
    await take(sampler, Live(rig.clock, 0.1))
    rig.clock.advance(0.5)
    (sample,) = await take(sampler, Live(rig.clock, 0.1))
    assert sample.captured_at == pytest.approx(0.48)


async def test_decoding_never_happens_in_the_loop(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it runs on the executor's threads."""
    threads: set[str] = set()
    for name in ("follow", "glance"):
        plain = getattr(Decoder, name)

        def spy(*args: object, _plain: object = plain, **kwargs: object) -> object:
            threads.add(threading.current_thread().name)
            assert callable(_plain)
            return _plain(*args, **kwargs)

        monkeypatch.setattr(Decoder, name, spy)
    sampler = rig.sampler()
    sampler.burst()
    await take(sampler, Live(rig.clock, 3))
    assert threads == {"decode_0"}


async def test_a_broken_stream_is_the_callers(rig: Rig) -> None:
    """The source's error passes through, and everything is let go."""
    error = StreamUnavailable("studio-7", "no packets for 10 s")
    with pytest.raises(StreamUnavailable):
        await take(rig.sampler(), Live(rig.clock, 2, error=error))
    assert rig.decoding() == (0, 0)


async def test_a_stream_broken_from_the_start_is_the_callers(rig: Rig) -> None:
    """A source that cannot even be told what is wanted leaves nothing behind."""

    class Broken(Live):
        def want(self, want: Want) -> None:
            raise StreamUnavailable("studio-7", f"gone before {want}")

    with pytest.raises(StreamUnavailable):
        await take(rig.sampler(), Broken(rig.clock))
    rig.clock.advance(100.0)
    await turns()


async def test_closing_lets_go_of_the_decoder_and_the_timer(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even in mid-stream."""
    closed: list[Decoder] = []
    plain = Decoder.close

    def close(decoder: Decoder) -> None:
        closed.append(decoder)
        plain(decoder)

    monkeypatch.setattr(Decoder, "close", close)
    monkeypatch.setattr(module, "_TICK_S", 0.0)
    monkeypatch.setattr(module, "_RESTING_S", 0.0)
    live = Live(rig.clock)
    await take(rig.sampler(), live, limit=1)
    assert len(closed) == 1
    rig.clock.advance(100.0)
    asked = len(live.asked)
    await turns()
    assert len(live.asked) == asked


async def test_a_silent_source_is_asked_then_wanted_whole(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing comes, requests and the fallback go on by the timer."""
    monkeypatch.setattr(module, "_TICK_S", 0.0)
    monkeypatch.setattr(module, "_RESTING_S", 0.0)
    silent = Silent(rig.clock)
    assert await take(rig.sampler(SamplerSettings(CADENCE_4S)), silent) == []
    assert silent.told[:2] == [Want.KEYFRAMES, "request"]
    assert silent.told[-2:] == [Want.ALL, "request"]


async def test_a_busy_caller_keeps_the_timer_quiet(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nobody takes pictures, that none come proves nothing."""
    monkeypatch.setattr(module, "_TICK_S", 0.0)
    monkeypatch.setattr(module, "_RESTING_S", 0.0)
    live = Live(rig.clock, natural_s=None)
    async with aclosing(rig.sampler().samples(live)) as samples:
        await anext(samples)
        told = (list(live.wants), list(live.asked))
        rig.clock.advance(100.0)
        await turns()
        assert (live.wants, live.asked) == told
