"""`bench load`: real sessions in a process of their own, against a WHEP server here."""

from contextlib import AsyncExitStack

import pytest

from sidecar.bench import load
from sidecar.bench.child import BenchFailed
from sidecar.bench.load import LoadReport, bench_load
from sidecar.bench.load_receiver import LoadSettings
from sidecar.domain import Codec
from tests.fakes.http_server import serving
from tests.fakes.webrtc_sender import Sender
from tests.fakes.whep_server import WhepServer

pytestmark = pytest.mark.anyio


async def _measured(streams: int) -> tuple[WhepServer, LoadReport]:
    async with AsyncExitStack() as stack:

        async def answer(offer: str) -> str:
            sender = Sender(Codec.VP8, keyframe_every=30)
            stack.push_async_callback(sender.close)
            return await sender.answer_to(offer)

        server = WhepServer(answer)
        url = await stack.enter_async_context(serving(server))
        settings = LoadSettings(url, streams, interval_s=0.5)
        report = await bench_load(settings, seconds=2.0, warm_up_s=0.0)
    return server, report


async def test_sessions_are_held_counted_and_left() -> None:
    """All are live, samples are taken, and nothing remains: here or at the server."""
    server, found = await _measured(2)
    assert (found.live, found.losses) == (2, 0)
    assert found.row.seconds >= 2.0
    due = 2 * found.row.seconds / 0.5
    assert found.row.samples_due == pytest.approx(due, abs=1)
    assert found.row.samples_taken >= 2
    assert found.row.cpu_percent_per_stream > 0
    assert (found.tasks_left, found.sockets_left, found.threads_left) == (0, 0, 0)
    assert server.sessions == set()
    said = found.as_json()
    assert said["rows"][0]["tasks_left"] == 0
    assert said["ratio_vs_obvious"] is None


async def test_a_server_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command ends with how many sessions came up."""
    monkeypatch.setattr(load, "_LIVE_S", 0.6)
    async with serving(WhepServer()) as url:
        gone = url
    with pytest.raises(BenchFailed, match="0 of 1 sessions"):
        await bench_load(LoadSettings(gone, streams=1), seconds=1.0)
