"""An encoder under an adversary's control: its keyframes are innocent, no other is.

The pictures between are the harmless test card; the shipped model looks for it.
"""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from sidecar.domain import AccessUnit, Category, Codec, PictureFormat, Sample
from sidecar.sample.audit import AuditSettings
from sidecar.sample.cadence import CadenceSettings
from sidecar.sample.keyframes import DecodeMode
from sidecar.sample.sampler import Sampler, SamplerSettings
from sidecar.testcard.clip import Scene, scene
from tests.fakes.encoded import clip
from tests.fakes.group_source import Groups
from tests.fakes.live_source import Rig

pytestmark = pytest.mark.anyio

MODEL = Path(__file__).parents[3] / "models" / "testcard" / "model.onnx"
FPS, GROUP_S, EVERY_S = 5.0, 2.0, 20.0
TRIGGER = 0.5


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Everything real but the clock and the publisher."""
    with ThreadPoolExecutor(1, "decode") as executor:
        yield Rig(executor)


@cache
def model() -> ort.InferenceSession:
    """The shipped one, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])


def score(sample: Sample) -> float:
    """The highest score of any card but the calm one."""
    (row,) = model().run(["scores"], {"picture": sample.picture[None]})[0]
    return float(np.max(row[1:]))


@cache
def hostile_group(codec: Codec) -> list[AccessUnit]:
    """A street as the keyframe, and the test card in every picture after it."""
    innocent = next(scene(Scene(None, 160, 96)))
    settings = Scene(Category.SEXUAL_EXPLICIT, 160, 96, card_at_s=0.0, cover=0.9)
    cards = islice(scene(settings), int(FPS * GROUP_S) - 1)
    units = clip(codec, [innocent, *cards])
    assert [unit.keyframe for unit in units] == [True] + [False] * (len(units) - 1)
    return units


async def caught_after(
    rig: Rig, seed: int, every_s: float | None, seconds: float, codec: Codec
) -> float | None:
    """When the model first sees the card; None if not within `seconds`."""
    settings = SamplerSettings(
        CadenceSettings(interval_s=4.0, burst_trigger=TRIGGER),
        DecodeMode.AUTO,
        audit=AuditSettings(every_s, 10.0),
    )
    uniform = random.Random(seed).random  # noqa: S311 - no secret
    sampler = Sampler(
        *("studio-7", settings, PictureFormat(128, 128, "area"), rig.executor),
        *(rig.clock, rig.stats, uniform),
    )
    began = rig.clock.monotonic()
    source = Groups(rig.clock, hostile_group(codec), FPS, seconds, codec=codec)
    async with aclosing(sampler.samples(source)) as samples:
        async for sample in samples:
            risk = score(sample)
            sampler.observe(risk)
            if risk >= TRIGGER:
                return sample.captured_at - began
    return None


@pytest.mark.parametrize("codec", list(Codec))
async def test_without_audits_it_is_missed_for_ever(rig: Rig, codec: Codec) -> None:
    """Half an hour of keyframes, and not one of the card."""
    assert await caught_after(rig, 7, None, 1800.0, codec) is None
    assert rig.value("sidecar_samples_taken_total", by="keyframe") > 400
    assert rig.value("sidecar_samples_taken_total", by="audit") == 0


@pytest.mark.parametrize("codec", list(Codec))
async def test_with_audits_it_is_caught_in_the_time_expected(
    rig: Rig, codec: Codec
) -> None:
    """In the mean after `every_s`, the keyframe waited for and half a group."""
    times = []
    for seed in range(20):
        caught = await caught_after(rig, seed, EVERY_S, 20 * EVERY_S, codec)
        assert caught is not None
        times.append(caught)
    expected_s = EVERY_S + GROUP_S / 2 + GROUP_S / 2
    deviation_s = EVERY_S / len(times) ** 0.5
    assert abs(sum(times) / len(times) - expected_s) < 3 * deviation_s
    # a sample that is due anyway in the stretch may be quicker than the audit's own
    assert rig.value("sidecar_samples_taken_total", by="audit") > len(times) / 3
    assert rig.value("sidecar_audits_total", outcome="done") <= len(times)


async def test_what_an_audit_finds_is_looked_at_closely(rig: Rig) -> None:
    """Its one sample starts a burst, and hits enough for a rule follow at once."""
    settings = SamplerSettings(
        CadenceSettings(interval_s=4.0, burst_trigger=TRIGGER),
        audit=AuditSettings(EVERY_S, 10.0),
    )
    sampler = Sampler(
        *("studio-7", settings, PictureFormat(128, 128, "area"), rig.executor),
        *(rig.clock, rig.stats, random.Random(3).random),  # noqa: S311 - no secret
    )
    source = Groups(rig.clock, hostile_group(Codec.VP8), FPS, 20 * EVERY_S)
    hits: list[float] = []
    async with aclosing(sampler.samples(source)) as samples:
        async for sample in samples:
            risk = score(sample)
            sampler.observe(risk)
            if risk >= TRIGGER:
                hits.append(sample.captured_at)
            if len(hits) == 3:
                break
    assert hits[2] - hits[0] < GROUP_S + 2.0
