"""`sidecar bench load`: real WHEP sessions against a media server, and their cost."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Final

from sidecar.bench.child import BenchFailed, Child, Message, child, module
from sidecar.bench.load_receiver import LoadSettings
from sidecar.bench.rows import Round, report

_LIVE_S: Final = 60.0  # for all sessions to be up
_LOOK_S: Final = 0.5
_NAME: Final = "sidecar-whep"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load cost, and what it left behind.

    Attributes:
        row: As of `bench ingest`.
        live: Sessions that were live at the end.
        losses: Times that a session was lost or refused.
        rss_mb: Of the process, at the end.
        rss_growth_mb: Since the measurement began.
        tasks_left: Tasks there were not before, once all sessions are closed.
        sockets_left: Sockets likewise.
        threads_left: Threads likewise.
    """

    row: Round
    live: int
    losses: int
    rss_mb: float
    rss_growth_mb: float
    tasks_left: int
    sockets_left: int
    threads_left: int

    def as_json(self) -> dict[str, Any]:
        """What `--json` prints: the row has it all, the ratios are of nothing."""
        said = report([self.row])
        said["rows"][0] |= {k: v for k, v in asdict(self).items() if k != "row"}
        return said


async def bench_load(
    settings: LoadSettings, seconds: float, warm_up_s: float = 6.0
) -> LoadReport:
    """Holds the sessions for `seconds` after all are live and warm.

    Raises:
        BenchFailed: Not all sessions came up, or the process broke.
    """
    async with child("load", *module("load_receiver")) as receiver:
        idle = await receiver.ask({"stats": True})
        await receiver.ask(asdict(settings))
        await _all_live(receiver, settings.streams)
        await asyncio.sleep(warm_up_s)
        before = await receiver.ask({"stats": True})
        await asyncio.sleep(seconds)
        after = await receiver.ask({"stats": True})
        leftovers = await receiver.ask({"leave": True})
    return _evaluate(settings, idle, (before, after), leftovers)


async def _all_live(receiver: Child, streams: int) -> None:
    live = 0
    try:
        async with asyncio.timeout(_LIVE_S):
            while live < streams:
                await asyncio.sleep(_LOOK_S)
                live = (await receiver.ask({"stats": True})).get("live", 0)
    except TimeoutError:
        raise BenchFailed(
            f"{live} of {streams} sessions were live after {_LIVE_S:g} s"
        ) from None


def _evaluate(
    settings: LoadSettings,
    idle: Message,
    readings: tuple[Message, Message],
    leftovers: Message,
) -> LoadReport:
    before, after = readings
    seconds, streams = after["at"] - before["at"], settings.streams
    row = Round(
        receiver=_NAME,
        codec="any",
        streams=streams,
        seconds=round(seconds, 2),
        cpu_percent_per_stream=round(
            100 * (after["cpu_s"] - before["cpu_s"]) / seconds / streams, 3
        ),
        samples_due=round(streams * seconds / settings.interval_s),
        samples_taken=after["taken"] - before["taken"],
        rss_mb_per_stream=round((after["rss_mb"] - idle["rss_mb"]) / streams, 2),
        loop_lag_ms=round(after["loop_lag_ms"], 1),
    )
    return LoadReport(
        row=row,
        live=after["live"],
        losses=after["losses"] - before["losses"],
        rss_mb=round(after["rss_mb"], 1),
        rss_growth_mb=round(after["rss_mb"] - before["rss_mb"], 1),
        **leftovers,
    )
