"""Which pictures of a connection become samples."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from sidecar.arena import PictureArena, PictureSlots
from sidecar.domain import PictureFormat, Sample, Want
from sidecar.sample import look as module
from sidecar.sample.keyframes import DecodeMode
from sidecar.sample.sampler import SamplerSettings
from tests.fakes.live_source import CADENCE, CADENCE_4S, Live, Rig, gaps, take

pytestmark = pytest.mark.anyio


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Everything real but the clock and the publisher."""
    with ThreadPoolExecutor(1, "decode") as executor:
        yield Rig(executor)


async def test_keyframes_that_come_often_enough_are_sampled(rig: Rig) -> None:
    """The first at once, then one an interval, and nothing else is asked for."""
    live = Live(rig.clock)
    samples = await take(rig.sampler(), live)
    assert len(samples) == 10
    assert gaps(samples) == pytest.approx([1.0] * 9)
    assert live.wants == [Want.KEYFRAMES]
    assert samples[4].picture[..., 0].mean() > 200
    assert samples[5].picture[..., 2].mean() > 200


async def test_a_sample_tells_its_legs(rig: Rig) -> None:
    """Capture is the first packet; receive and decode are measured and counted."""
    (sample,) = await take(rig.sampler(), Live(rig.clock, late_s=0.005), limit=1)
    assert sample.stream_id == "studio-7"
    assert sample.picture.shape == (24, 32, 3)
    assert sample.captured_at == pytest.approx(-0.02)
    assert sample.receive_s == pytest.approx(0.02)
    assert sample.decode_s == pytest.approx(0.005)
    assert sample.decoded_at == rig.clock.monotonic()
    for leg in ("receive", "decode"):
        assert rig.value("sidecar_leg_seconds_count", leg=leg) == 1


async def test_pictures_share_the_arena(rig: Rig) -> None:
    """A sample that is done with makes room for the next; one slot is enough for all.

    Whoever keeps pictures gets those for which there is no room in memory of their own.
    """
    rig.arena = PictureArena(PictureSlots(PictureFormat(32, 24), 1))
    async with aclosing(rig.sampler().samples(Live(rig.clock))) as samples:
        async for sample in samples:
            assert sample.picture.shape == (24, 32, 3)
            del sample
    assert rig.value("sidecar_pictures_total", memory="slot") == 10
    assert rig.arena.free == 1
    kept = await take(rig.sampler(), Live(rig.clock, 3))
    assert rig.value("sidecar_pictures_total", memory="own") == len(kept) - 1 > 0


async def test_keyframes_that_are_not_due_are_passed_over(rig: Rig) -> None:
    """A keyframe a second, a sample every four."""
    samples = await take(rig.sampler(SamplerSettings(CADENCE_4S)), Live(rig.clock, 20))
    assert gaps(samples) == pytest.approx([4.0] * 4)


async def test_rare_keyframes_lead_to_decoding_all(rig: Rig) -> None:
    """With a keyframe every 5 s a sample a second still comes."""
    seen: list[tuple[float, float]] = []
    settings = SamplerSettings(CADENCE, pli_interval_s=None)
    live = Live(rig.clock, 20, natural_s=5.0)
    samples = await take(
        rig.sampler(settings), live, lambda _: seen.append(rig.decoding())
    )
    assert live.wants == [Want.KEYFRAMES, Want.ALL]
    assert (seen[0], seen[-1]) == ((1, 0), (0, 1))
    assert gaps(samples)[2:] == pytest.approx([1.0] * (len(samples) - 3))
    assert len(samples) >= 10
    assert rig.decoding() == (0, 0)


async def test_a_sender_is_asked_for_keyframes(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher without keyframes of its own sends one an interval on request."""
    monkeypatch.setattr(module, "_TICK_S", 0.0)
    monkeypatch.setattr(module, "_RESTING_S", 0.0)
    live = Live(rig.clock, 40, natural_s=None)
    samples = await take(rig.sampler(SamplerSettings(CADENCE_4S)), live)
    assert set(live.wants) == {Want.KEYFRAMES}
    assert len(samples) >= 8
    assert max(gaps(samples)) < 6.0


async def test_all_samples_any_picture_that_is_due(rig: Rig) -> None:
    """From the start, between keyframes too."""
    settings = SamplerSettings(CADENCE, DecodeMode.ALL)
    live = Live(rig.clock, natural_s=None)
    samples = await take(rig.sampler(settings), live)
    assert live.wants == [Want.ALL]
    assert gaps(samples) == pytest.approx([1.0] * 9)
    assert samples[5].picture[..., 2].mean() > 200


async def test_a_rising_score_samples_fast_and_calms_down(rig: Rig) -> None:
    """A burst decodes all at 5 a second; afterwards keyframes are enough again."""
    sampler = rig.sampler()
    live = Live(rig.clock, 20)

    def score(sample: Sample) -> None:
        sampler.observe(0.9 if 4.5 < sample.captured_at < 6 else 0.1)

    samples = await take(sampler, live, score)
    assert live.wants == [Want.KEYFRAMES, Want.ALL, Want.KEYFRAMES]
    fast = [gap for gap in gaps(samples) if gap < 0.3]
    assert len(fast) >= 12
    assert gaps(samples)[-3:] == pytest.approx([1.0] * 3)


async def test_a_report_samples_fast(rig: Rig) -> None:
    """Somebody's word counts like a score."""
    sampler = rig.sampler()
    live = Live(rig.clock, 5)
    sampler.burst()
    samples = await take(sampler, live)
    assert Want.ALL in live.wants
    assert min(gaps(samples)) == pytest.approx(0.2)


async def test_torn_pictures_are_counted_and_replaced(rig: Rig) -> None:
    """A torn keyframe is no sample; one is asked for, and the next good one is it."""
    live = Live(rig.clock, torn=(30,))
    samples = await take(rig.sampler(), live)
    assert rig.value("sidecar_lost_total", stage="decode", reason="torn") == 1
    assert live.asked == pytest.approx([0.0, 3.0])
    assert gaps(samples)[:3] == pytest.approx([1.0, 1.0, 1.1])


async def test_a_torn_delta_waits_for_a_keyframe(rig: Rig) -> None:
    """Decoding all, nothing that refers to what was lost is shown."""
    settings = SamplerSettings(CADENCE, DecodeMode.ALL)
    live = Live(rig.clock, 5, natural_s=2.0, heeds=False, torn=(5,))
    samples = await take(rig.sampler(settings), live)
    assert gaps(samples) == pytest.approx([2.0, 1.0, 1.0])
    assert rig.value("sidecar_lost_total", stage="decode", reason="torn") == 1


@pytest.mark.parametrize("decode", [DecodeMode.KEYFRAMES, DecodeMode.ALL])
async def test_old_pictures_are_not_sampled(rig: Rig, decode: DecodeMode) -> None:
    """What waited too long is counted, not shown as the present."""
    settings = SamplerSettings(CADENCE, decode, max_age_s=2.0)
    assert await take(rig.sampler(settings), Live(rig.clock, 3, late_s=2.5)) == []
    assert rig.value("sidecar_lost_total", stage="sample", reason="stale") >= 3


async def test_a_slow_caller_does_not_make_keyframes_rare(rig: Rig) -> None:
    """A queue before the model is no reason to decode more."""
    live = Live(rig.clock, 30)
    await take(rig.sampler(), live, lambda _: rig.clock.advance(1.9))
    assert live.wants == [Want.KEYFRAMES]
