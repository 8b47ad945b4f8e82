"""The sidecar from its start to its stop; the only place that opens task groups.

The stop goes with the flow: take nothing more in, finish what is in flight, decide,
deliver until the deadline, say goodbye. What is left is in the outbox file.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from sidecar.app.build import App, build
from sidecar.config import Config
from sidecar.errors import SidecarError
from sidecar.ingest.whip import WhipEndpoint
from sidecar.log import get_logger

log = get_logger(__name__)

_FINISH_S: Final = 2.0  # for each step of the stop that is done in milliseconds
_STOP_S: Final = 9.0  # beside the drain; the grace to be given has 10 s
_REAP_S: Final = 5.0
Started = Callable[[dict[str, int]], None]


async def run_until_signal(config: Config, path: Path) -> None:
    """Runs until SIGTERM or SIGINT.

    A second one ends the process at once, and so does SIGALRM when the stop is overdue:
    a disk or a library that hangs cannot be waited for, nor its thread be cancelled.
    """
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    deadline_s = config.drain_s + _STOP_S
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_stop, loop, number, stop, deadline_s)
    loop.add_signal_handler(signal.SIGALRM, _on_overdue, loop)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    await run_app(config, stop=stop, path=path, reload=reload)


def _on_stop(
    loop: asyncio.AbstractEventLoop,
    number: signal.Signals,
    stop: asyncio.Event,
    deadline_s: float,
) -> None:
    if not stop.is_set():
        log.info("stopping", signal=number.name, at_most_s=deadline_s)
        signal.setitimer(signal.ITIMER_REAL, deadline_s)
        stop.set()
        return
    loop.remove_signal_handler(number)
    signal.raise_signal(number)


def _on_overdue(loop: asyncio.AbstractEventLoop) -> None:
    hanging = sorted(task.get_name() for task in asyncio.all_tasks(loop))
    log.error("stop_overdue", tasks=hanging)
    loop.remove_signal_handler(signal.SIGALRM)
    signal.raise_signal(signal.SIGALRM)


async def run_app(
    config: Config,
    *,
    stop: asyncio.Event,
    started: Started | None = None,
    path: Path | None = None,
    reload: asyncio.Event | None = None,
) -> None:
    """Runs until `stop` is set.

    Args:
        config: Checked settings.
        stop: Ends it, in order.
        started: Told the bound ports, by listener, once everything is ready to serve.
        path: The configuration file, to be read again when it changes.
        reload: Reads it again now.

    Raises:
        ConfigError: Before anything was started.
        SidecarError: It cannot go on, for instance because the engine died.
    """
    async with AsyncExitStack() as stack:
        app = await build(config, stack, path, reload)
        try:
            await _run(app, stop, started)
        except BaseExceptionGroup as group:
            raise _cause(group) from group


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error to tell the operator: ours if there is one, else the whole."""
    for exc in group.exceptions:
        found = _cause(exc) if isinstance(exc, BaseExceptionGroup) else exc
        if isinstance(found, SidecarError):
            return found
    return group


async def _run(app: App, stop: asyncio.Event, started: Started | None) -> None:
    async with asyncio.TaskGroup() as outer:
        outer.create_task(app.publisher.run(), name="publisher")
        payments = outer.create_task(app.owed.run(), name="payments")
        try:
            await _flow(app, stop, started)
        finally:
            await _settle(app)
            payments.cancel()
            left = await app.publisher.drain(app.config.drain_s)
            log.info("stopped", undelivered=left)


async def _settle(app: App) -> None:
    """What is decided has to be on disk before the outbox is left."""
    await _within(_FINISH_S, app.owed.settle(), "actions")
    app.owed.give_up()


async def _flow(app: App, stop: asyncio.Event, started: Started | None) -> None:
    """Everything between the media server and the outbox."""
    async with asyncio.TaskGroup() as core:
        background = [
            core.create_task(work, name=name) for name, work in _background(app)
        ]

        def spawn_core(
            work: Coroutine[Any, Any, None], name: str
        ) -> asyncio.Task[None]:
            return core.create_task(work, name=name)

        app.changeover.open(spawn_core)
        async with asyncio.TaskGroup() as inbound:

            def spawn(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
                return inbound.create_task(work, name=name)

            app.streams.open(spawn)
            app.add_configured()
            app.beat.started()
            log.info("started", models=app.model_names, **app.ports())
            if started is not None:
                started(app.ports())
            await stop.wait()
            app.beat.stopping()
            if app.whip is not None:
                spawn(app.whip.close(), "whip-close")
            await _stop_intake(app)
        await _within(_FINISH_S, app.changeover.drain(), "batch")
        await app.front.stop()
        for task in background:
            task.cancel()


def _background(app: App) -> list[tuple[str, Coroutine[Any, Any, None]]]:
    """What runs beside the streams; cancelled last."""
    work = [
        ("ticks", app.streams.run_ticks()),
        ("heartbeat", app.beat.run()),
        ("control", app.front.server.run()),
        ("live", app.front.live.run()),
        ("outcomes", app.front.overseer.run()),
        ("past", app.front.desk.past.recall()),
    ]
    work += [(f"worker:{one.name}", one.run()) for one in app.keepers]
    if app.whip_server is not None:
        work.append(("whip", app.whip_server.run()))
    if app.whip is not None:
        work.append(("whip-reaper", _reap(app.whip)))
    if app.reloader is not None:
        work.append(("reload", app.reloader.run()))
    if app.canary is not None:
        work.append(("canary", app.canary.run()))
    return work


async def _reap(whip: WhipEndpoint) -> None:
    """Frees sessions that nobody came to watch, for ever."""
    while True:
        await asyncio.sleep(_REAP_S)
        await whip.reap()


async def _stop_intake(app: App) -> None:
    """No new publisher, no new sample; what is in flight is decided."""
    await _within(_FINISH_S, app.pipeline.finish(), "samples")
    await app.streams.close()
    if app.whip_server is not None:
        await app.whip_server.stop()


async def _within(seconds: float, work: Coroutine[Any, Any, None], what: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        log.error("stop_hurried", abandoned=what)
