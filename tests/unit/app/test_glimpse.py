"""A glimpse is of the next picture, for one who gave a reason, where it is allowed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import httpx
import numpy as np
import pytest

from sidecar.app import glimpse as module
from sidecar.app.build import App
from sidecar.domain import (
    Category,
    LabelScore,
    ModelRef,
    Sample,
    Scores,
    SourceKind,
    Stream,
)
from tests.fakes.synthetic_streams import Ticking
from tests.unit.app.app_house import app_house

pytestmark = pytest.mark.anyio
PATH = "/api/streams/room-1/thumbnail"


class Plain:
    """A classifier that finds nothing."""

    async def classify(self, sample: Sample) -> Scores:
        """Nothing."""
        by = {Category.SAFE: LabelScore(1.0, "safe")}
        model = ModelRef("m", "sha256:0")
        return Scores(sample.stream_id, MappingProxyType(by), model, sample.captured_at)


@asynccontextmanager
async def watched(
    folder: Path, *, thumbnails: bool
) -> AsyncIterator[tuple[App, httpx.AsyncClient]]:
    """A sidecar with one stream under watch."""
    control = {"port": 0, "thumbnails": thumbnails}
    async with app_house(folder, control=control) as app:
        app.pipeline._classifier = Plain()
        stream = Stream("room-1", SourceKind.WHIP)
        sampler = Ticking(1, "room-1", app.factory.clock)
        app.streams._begin(stream, sampler)
        transport = httpx.ASGITransport(app.front.server._config.app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1"
        ) as http:
            yield app, http


async def look(app: App) -> None:
    """The stream's next picture comes by."""
    watch = app.streams.get("room-1")
    assert watch is not None
    while watch.peek is None:  # noqa: ASYNC110 until the request has come so far
        await asyncio.sleep(0.005)
    now = app.factory.clock.monotonic()
    picture = np.full((48, 48, 3), 90, np.uint8)
    await app.pipeline._look(watch, Sample("room-1", picture, now, now))


async def test_the_next_picture_is_seen_once(tmp_path: Path) -> None:
    """A tiny grey PNG; that somebody looked, and why, was noted before."""
    async with watched(tmp_path, thumbnails=True) as (app, http):
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(http.post(PATH, json={"reason": "a report"}))
            await look(app)
        reply = asked.result()
        assert reply.headers["content-type"] == "image/png"
        assert reply.headers["cache-control"] == "no-store"
        assert len(reply.content) < 1000
        deeds = [entry.deed for entry in app.front.overseer.deeds.recent()]
        (deed,) = [one for one in deeds if one.act == "stream.look"]
        assert (deed.about, deed.detail["reason"]) == ("room-1", "a report")
        watch = app.streams.get("room-1")
        assert watch is not None
        assert watch.peek is None


async def test_it_is_off_unless_configured(tmp_path: Path) -> None:
    """And that somebody tried is in the log."""
    async with watched(tmp_path, thumbnails=False) as (app, http):
        reply = await http.post(PATH, json={"reason": "curious"})
        assert (reply.status_code, reply.json()["code"]) == (403, "thumbnails_off")
        acts = [entry.deed.act for entry in app.front.overseer.deeds.recent()]
        assert "stream.look" in acts


async def test_no_picture_no_stream_no_reason_no_crowd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is told as what it is."""
    monkeypatch.setattr(module, "_WAIT_S", 0.02)
    async with watched(tmp_path, thumbnails=True) as (app, http):
        assert (await http.post(PATH, json={"reason": ""})).status_code == 422
        reply = await http.post(PATH, json={"reason": "a report"})
        assert (reply.status_code, reply.json()["code"]) == (409, "no_picture")
        other = PATH.replace("room-1", "room-2")
        assert (await http.post(other, json={"reason": "why"})).status_code == 404
        watch = app.streams.get("room-1")
        assert watch is not None
        watch.peek = lambda _picture: None
        reply = await http.post(PATH, json={"reason": "a report"})
        assert "somebody else" in reply.json()["detail"]
