"""The control API acts on the running sidecar."""

from pathlib import Path

import pytest

from sidecar.app.build import App
from sidecar.app.control import AppControl
from sidecar.web.ports import PutOutcome
from sidecar.web.problems import (
    NothingToReverse,
    RequestRefused,
    StreamConflict,
    TooManyStreams,
    UnknownStream,
)
from sidecar.web.schemas import StreamRequest
from tests.unit.app.app_house import app_house

pytestmark = pytest.mark.anyio

FILE = StreamRequest.model_validate({"file": {"path": "a.mp4"}})


def _control(app: App) -> AppControl:
    return AppControl(
        app.streams, app.pipeline, app.publisher, app.factory, app.factory.clock
    )


async def test_a_stream_is_put_shown_replaced_and_deleted(tmp_path: Path) -> None:
    """The view tells source, origin, policy and the verdict with its reason."""
    (tmp_path / "a.mp4").touch()
    async with app_house(tmp_path) as app:
        control = _control(app)
        assert await control.put("s", FILE) is PutOutcome.CREATED
        view = control.get("s")
        assert (view.source.kind, view.origin, view.policy) == (
            "file",
            "api",
            "default",
        )
        assert view.verdict.state == "unknown"
        assert await control.put("s", FILE) is PutOutcome.UPDATED
        assert [found.id for found in control.list_streams()] == ["s"]
        await control.report("s")
        await control.delete("s")
        with pytest.raises(UnknownStream):
            control.get("s")


async def test_what_belongs_to_the_configuration_is_not_changed(tmp_path: Path) -> None:
    """PUT and DELETE are for the API's own streams."""
    (tmp_path / "a.mp4").touch()
    streams = [{"id": "s", "file": {"path": "a.mp4"}}]
    async with app_house(tmp_path, streams=streams) as app:
        app.add_configured()
        with pytest.raises(StreamConflict):
            await _control(app).put("s", FILE)
        with pytest.raises(StreamConflict):
            await _control(app).delete("s")


@pytest.mark.parametrize(
    "request_",
    [
        {"file": {"path": "none.mp4"}},
        {"whep": {"url": "http://x/whep", "token_file": "t"}},
    ],
)
async def test_files_and_secrets_only_from_configured_folders(
    tmp_path: Path, request_: dict[str, object]
) -> None:
    """What is not there, or not allowed, is refused with a reason."""
    async with app_house(tmp_path) as app:
        with pytest.raises(RequestRefused):
            await _control(app).put("s", StreamRequest.model_validate(request_))


async def test_the_number_of_streams_is_bounded(tmp_path: Path) -> None:
    """Beyond `control.max_streams` nothing is taken."""
    (tmp_path / "a.mp4").touch()
    limit = {"port": 0, "media_dir": str(tmp_path), "max_streams": 1}
    async with app_house(tmp_path, control=limit) as app:
        await _control(app).put("s", FILE)
        with pytest.raises(TooManyStreams):
            await _control(app).put("t", FILE)


async def test_only_what_was_cut_can_be_reversed(tmp_path: Path) -> None:
    """A reversal goes to the outbox; also for a stream that has ended since."""
    (tmp_path / "a.mp4").touch()
    async with app_house(tmp_path) as app:
        control = _control(app)
        with pytest.raises(UnknownStream):
            await control.reverse("s")
        await control.put("s", FILE)
        with pytest.raises(NothingToReverse):
            await control.reverse("s")
        watch = app.streams.get("s")
        assert watch is not None
        watch.cut = True
        first = await control.reverse("s")
        watch.cut = True
        await control.delete("s")
        second = await control.reverse("s")
        assert first != second
        shown = await control.outbox()
        assert [found.id for found in shown.pending] == [first, second]


async def test_policies_and_outbox_are_shown(tmp_path: Path) -> None:
    """Rules with their numbers; what waits for a broker that is not there."""
    async with app_house(tmp_path) as app:
        (policy,) = _control(app).policies()
        assert policy.rules[0].enter == 0.9
        assert policy.hash.startswith("sha256:")
        assert not (await _control(app).outbox()).connected
