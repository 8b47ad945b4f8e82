"""A stream rests between its samples: what it costs to see, and what is missed."""

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace

import pytest

from sidecar.domain import Codec, Sample, Want
from sidecar.sample import look as module
from sidecar.sample.audit import AuditSettings
from sidecar.sample.keyframes import DecodeMode
from sidecar.sample.sampler import SamplerSettings
from tests.fakes.encoded import RED, clip, field
from tests.fakes.group_source import Groups
from tests.fakes.live_source import CADENCE, CADENCE_4S, Rig, gaps, take, turns

pytestmark = pytest.mark.anyio

GROUP = clip(Codec.VP8, [field(RED)] * 20)
NO_AUDIT = AuditSettings(None)
FOUR = SamplerSettings(CADENCE_4S, audit=NO_AUDIT)


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Everything real but the clock and the publisher; ticks whenever time passes."""
    monkeypatch.setattr(module, "_TICK_S", 0.0)
    monkeypatch.setattr(module, "_RESTING_S", 0.0)
    with ThreadPoolExecutor(1, "decode") as executor:
        yield Rig(executor)


def groups(rig: Rig, seconds: float = 60.0, **how: object) -> Groups:
    """A keyframe every 2 s, ten pictures a second."""
    return replace(Groups(rig.clock, GROUP, 10.0, seconds), **how)  # type: ignore[arg-type]


async def test_it_is_open_for_the_keyframes_alone(rig: Rig) -> None:
    """Once the period is learned; no sample is lost by it."""
    live = groups(rig, 120.0)
    samples = await take(rig.sampler(FOUR), live)
    assert gaps(samples) == pytest.approx([4.0] * (len(samples) - 1))
    assert len(samples) == 30
    assert live.open_s < 8.2 + 30 * 0.1
    assert rig.value("sidecar_openings_total", outcome="met") == 28
    assert rig.value("sidecar_openings_total", outcome="missed") == 0
    assert rig.value("sidecar_samples_due_total") == pytest.approx(31, abs=0.1)
    assert rig.value("sidecar_samples_taken_total", by="keyframe") == 30
    assert live.asked == [0.0]


async def test_a_jittery_network_is_learned(rig: Rig) -> None:
    """98 % of the samples due come, and it still rests most of the time."""
    rng = random.Random(1)  # noqa: S311 - no secret
    delays = [rng.uniform(0.0, 0.06) for _ in range(6000)]
    live = groups(rig, 600.0, off_s=lambda n: delays[n])
    settings = SamplerSettings(replace(CADENCE, interval_s=2.0), audit=NO_AUDIT)
    samples = await take(rig.sampler(settings), live)
    assert len(samples) >= 0.98 * rig.value("sidecar_samples_due_total")
    assert live.open_s < 0.2 * 600.0


async def test_a_keyframe_that_does_not_come_is_waited_for(rig: Rig) -> None:
    """The gate stays open until one comes; counted, and the next opening is earlier."""
    live = groups(rig, 30.0, lost=lambda n: n == 160)
    samples = await take(rig.sampler(FOUR), live)
    assert [s.captured_at for s in samples if 12 <= s.captured_at <= 24] == (
        pytest.approx([12.0, 18.0, 22.0])
    )
    assert rig.value("sidecar_openings_total", outcome="missed") == 1
    before, after = (
        min(until for at, until in live.rests if at == sample) for sample in (8.0, 18.0)
    )
    assert 12.0 - before == pytest.approx(0.04)
    assert 22.0 - after == pytest.approx(0.08)


async def test_another_period_is_learned_anew(rig: Rig) -> None:
    """An encoder that changes its group length costs time open, no samples for long."""
    slow = groups(rig, 60.0)
    samples = await take(rig.sampler(FOUR), slow)
    rng = random.Random(2)  # noqa: S311 - no secret
    shifts = sorted(rng.uniform(0.0, 40.0) for _ in range(600))
    wild = groups(rig, 60.0, off_s=lambda n: shifts[n])
    samples = await take(rig.sampler(FOUR), wild)
    assert max(gaps(samples)) < 12.0


async def test_a_sender_that_is_asked_is_asked_as_the_gate_opens(rig: Rig) -> None:
    """Neither before, when nobody looks, nor late; once for each sample."""
    live = groups(rig, 100.0, natural=False, heeds=True)
    samples = await take(rig.sampler(FOUR), live)
    assert gaps(samples)[3:] == pytest.approx([4.0] * (len(samples) - 4), abs=0.21)
    assert len(samples) >= 23
    assert set(live.wants) == {Want.KEYFRAMES}
    untils = {round(until, 3) for _, until in live.rests}
    late = [
        asked
        for asked in live.asked[3:]
        if min(abs(asked - until) for until in untils) > 0.11
    ]
    assert len(late) <= 2
    assert live.open_s < 30.0


async def test_natural_keyframes_are_found_again(rig: Rig) -> None:
    """Where keyframes are asked for, one interval a minute looks for natural ones."""
    sampler = rig.sampler(FOUR)
    live = groups(rig, 300.0, heeds=True)
    live.natural = False

    def turn(sample: Sample) -> None:
        live.natural = sample.captured_at > 40.0

    await take(sampler, live, turn)
    assert len([at for at in live.asked if at < 45.0]) > 5
    assert [at for at in live.asked if at > 200.0] == []


async def test_a_report_ends_the_rest(rig: Rig) -> None:
    """At once everything is wanted, not only from the next opening on."""
    live = groups(rig, 20.0)
    sampler = rig.sampler(FOUR)
    whole: list[bool] = []
    async with aclosing(sampler.samples(live)) as samples:
        async for sample in samples:
            if sample.captured_at >= 8.0:
                break
        whole.append(sampler.decodes_all)
        assert live.rests[-1][1] > 8.0
        sampler.burst()
        assert live.wants == [Want.KEYFRAMES], "the caller still holds a sample"
        following = [await anext(samples) for _ in range(3)]
        assert live.wants == [Want.KEYFRAMES, Want.ALL]
        whole.append(sampler.decodes_all)
    whole.append(sampler.decodes_all)
    assert whole == [False, True, False]
    assert following[0].captured_at <= 10.0
    assert gaps(following) == pytest.approx([0.2, 0.2], abs=0.11)


async def test_keyframes_alone_rest_less_after_a_report(rig: Rig) -> None:
    """Where everything may not be decoded, the next keyframe is opened for."""
    live = groups(rig, 30.0)
    settings = replace(FOUR, decode=DecodeMode.KEYFRAMES, pli_interval_s=None)
    sampler = rig.sampler(settings)
    seen: list[float] = []

    def report(sample: Sample) -> None:
        seen.append(sample.captured_at)
        if sample.captured_at == pytest.approx(12.0):
            sampler.burst()

    await take(sampler, live, report)
    assert set(live.wants) == {Want.KEYFRAMES}
    after = [at for at in seen if at >= 12.0]
    assert after[:2] == pytest.approx([12.0, 14.0])


async def test_a_budget_paces_and_lets_go(rig: Rig) -> None:
    """A slower pace holds from the next sample on; a faster one cuts the rest short."""
    live = groups(rig, 100.0)
    sampler = rig.sampler(FOUR)
    sampler.pace(8.0)
    seen: list[float] = []
    looks: list[float] = []

    def loosen(sample: Sample) -> None:
        seen.append(sample.captured_at)
        looks.append(sampler.demand().wanted_per_s)
        if sample.captured_at >= 50.0:
            sampler.pace(0.0)

    await take(sampler, live, loosen)
    slow = [b - a for a, b in itertools.pairwise(s for s in seen if s <= 50)]
    fast = [b - a for a, b in itertools.pairwise(s for s in seen if s >= 58)]
    assert slow == pytest.approx([8.0] * len(slow))
    assert fast == pytest.approx([4.0] * len(fast))
    assert set(looks) == {0.25}


async def test_a_rest_is_cut_short_while_it_lasts(rig: Rig) -> None:
    """By a pace much faster, while the source is waited for."""
    live = groups(rig, 60.0)
    settings = SamplerSettings(replace(CADENCE, interval_s=20.0), audit=NO_AUDIT)
    sampler = rig.sampler(settings)
    sampler.pace(40.0)
    hurried = False

    def off_s(_number: int) -> float:
        nonlocal hurried
        if rig.clock.monotonic() > 20.0 and not hurried:
            hurried = True
            sampler.pace(39.0)  # hardly a difference
            sampler.pace(0.0)
        return 0.0

    live.off_s = off_s
    samples = await take(sampler, live)
    assert [s.captured_at for s in samples][:3] == pytest.approx([0.0, 22.0, 42.0])


async def test_short_rests_are_not_worth_it(rig: Rig) -> None:
    """A sample for each of ten keyframes a second: the gate stays open."""
    live = groups(rig, 10.0, group=GROUP[:1])
    often = replace(CADENCE, interval_s=0.1, jitter=0.1)
    samples = await take(rig.sampler(SamplerSettings(often, audit=NO_AUDIT)), live)
    assert len(samples) == 100
    assert live.rests == []


async def test_an_audit_is_given_up_where_no_keyframe_comes(rig: Rig) -> None:
    """Counted, and the stream is not decoded whole for ever."""
    settings = replace(
        SamplerSettings(CADENCE_4S, audit=AuditSettings(30.0, 5.0)),
        decode=DecodeMode.KEYFRAMES,
        pli_interval_s=None,
    )
    live = groups(rig, 100.0, lost=lambda n: n > 190)
    await take(rig.sampler(settings), live)
    assert rig.value("sidecar_audits_total", outcome="given_up") == 1


async def test_a_stream_decoded_whole_needs_no_audits(rig: Rig) -> None:
    """Any of its pictures may be sampled anyway."""
    settings = replace(FOUR, decode=DecodeMode.ALL, audit=AuditSettings(5.0, 5.0))
    live = groups(rig, 60.0)
    await take(rig.sampler(settings), live)
    assert live.rests == []
    assert rig.value("sidecar_audits_total", outcome="done") == 0
    assert rig.value("sidecar_samples_taken_total", by="all") == 15


async def test_an_asked_sender_is_audited(rig: Rig) -> None:
    """A keyframe is asked for, and a picture some time behind it is sampled."""
    settings = replace(FOUR, audit=AuditSettings(15.0, 3.0))
    live = groups(rig, 100.0, natural=False, heeds=True)
    await take(rig.sampler(settings), live)
    done = rig.value("sidecar_audits_total", outcome="done")
    assert done >= 5
    assert rig.decoding() == (0, 0)


async def test_nothing_is_left_after_the_end(rig: Rig) -> None:
    """A pace or a report between two connections is only noted."""
    sampler = rig.sampler(FOUR)
    await take(sampler, groups(rig, 10.0))
    rig.clock.advance(100.0)
    await turns()
    sampler.pace(9.0)
    assert sampler.interval_s == 9.0
    sampler.pace(0.0)
    sampler.burst()
    assert sampler.demand().risk == 1.0
    assert sampler.demand().wanted_per_s == 5.0
