"""A whole sidecar with real models: two at once, and one exchanged for another."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.app.build import App
from sidecar.app.control import AppControl
from sidecar.decide.onlooker import Onlooker
from sidecar.domain import Category, Scores, UnknownReason, VerdictState
from sidecar.testcard.clip import Clip, write_clip
from tests.fakes.onnx_models import card as model_card
from tests.fakes.onnx_models import mean_colour, mean_colour_folder, write
from tests.unit.app.app_house import app_house, configuration

pytestmark = pytest.mark.anyio


class Heard(Onlooker):
    """Keeps the scores, for whoever waits for the next."""

    def __init__(self) -> None:
        self.scores: asyncio.Queue[Scores] = asyncio.Queue()
        self.lost: list[UnknownReason] = []

    def scored(self, *heard: object) -> None:
        """Keeps them."""
        self.scores.put_nowait(next(one for one in heard if isinstance(one, Scores)))

    def unseen(self, *heard: object) -> None:
        """Keeps why a sample was lost."""
        self.lost += [
            one
            for one in heard
            if isinstance(one, UnknownReason) and one is not UnknownReason.STARTING
        ]


@asynccontextmanager
async def watched(app: App) -> AsyncIterator[Heard]:
    """The configured streams are sampled and classified until the block ends."""
    heard = Heard()
    app.pipeline.add_onlooker(heard)
    async with asyncio.TaskGroup() as group:

        def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            return group.create_task(work, name=name)

        app.changeover.open(spawn)
        app.add_configured()
        try:
            yield heard
        finally:
            await app.pipeline.finish()
            await app.streams.close()
            await app.changeover.drain()
            await app.changeover.close()


def _stream(folder: Path, cover: float = 0.7) -> dict[str, object]:
    """A clip that shows a card, over and over, and is sampled as fast as it goes."""
    clip = Clip(width=320, height=240, fps=10, clean_s=0, card_s=1, cover=cover)
    write_clip(folder / "card.webm", Category.SEXUAL_EXPLICIT, clip)
    file = {"path": "card.webm", "loop": True, "realtime": False}
    sampling = {"interval_s": 0.02, "burst_interval_s": 0.02, "decode": "all"}
    return {"id": "studio", "file": file, "sampling": sampling}


async def test_two_models_of_different_sizes_look_at_every_sample(
    tmp_path: Path,
) -> None:
    """One decoded frame, scaled for each; every score names the model that gave it."""
    stream = await asyncio.to_thread(_stream, tmp_path)
    mine = mean_colour_folder(tmp_path / "mine")
    models = [str(mine), "testcard"]
    async with (
        app_house(tmp_path, models=models, streams=[stream]) as app,
        watched(app) as heard,
    ):
        scores = await heard.scores.get()
        assert [ref.name for ref in scores.models] == ["mean-colour", "testcard"]
        assert scores.model_of(Category.SEXUAL_EXPLICIT).name == "testcard"
        assert scores.by_category[Category.SEXUAL_EXPLICIT].score > 0.9
        assert scores.model_of(Category.SELF_HARM_ACT).name == "testcard"
        assert not heard.lost


async def test_a_model_is_exchanged_while_a_stream_is_watched(tmp_path: Path) -> None:
    """The file names another one: it looks on, takes over, and no sample is lost."""
    stream = await asyncio.to_thread(_stream, tmp_path)
    swap = {"samples": 5, "max_disagreement": 1.0}
    old = mean_colour_folder(tmp_path / "old")
    new = write(tmp_path / "new", mean_colour(opset=13), model_card(version="2"))
    async with (
        app_house(tmp_path, model=str(old), streams=[stream], swap=swap) as app,
        watched(app) as heard,
    ):
        before = (await heard.scores.get()).model
        assert app.reloader is not None
        hashes = {policy.hash for policy in app.streams.policies.policies}
        configuration(
            tmp_path, model=str(new), streams=[stream], swap=swap, drain_s=3.0
        )
        assert await app.reloader.reload()
        while (after := (await heard.scores.get()).model) == before:
            pass
        assert after.name == "mean-colour"
        assert after == app.changeover.roster.refs[0]
        assert {p.hash for p in app.streams.policies.policies} == hashes
        assert app.changeover.fault is None
        assert not heard.lost


async def test_a_refused_model_leaves_the_old_policies(tmp_path: Path) -> None:
    """Thresholds come and go with their model, never alone."""
    stream = await asyncio.to_thread(_stream, tmp_path)
    old = mean_colour_folder(tmp_path / "old")
    async with (
        app_house(tmp_path, model=str(old), streams=[stream]) as app,
        watched(app) as heard,
    ):
        await heard.scores.get()
        policies = app.streams.policies
        assert app.reloader is not None
        path = configuration(
            tmp_path,
            model="testcard",
            streams=[stream],
            swap={"samples": 5, "max_disagreement": 0.0},
        )
        path.write_text(path.read_text().replace("0.9", "0.8"))
        assert await app.reloader.reload()
        while app.changeover.fault is None:
            await heard.scores.get()
        assert "swap.max_disagreement" in app.changeover.fault
        assert app.streams.policies is policies
        assert (await heard.scores.get()).model.name == "mean-colour"
        app.beat.beat()
        assert not heard.lost


async def test_a_still_card_is_taken_down_on_kept_scores(tmp_path: Path) -> None:
    """It is classified once; the takedown's evidence says that the rest were kept."""
    stream = await asyncio.to_thread(_stream, tmp_path, cover=1.0)
    gate = {"max_s": 60}
    async with (
        app_house(tmp_path, unchanged=gate, streams=[stream]) as app,
        watched(app) as heard,
    ):
        since = [(await heard.scores.get()).unchanged_since for _ in range(3)]
        watch = app.streams.get("studio")
        assert watch is not None
        assert since[0] is None
        assert since[1] is not None
        assert since[1] == since[2]
        assert watch.verdict.state is VerdictState.VIOLATING
        assert watch.cut
        view = next(v for v in _control(app).list_streams() if v.id == "studio")
        assert view.unchanged_for_s is not None
        await app.streams.remove("studio")
    counted = app.factory.stats.registry
    assert (counted.get_sample_value("sidecar_unchanged_total") or 0) >= 2


def _control(app: App) -> AppControl:
    return AppControl(
        app.streams, app.pipeline, app.publisher, app.factory, app.factory.clock
    )
