"""The scene as a WebRTC track."""

import asyncio
from contextlib import suppress
from itertools import pairwise

import pytest
from aiortc.mediastreams import MediaStreamError

from sidecar.clock import SystemClock
from sidecar.demo.scene_track import SceneTrack
from sidecar.domain import Category
from sidecar.testcard.clip import Scene

SCENE = Scene(
    category=Category.SEXUAL_EXPLICIT, width=160, height=96, fps=30, card_at_s=0.2
)
Told = list[tuple[str, dict[str, object]]]


@pytest.mark.anyio
async def test_late_frames_are_left_out() -> None:
    """A consumer slower than the frame rate gets every other frame, not a flood."""
    told: Told = []
    finished = asyncio.Event()
    track = SceneTrack(
        SCENE, 2.0, SystemClock(), lambda *event: told.append(event), finished
    )
    stamps: list[int] = []
    while not finished.is_set():
        with suppress(MediaStreamError):
            frame = await track.recv()
            stamps.append(frame.pts or 0)
            await asyncio.sleep(2.5 / SCENE.fps)  # the slow consumer itself
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    assert min(gaps) >= 2 * 90_000 // SCENE.fps
    assert [event for event, _ in told] == ["card_shown"]
    with pytest.raises(MediaStreamError):
        await track.recv()
