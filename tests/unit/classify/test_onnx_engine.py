"""The real engine: what the contract tests cannot see from outside."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from sidecar.classify import lane
from sidecar.classify.begin import Begins
from sidecar.classify.lane import HostLane, Rows
from sidecar.classify.manifest import load
from sidecar.classify.onnx_engine import EngineSettings, OnnxEngine
from sidecar.classify.onnx_session import OnnxSession, extremes
from sidecar.domain import Picture
from sidecar.errors import EngineDead, EngineError, ManifestError
from tests.fakes.onnx_models import (
    SIDE,
    card,
    mean_colour,
    mean_colour_folder,
    model_of,
    write,
)

WHITE: Picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
BLACK: Picture = np.zeros((SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[OnnxEngine]:
    """A loaded engine."""
    made = OnnxEngine.load(load(mean_colour_folder(tmp_path / "m")))
    yield made
    made.close()


def test_it_is_ready_when_it_is_loaded(engine: OnnxEngine) -> None:
    """Reference, format and labels are the manifest's; the thread runs."""
    assert engine.ref.name == "mean-colour"
    assert (engine.fmt.width, engine.fmt.height, engine.fmt.resize) == (8, 8, "area")
    assert len(engine.categories) == 3
    assert engine.max_batch_size == 4
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("inference-mean-colour-0") == 1
    assert engine.concurrency == 1


@pytest.mark.parametrize(
    "data", [b"", b"garbage", mean_colour().SerializeToString()[:90]]
)
def test_a_broken_file_is_told_and_leaves_no_thread(
    tmp_path: Path, data: bytes
) -> None:
    """A ManifestError with the file's name; no thread stays behind."""
    manifest = load(write(tmp_path / "m", data, card()))
    before = threading.active_count()
    with pytest.raises(ManifestError, match=r"model\.onnx: .*export it again"):
        OnnxEngine.load(manifest)
    assert threading.active_count() == before


def test_an_operator_onnxruntime_lacks_is_told(tmp_path: Path) -> None:
    """What ONNX's checker cannot know shows when the session is made."""
    model = mean_colour()
    model.graph.node[3].op_type = "NoSuchOperator"
    model.graph.node[3].domain = "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    manifest = load(write(tmp_path / "m", model, card()))
    with pytest.raises(ManifestError, match=r"onnxruntime refuses it: .*NoSuchOp"):
        OnnxEngine.load(manifest)


def test_scores_that_are_none_show_at_load(tmp_path: Path) -> None:
    """A net without scores in 0…1 is refused before the first stream comes."""
    manifest = load(logarithm(tmp_path / "m"))
    with pytest.raises(ManifestError, match=r"mend output\.activation"):
        OnnxEngine.load(manifest)


def logarithm(folder: Path) -> Path:
    """A net that gives the logarithm of the mean: -infinity on black."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Log", ["m"], ["y"]),
    ]
    model = model_of(
        nodes,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    return write(folder, model, card(output={"activation": "none"}))


@pytest.mark.anyio
@pytest.mark.parametrize("bad", ["nan", "too high"])
async def test_scores_that_are_none_are_an_error(
    engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    """NaN or scores beyond 0…1 never leave the engine; the next batch may."""
    value = float("nan") if bad == "nan" else 1.5
    rows = np.full((1, 3), value, np.float32)
    with monkeypatch.context() as patch:
        patch.setattr(OnnxSession, "raw", lambda _self, _batch: rows)
        with pytest.raises(EngineError, match="not finite numbers in 0…1"):
            await engine.infer([WHITE])
    assert (await engine.infer([WHITE])).shape == (1, 3)


@pytest.mark.parametrize("labels", [3, 1000])
def test_extremes_are_the_same_of_few_and_of_many(labels: int) -> None:
    """The least and the greatest; wherever one of them is NaN, both are."""
    rows = np.linspace(0.25, 0.75, 4 * labels, dtype=np.float32).reshape(4, labels)
    assert extremes(rows) == (0.25, 0.75)
    for place in (0, labels, 4 * labels - 1):
        bad = rows.copy()
        bad.flat[place] = np.nan
        assert np.isnan(extremes(bad)).all()
    rows[1, 1] = np.inf
    assert extremes(rows)[1] == np.inf


@pytest.mark.anyio
async def test_scores_of_another_shape_are_an_error(
    engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row too few would answer the wrong caller."""
    rows = np.zeros((1, 3), np.float32)
    monkeypatch.setattr(OnnxSession, "raw", lambda _self, _batch: rows)
    with pytest.raises(EngineError, match="shape"):
        await engine.infer([WHITE, BLACK])


@pytest.mark.anyio
async def test_onnxruntimes_errors_are_translated(
    engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What onnxruntime raises comes out as EngineError, with its first line."""
    only = engine._session.lanes[0]
    assert isinstance(only, HostLane)
    with monkeypatch.context() as patch:
        broken = engine._session._session.io_binding()
        patch.setattr(only, "_bindings", {})
        patch.setattr(HostLane, "_bound", lambda *_: broken)
        with pytest.raises(EngineError, match=r"onnxruntime: .+"):
            await engine.infer([WHITE])
    assert (await engine.infer([WHITE])).shape == (1, 3)


@pytest.mark.anyio
async def test_a_batch_that_is_begun_is_told_of_once(engine: OnnxEngine) -> None:
    """Its scores, or why it could not be begun; later, and not to who has left."""
    assert isinstance(engine, Begins)
    told: list[object] = []
    end = asyncio.Event()

    def done(rows: Rows | None, error: BaseException | None) -> None:
        told.append(type(error) if rows is None else rows.shape)
        if len(told) == 2:
            end.set()

    engine.begin([WHITE, BLACK], done)
    engine.begin([WHITE], done)()
    engine.begin([], done)
    assert told == []
    await end.wait()
    await engine.infer([WHITE])  # by then the one that left would have been told
    assert sorted(map(str, told)) == sorted(map(str, [(2, 3), EngineError]))


@pytest.mark.anyio
async def test_an_engine_that_does_not_answer_is_dead(
    engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch beyond `timeout_s` ends the engine; everybody is told."""
    hold = threading.Event()
    rows = np.zeros((1, 3), np.float32)

    def stuck(_session: OnnxSession, _batch: object) -> object:
        hold.wait(5)
        return rows

    monkeypatch.setattr(OnnxSession, "raw", stuck)
    monkeypatch.setattr(engine, "_timeout_s", 0.05)
    for _ in range(2):
        with pytest.raises(EngineDead, match=r"within 0\.05 s"):
            await engine.infer([WHITE])
    hold.set()


@pytest.mark.anyio
async def test_a_waiter_that_leaves_frees_no_memory_in_use(
    engine: OnnxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lane is filled by its thread itself, after the batch before has ended."""
    begun, hold = threading.Event(), threading.Event()
    seen: list[int] = []
    real = lane.gather

    def slow(batch: Sequence[Picture], room: NDArray[np.uint8]) -> NDArray[np.uint8]:
        found = real(batch, room)
        begun.set()
        hold.wait(5)
        seen.append(int(room[0, 0, 0, 0]))
        return found

    monkeypatch.setattr(lane, "gather", slow)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(engine.infer([WHITE]), name="leaving")
        await asyncio.to_thread(begun.wait, 5)
        staying = group.create_task(engine.infer([BLACK]), name="staying")
        leaving.cancel()
        await asyncio.sleep(0)
        hold.set()
    assert seen == [255, 0]
    assert staying.result()[0] == pytest.approx([1 / 3] * 3, abs=1e-6)


@pytest.mark.parametrize(
    "bad",
    [{"threads": 0}, {"callers": 0}, {"max_batch_size": 0}, {"timeout_s": 0.0}],
)
def test_hopeless_settings_are_refused(bad: dict[str, Any]) -> None:
    """No threads, no room, no time: a ValueError."""
    with pytest.raises(ValueError, match="threads, callers"):
        EngineSettings(**bad)


def test_it_warms_up_every_size_that_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first streams do not pay for the first run of a batch size."""
    sizes: list[int] = []
    real = HostLane.run

    def counted(one: HostLane, batch: Sequence[Picture]) -> object:
        sizes.append(len(batch))
        return real(one, batch)

    monkeypatch.setattr(HostLane, "run", counted)
    manifest = load(mean_colour_folder(tmp_path / "m"))
    OnnxEngine.load(manifest, EngineSettings(max_batch_size=10)).close()
    assert sizes == [1, 2, 3, 4, 5, 6, 7, 8, 10]
