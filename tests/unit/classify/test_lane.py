"""A lane: pictures read where they lie, nothing allocated that stays."""

import gc
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from sidecar.arena import PictureArena, PictureSlots
from sidecar.classify import lane as lane_module
from sidecar.classify.lane import HostLane
from sidecar.classify.manifest import load
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.domain import Picture
from tests.fakes.onnx_models import SIDE, mean_colour_folder

_BATCHES: Final = 3_000
_NOISE: Final = 4 * _BATCHES  # bytes; the smallest object a batch would take 16


@pytest.fixture
def session(tmp_path: Path) -> OnnxSession:
    """A small model with batches of up to 10: 9 are padded to 10."""
    manifest = load(mean_colour_folder(tmp_path / "m"))
    return OnnxSession(manifest, EngineSettings(max_batch_size=10))


def pictures(session: OnnxSession, count: int, slots: int = 16) -> list[Picture]:
    """So many of different colours, side by side in an arena."""
    arena = PictureArena(PictureSlots(session.manifest.format, slots))
    found = [p for p in (arena.take() for _ in range(count)) if p is not None]
    for number, picture in enumerate(found):
        picture[:] = 0
        picture[..., number % 3] = 255
    return found


@pytest.mark.parametrize("count", [1, 3, 9, 10])
def test_pictures_side_by_side_are_not_copied(session: OnnxSession, count: int) -> None:
    """The scores are the same as of a batch that was gathered; nothing was."""
    batch = pictures(session, count)
    before = session.gathered
    found = session.run(batch)
    assert session.gathered == before
    assert found.argmax(axis=1).tolist() == [n % 3 for n in range(count)]
    copies = session.run([picture.copy() for picture in batch])
    assert session.gathered == before + 1
    assert np.allclose(found, copies, atol=1e-6)


def test_at_the_end_of_the_arena_padding_is_gathered(session: OnnxSession) -> None:
    """Nine of nine slots: there is no tenth to be read."""
    before = session.gathered
    found = session.run(pictures(session, 9, slots=9))
    assert session.gathered == before + 1
    assert found.argmax(axis=1).tolist() == [n % 3 for n in range(9)]


def test_neighbours_do_not_matter(session: OnnxSession) -> None:
    """What lies in the slot that is read along changes nothing."""
    arena = PictureArena(PictureSlots(session.manifest.format, 10))
    batch = [p for p in (arena.take() for _ in range(9)) if p is not None]
    for picture in batch:
        picture[:] = 7
    found = [session.run(batch)]
    arena.slots.array[9] = 255
    found.append(session.run(batch))
    assert np.array_equal(found[0], found[1])


def test_only_known_sizes_are_run(
    session: OnnxSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the batch, the runtime sees one of the sizes it was warmed up with."""
    sizes: list[int] = []
    lane = session.lanes[0]
    assert isinstance(lane, HostLane)
    real = lane._bindings

    class Noting(dict[tuple[int, int], object]):
        def get(self, key: tuple[int, int], default: object = None) -> object:
            sizes.append(key[0])
            return real.get(key, default)

    monkeypatch.setattr(lane, "_bindings", Noting())
    for count in range(1, 11):
        session.run(pictures(session, count))
    assert sizes == [1, 2, 3, 4, 5, 6, 7, 8, 10, 10]


def test_thousands_of_batches_leave_nothing_behind(session: OnnxSession) -> None:
    """Neither those read in place nor those gathered: memory is as before."""
    near = pictures(session, 4)
    own = [np.zeros((SIDE, SIDE, 3), np.uint8) for _ in range(4)]

    def some(batches: int, *kinds: Sequence[Picture]) -> None:
        for number in range(batches):
            for kind in kinds:
                session.run(kind[: 1 + number % 4])

    some(200, near, own)
    gc.collect()
    tracemalloc.start()
    try:
        some(200, near, own)
        gc.collect()
        before = tracemalloc.take_snapshot()
        some(_BATCHES, near, own)
        gc.collect()
        grown = tracemalloc.take_snapshot().compare_to(before, "filename")
    finally:
        tracemalloc.stop()
    ours = [line for line in grown if "tracemalloc" not in str(line.traceback)]
    assert sum(line.size_diff for line in ours) < _NOISE, ours[:5]


def test_no_more_bindings_are_kept_than_that(
    session: OnnxSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory that comes and goes leaves nothing behind; the scores stay right."""
    lane = session.lanes[0]
    assert isinstance(lane, HostLane)
    monkeypatch.setattr(lane_module, "_KEPT", 3)
    lane._bindings.clear()
    for first in range(8):
        batch = pictures(session, 10)[first:]
        found = session.run(batch).argmax(axis=1).tolist()
        assert found == [n % 3 for n in range(first, 10)]
        assert len(lane._bindings) <= 3
