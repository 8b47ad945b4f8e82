"""What every engine must do: fake or real, here or on a server elsewhere."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from sidecar.classify.endpoint import RemoteModel
from sidecar.classify.engine import Engine
from sidecar.classify.fallback import Fallback
from sidecar.classify.manifest import Manifest, load
from sidecar.classify.oip import Access, connect
from sidecar.classify.onnx_engine import EngineSettings, OnnxEngine
from sidecar.classify.remote_engine import RemoteEngine, RemoteSettings
from sidecar.classify.served import Served
from sidecar.clock import SystemClock
from sidecar.domain import Category, Picture
from sidecar.errors import EngineDead, EngineError
from sidecar.stats import Stats
from tests.contract.serving.mlserver import MlServer
from tests.fakes.engine import FakeEngine
from tests.fakes.oip import NetworkServer, begin_polling
from tests.fakes.onnx_models import mean_colour_folder

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
def grpc_thread() -> None:
    """There from the start."""
    begin_polling()


@pytest.fixture(scope="module")
def mlserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlServer]:
    """A real server for all tests of this file."""
    folder = tmp_path_factory.mktemp("serving")
    server = MlServer(folder / "s", [load(mean_colour_folder(folder / "m"))])
    try:
        server.start()
        yield server
    finally:
        server.kill()


LOCAL = ["fake", "onnx"]
REMOTE = ["http", "http binary", "grpc", "fallback", "mlserver http", "mlserver grpc"]


@pytest.fixture(params=LOCAL + REMOTE)
def kind(request: pytest.FixtureRequest) -> tuple[str, str | None]:
    """Which engine, and the URL of the real server, which was started for it."""
    name: str = request.param
    if not name.startswith("mlserver"):
        return name, None
    real: MlServer = request.getfixturevalue("mlserver")
    return name, real.urls["grpc" in name]


@pytest.fixture
async def engine(kind: tuple[str, str | None], tmp_path: Path) -> AsyncIterator[Engine]:
    """Each engine on the same function of the mean colour."""
    name, url = kind
    if name == "fake":
        yield FakeEngine()
        return
    manifest = await asyncio.to_thread(_manifest, tmp_path)
    if name == "onnx":
        settings = EngineSettings(max_batch_size=4)
        onnx = await asyncio.to_thread(OnnxEngine.load, manifest, settings)
        yield onnx
        await asyncio.to_thread(onnx.close)
        return
    async with AsyncExitStack() as stack:
        if url is None:
            server = NetworkServer(binary="binary" in name)
            over = server.over_grpc() if name == "grpc" else server.over_http()
            url = await stack.enter_async_context(over)
        remote = await stack.enter_async_context(_remote(manifest, url))
        if name == "fallback":
            yield Fallback(remote, FakeEngine(remote.ref), Stats())
        else:
            yield remote


def _manifest(folder: Path) -> Manifest:
    return load(mean_colour_folder(folder / "m"))


@asynccontextmanager
async def _remote(manifest: Manifest, url: str) -> AsyncIterator[RemoteEngine]:
    """Before one server, which is up."""
    model = RemoteModel(manifest, Served(manifest.name))
    settings = RemoteSettings(timeout_s=20.0)
    servers = [connect(url, Access())]
    engine = RemoteEngine(model, servers, settings, SystemClock(), Stats())
    await engine.open()
    assert engine.ready
    yield engine
    await engine.aclose()


def plain(*rgb: int) -> Picture:
    """A picture of one colour."""
    return np.full((8, 8, 3), rgb, np.uint8)


RED, GREEN, BLUE = plain(255, 0, 0), plain(0, 255, 0), plain(0, 0, 255)


async def test_a_row_a_picture(engine: Engine) -> None:
    """Scores are float32 `(n, labels)` in 0…1, and each row is its picture's."""
    scores = await engine.infer([RED, GREEN, BLUE])
    assert scores.shape == (3, len(engine.categories))
    assert scores.dtype == np.float32
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    high = np.exp(4) / (np.exp(4) + 2)
    assert scores[0, 0] == pytest.approx(high, abs=1e-5)


async def test_company_does_not_matter(engine: Engine) -> None:
    """A picture scores the same alone and anywhere in a batch."""
    alone = (await engine.infer([BLUE]))[0]
    for batch in ([RED, BLUE], [BLUE, RED, RED, GREEN]):
        row = (await engine.infer(batch))[[p is BLUE for p in batch].index(True)]
        assert row == pytest.approx(alone, abs=1e-6)


async def test_a_row_becomes_categories(engine: Engine) -> None:
    """The engine says what its columns mean."""
    row = (await engine.infer([BLUE]))[0]
    by_category = engine.categories.by_category(row)
    top = max(by_category, key=lambda c: by_category[c].score)
    assert top is Category.SEXUAL_EXPLICIT
    assert by_category[top].label == "blue"


async def test_scores_are_the_callers_own(engine: Engine) -> None:
    """A later batch does not write into scores that were handed out."""
    first = await engine.infer([RED])
    kept = first.copy()
    await engine.infer([BLUE])
    assert np.array_equal(first, kept)


@pytest.mark.parametrize(
    "batch",
    [
        [],
        [RED] * 5,
        [np.zeros((8, 9, 3), np.uint8)],
        [np.zeros((8, 8), np.uint8)],
        [np.zeros((8, 8, 3), np.float32)],
    ],
    ids=["empty", "too many", "wrong width", "grey", "floats"],
)
async def test_what_does_not_fit_is_refused(
    engine: Engine, batch: list[Picture]
) -> None:
    """A batch that cannot be run is an EngineError, and the next one runs."""
    with pytest.raises(EngineError) as caught:
        await engine.infer(batch)
    assert not isinstance(caught.value, EngineDead)
    assert (await engine.infer([RED])).shape == (1, 3)


async def test_callers_at_once_each_get_their_own(engine: Engine) -> None:
    """Concurrent batches do not mix."""
    found: dict[int, int] = {}

    async def ask(number: int) -> None:
        picture = (RED, GREEN, BLUE)[number % 3]
        found[number] = int((await engine.infer([picture]))[0].argmax())

    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(ask(number), name=f"ask-{number}")
    assert found == {number: number % 3 for number in range(12)}


async def test_a_caller_that_leaves_spoils_nothing(engine: Engine) -> None:
    """After a cancelled await the next batch gets its own scores."""
    async with asyncio.TaskGroup() as group:
        leaving = [
            group.create_task(_quietly(engine, RED), name=f"leaving-{n}")
            for n in range(3)
        ]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        assert (await engine.infer([BLUE]))[0].argmax() == 2


async def _quietly(engine: Engine, picture: Picture) -> None:
    """One batch of which nobody reads the scores."""
    await engine.infer([picture])


async def test_closed_is_dead(engine: Engine) -> None:
    """After `close`, which may come twice, every batch is answered EngineDead."""
    await asyncio.to_thread(engine.close)
    await asyncio.to_thread(engine.close)
    with pytest.raises(EngineDead):
        await engine.infer([RED])
