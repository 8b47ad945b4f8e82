"""A stream that does not know when its keyframes come waits for its turn to listen."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sidecar.domain import Codec, Want
from sidecar.sample import look as module
from sidecar.sample.audit import AuditSettings
from sidecar.sample.keyframes import DecodeMode
from sidecar.sample.listeners import Listeners
from sidecar.sample.sampler import SamplerSettings
from tests.fakes.encoded import RED, clip, field
from tests.fakes.group_source import Groups
from tests.fakes.live_source import CADENCE_4S, Rig, take

pytestmark = pytest.mark.anyio

GROUP = clip(Codec.VP8, [field(RED)] * 20)
FOUR = SamplerSettings(CADENCE_4S, audit=AuditSettings(None))
OTHER = "another stream"


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """Everything real but the clock and the publisher; one may listen at a time."""
    monkeypatch.setattr(module, "_TICK_S", 0.0)
    monkeypatch.setattr(module, "_RESTING_S", 0.0)
    with ThreadPoolExecutor(1, "decode") as executor:
        yield Rig(executor, listeners=Listeners(1, longest_s=1e9))


def groups(rig: Rig, other_listens: range) -> Groups:
    """A keyframe every 2 s, ten pictures a second; another stream listens meanwhile."""

    def passing(number: int) -> float:
        if number in other_listens:
            rig.listeners.enter(OTHER, rig.clock.monotonic())
        elif number == other_listens.stop:
            rig.listeners.leave(OTHER)
        return 0.0

    return Groups(rig.clock, GROUP, 10.0, 60.0, off_s=passing)


async def test_it_waits_at_the_start(rig: Rig) -> None:
    """Nothing is let in before its turn; then it learns and is sampled as ever."""
    rig.listeners.enter(OTHER, 0.0)
    live = groups(rig, range(200))
    samples = await take(rig.sampler(FOUR), live)
    assert 20.0 <= samples[0].captured_at <= 22.1
    assert live.wants[0] is Want.KEYFRAMES
    assert rig.value("sidecar_listening_put_off_total") > 0
    assert rig.value("sidecar_openings_total", outcome="met") > 5
    assert live.open_s < 60.0 - 20.0


async def test_a_first_picture_makes_room_for_who_had_none(rig: Rig) -> None:
    """It gives way to one who waits for its first, and learns when it is back."""
    live = groups(rig, range(100))
    samples = await take(rig.sampler(FOUR), live)
    assert samples[0].captured_at == pytest.approx(0.0, abs=0.1)
    assert 10.0 <= samples[1].captured_at <= 12.1
    assert rig.value("sidecar_openings_total", outcome="met") > 5
    assert live.open_s < 60.0 - 10.0


async def test_it_leaves_as_soon_as_it_knows(rig: Rig) -> None:
    """Resting, or gone, it takes no place."""
    await take(rig.sampler(FOUR), groups(rig, range(0)), limit=4)
    assert rig.listeners.enter(OTHER, rig.clock.monotonic())


async def test_it_rests_on_after_a_missed_keyframe(rig: Rig) -> None:
    """Without a place it rests until the next: overload must not feed itself."""
    live = replace(groups(rig, range(100, 10_000)), lost=lambda n: n == 160)
    samples = await take(rig.sampler(FOUR), live)
    assert [s.captured_at for s in samples if 12 <= s.captured_at <= 24] == (
        pytest.approx([12.0, 18.0, 22.0])
    )
    assert rig.value("sidecar_openings_total", outcome="missed") == 1
    assert rig.value("sidecar_listening_put_off_total") == 1
    assert live.open_s < 8.2 + 15 * 0.1 + 0.6, "open for a moment after the miss only"


async def test_full_decoding_waits_for_nobody(rig: Rig) -> None:
    """It is open all the time, by the operator's wish."""
    rig.listeners.enter(OTHER, 0.0)
    settings = replace(FOUR, decode=DecodeMode.ALL)
    samples = await take(rig.sampler(settings), groups(rig, range(10_000)))
    assert samples[0].captured_at == pytest.approx(0.0, abs=0.1)
    assert rig.value("sidecar_listening_put_off_total") == 0
