"""The control API acts on the running sidecar."""

import asyncio
from pathlib import Path

import pytest

from sidecar.app.build import App
from sidecar.app.control import AppControl
from sidecar.app.inbox import Inbox
from sidecar.app.spec import Origin, StreamSpec
from sidecar.publish.inbound import Report, SetStream
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


async def test_the_same_request_again_changes_nothing(tmp_path: Path) -> None:
    """Whoever repeats a PUT does not interrupt the watching, nor clear its windows."""
    (tmp_path / "a.mp4").touch()
    async with app_house(tmp_path) as app:
        control = _control(app)
        request = StreamRequest.model_validate({"whep": {"url": "http://127.0.0.1:9"}})
        await control.put("s", request)
        watch = app.streams.get("s")
        assert await control.put("s", request) is PutOutcome.UPDATED
        assert app.streams.get("s") is watch
        assert await control.put("s", FILE) is PutOutcome.UPDATED
        assert app.streams.get("s") is not watch


async def test_of_two_requests_at_once_one_is_told_so(tmp_path: Path) -> None:
    """The later one holds; no stream is left over."""
    (tmp_path / "a.mp4").touch()
    async with app_house(tmp_path) as app:
        control = _control(app)
        await control.put("s", FILE)
        urls = ("http://127.0.0.1:9", "http://127.0.0.1:7")  # tried for ever
        wished = [StreamRequest.model_validate({"whep": {"url": u}}) for u in urls]
        settings = [control._settings("s", request) for request in wished]
        specs = [app.factory.from_config(one, Origin.API) for one in settings]
        async with asyncio.TaskGroup() as group:
            puts = [group.create_task(_outcome(control, spec)) for spec in specs]
        assert [put.result() for put in puts] == ["conflict", "updated"]
        assert app.streams.spec("s") is specs[1]
        await control.delete("s")
        assert len(app.streams) == 0


async def _outcome(control: AppControl, spec: StreamSpec) -> str:
    """Of a PUT whose settings are read already, so that the two do meet."""
    try:
        await control._replace(spec)
    except StreamConflict:
        return "conflict"
    return "updated"


async def test_a_cut_publisher_who_came_back_can_still_be_cleared(
    tmp_path: Path,
) -> None:
    """The new watch was never cut; the case of the old one is open all the same."""
    (tmp_path / "a.mp4").touch()
    async with app_house(tmp_path) as app:
        control = _control(app)
        await control.put("s", FILE)
        watch = app.streams.get("s")
        assert watch is not None
        watch.cut = True
        await control.delete("s")
        await control.put("s", FILE)
        assert await control.reverse("s")


@pytest.mark.parametrize(
    ("url", "started"),
    [("http://h/whep", ["s"]), ("http://h:0/whep", []), (None, [])],
)
async def test_a_set_message_starts_and_stops_streams(
    tmp_path: Path, url: str | None, started: list[str]
) -> None:
    """What the configuration would refuse is refused here, and ends nothing."""
    async with app_house(tmp_path) as app:
        inbox = Inbox(app.factory, app.streams)
        inbox.take(SetStream("s", url))
        inbox.take(SetStream("s", url))
        inbox.take(Report("none", "viewer"))
        exchanges = [t for t in asyncio.all_tasks() if "exchange:" in t.get_name()]
        if exchanges:
            await asyncio.wait(exchanges)
        assert [watch.stream.id for watch in app.streams] == started


async def test_set_messages_are_bounded_and_keep_off_what_is_not_theirs(
    tmp_path: Path,
) -> None:
    """`control.max_streams` holds for them too; the file's streams are the file's."""
    (tmp_path / "a.mp4").touch()
    limit = {"port": 0, "max_streams": 2}
    streams = [{"id": "a", "file": {"path": "a.mp4"}}]
    async with app_house(tmp_path, control=limit, streams=streams) as app:
        app.add_configured()
        inbox = Inbox(app.factory, app.streams)
        for name in ("a", "b", "c"):
            inbox.take(SetStream(name, "http://h/whep"))
        exchanges = [t for t in asyncio.all_tasks() if "exchange:" in t.get_name()]
        await asyncio.wait(exchanges)
        assert sorted(watch.stream.id for watch in app.streams) == ["a", "b"]
        found = app.streams.spec("a")
        assert found is not None
        assert found.origin is Origin.CONFIG


async def test_policies_and_outbox_are_shown(tmp_path: Path) -> None:
    """Rules with their numbers; what waits for a broker that is not there."""
    async with app_house(tmp_path) as app:
        (policy,) = _control(app).policies()
        assert policy.rules[0].enter == 0.9
        assert policy.hash.startswith("sha256:")
        assert not (await _control(app).outbox()).connected
