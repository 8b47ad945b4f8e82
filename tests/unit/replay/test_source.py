"""A file's pictures come at their instants; what is not needed is passed over."""

import asyncio
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain import AccessUnit, Codec, Want
from sidecar.replay.source import ReplayConnector, Timeline, Watching, length_of
from sidecar.replay.virtual import VirtualClock, run_virtually
from sidecar.stats import Stats
from tests.fakes.video_files import write_clip


@given(st.lists(st.floats(-1e6, 1e6), max_size=20))
def test_time_begins_at_nought_and_never_goes_back(times: list[float]) -> None:
    """Whatever stands in the file."""
    timeline = Timeline()
    found = [timeline.at(at) for at in times]
    assert found[:1] in ([], [0.0])
    assert all(later >= sooner - 1e-6 for sooner, later in pairwise(found))


def test_jumps_become_one_picture_long() -> None:
    """Files that were cut and joined."""
    timeline = Timeline()
    assert [timeline.at(at) for at in (5.0, 6.5, 1.0, 1.5, 100.0)] == [
        0.0,
        1.5,
        1.533333,
        2.033333,
        2.066667,
    ]


def _play(
    path: Path, wants: dict[int, Want], stop_at: float | None = None
) -> list[tuple[float, bool]]:
    """Instants of what comes, and whether it is a keyframe; `wants` after so many."""
    clock, stop = VirtualClock(), Event()
    found: list[tuple[float, bool]] = []

    def tell(at: float) -> None:
        if stop_at is not None and at >= stop_at:
            stop.set()

    async def follow() -> None:
        connector = ReplayConnector("a", path, clock, Stats(), Watching(stop, tell))
        async with connector.connect() as source:
            source.want(wants.get(0, Want.KEYFRAMES))
            async for unit in source:
                assert isinstance(unit, AccessUnit)
                assert unit.received_at == clock.monotonic()
                found.append((unit.received_at, unit.keyframe))
                if len(found) in wants:
                    source.want(wants[len(found)])
                await asyncio.sleep(0)

    run_virtually(clock, follow())
    return found


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".webm", Codec.VP8), (".mp4", Codec.H264)]
)
def test_keyframes_and_everything(tmp_path: Path, suffix: str, codec: Codec) -> None:
    """Each at its instant; all of them from the keyframe after it was asked for."""
    path = write_clip(tmp_path / f"a{suffix}", codec)
    keyframes = _play(path, {})
    assert [round(at * 30) for at, _ in keyframes] == [0, 8, 16]
    assert all(keyframe for _, keyframe in keyframes)
    every = _play(path, {0: Want.ALL})
    assert [round(at * 30) for at, _ in every] == list(range(24))
    later = _play(path, {1: Want.ALL, 6: Want.KEYFRAMES})
    assert [round(at * 30) for at, _ in later] == [0, 8, 9, 10, 11, 12, 16]


def test_a_replay_can_be_stopped(tmp_path: Path) -> None:
    """Where it is."""
    path = write_clip(tmp_path / "a.webm", Codec.VP8)
    assert len(_play(path, {0: Want.ALL}, stop_at=0.3)) == 10


def test_the_length_is_what_the_file_says(tmp_path: Path) -> None:
    """For the progress bar; what is no video has none."""
    path = write_clip(tmp_path / "a.mp4", Codec.H264)
    assert length_of("a", path) == pytest.approx(0.8, abs=0.05)
    assert length_of("a", tmp_path / "none.mp4") is None
