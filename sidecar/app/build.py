"""Every object of a running sidecar, built in the order of the flow."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from sidecar import __version__
from sidecar.app.canary import Canary, canary_of
from sidecar.app.changeover import Changeover
from sidecar.app.control import AppControl
from sidecar.app.engines import EngineBoard
from sidecar.app.front import Front, open_front
from sidecar.app.gate import gate_of
from sidecar.app.heartbeat import Heartbeat
from sidecar.app.inbox import Inbox
from sidecar.app.models import load_ensemble, load_manifests
from sidecar.app.record import add_recorder
from sidecar.app.reload import Reloader
from sidecar.app.spec import StreamExists
from sidecar.app.stages import (
    StreamFactory,
    budget_of,
    ice_settings,
    mqtt_settings,
    policy_set,
    server_settings,
    whip_settings,
)
from sidecar.app.streams import Streams
from sidecar.app.what_if import MOST_SAMPLES, PAST_S
from sidecar.app.workforce import open_workforce
from sidecar.classify.ensemble import Ensemble
from sidecar.classify.roster import Roster
from sidecar.clock import Clock, SystemClock
from sidecar.config import Config
from sidecar.domain import UnknownReason
from sidecar.errors import StreamUnavailable
from sidecar.ingest.supervisor import SupervisorSettings
from sidecar.ingest.whip import WhipEndpoint, WhipSession
from sidecar.log import get_logger
from sidecar.pipeline import Pipeline
from sidecar.publish.message import SidecarIdentity
from sidecar.publish.mqtt import MqttPublisher
from sidecar.publish.owed import Owed
from sidecar.publish.settings import OutboxSettings
from sidecar.stats import Stats
from sidecar.web.health import Health
from sidecar.web.server import HttpServer
from sidecar.web.whip_routes import whip_app
from sidecar.workers.keeper import Keeper

log = get_logger(__name__)


@dataclass(slots=True)
class App:
    """All parts, wired."""

    config: Config
    publisher: MqttPublisher
    changeover: Changeover
    owed: Owed
    pipeline: Pipeline
    streams: Streams
    factory: StreamFactory
    front: Front
    beat: Heartbeat
    whip: WhipEndpoint | None = None
    whip_server: HttpServer | None = None
    reloader: Reloader | None = None
    canary: Canary | None = None
    keepers: tuple[Keeper, ...] = ()

    @property
    def model_names(self) -> list[str]:
        """The models that decide."""
        return [ref.name for ref in self.changeover.roster.refs]

    def ports(self) -> dict[str, int]:
        """The bound port of each listener."""
        ports = {"control": self.front.server.port}
        if self.whip_server is not None:
            ports["whip"] = self.whip_server.port
        return ports

    def add_configured(self) -> None:
        """Starts the streams that stand in the configuration."""
        for stream in self.config.streams:
            self.streams.add(self.factory.from_config(stream))


async def build(
    config: Config,
    stack: AsyncExitStack,
    path: Path | None = None,
    reload: asyncio.Event | None = None,
) -> App:
    """Builds everything; `stack` closes it. Raises ConfigError before it serves."""
    clock, stats = SystemClock(), Stats()
    roster = Roster(await _models(config, clock, stats, stack))
    workforce = await open_workforce(
        config, lambda: roster.formats, stack, clock, stats
    )
    http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
    factory = StreamFactory(config, workforce.intake, http, clock, stats)
    inbox = Inbox(factory)
    publisher = _publisher(factory, inbox)
    await publisher.open()
    owed = Owed(publisher, clock, stats)
    gate = gate_of(config, roster, stats)
    pipeline = Pipeline(gate or roster, publisher, owed, clock, stats)
    if gate is not None:
        pipeline.add_onlooker(gate)
    recorder = add_recorder(config, pipeline, clock, stats, stack)
    streams = inbox.streams = _streams(config, pipeline, clock, stats)
    health = Health()
    health.watch("engine", lambda: roster.alive)
    control = AppControl(streams, pipeline, publisher, factory, clock)
    front = await open_front(control, health, path, stack)
    inbox.on_outcome = front.overseer.heard
    if recorder is not None:
        front.overseer.house.shadow.recorded = recorder.notebook.would
        front.desk.past.reach = recorder.before(PAST_S, MOST_SAMPLES)
    loads = partial(load_ensemble, config, clock=clock, stats=stats)
    changeover = Changeover(roster, loads, streams.hits, stats)
    stack.push_async_callback(changeover.close)
    reloader = None
    if path is not None:
        again = reload or asyncio.Event()
        reloader = Reloader(path, streams, factory, changeover, again)
        front.desk.reloader = reloader
    app = App(
        config=config,
        publisher=publisher,
        changeover=changeover,
        owed=owed,
        pipeline=pipeline,
        streams=streams,
        factory=factory,
        front=front,
        beat=Heartbeat(publisher, changeover, owed, health, reloader, recorder),
        reloader=reloader,
        canary=canary_of(config, roster, workforce.decoders, clock, stats),
        keepers=workforce.keepers,
    )
    app.beat.canary = app.canary
    app.beat.board = EngineBoard(roster, stats, health)
    if (pool := workforce.pool) is not None:
        app.beat.watch("workers_failing", lambda: pool.failing)
    _add_whip(app, stack)
    return app


async def _models(
    config: Config, clock: Clock, stats: Stats, stack: AsyncExitStack
) -> Ensemble:
    """The models, loaded and warmed up, off the loop; `stack` closes them."""
    manifests = await asyncio.to_thread(load_manifests, config)
    ensemble = await load_ensemble(config, manifests, clock, stats)
    stack.push_async_callback(ensemble.close)
    return ensemble


def _streams(config: Config, pipeline: Pipeline, clock: Clock, stats: Stats) -> Streams:
    """The streams that are watched: none yet."""
    return Streams(
        pipeline,
        policy_set(config),
        SupervisorSettings(),
        clock,
        stats,
        budget_of(config),
    )


def _publisher(factory: StreamFactory, inbox: Inbox) -> MqttPublisher:
    """The outbox and the connection to the broker; nothing is opened yet."""
    config = factory.config
    return MqttPublisher(
        mqtt_settings(config),
        OutboxSettings(config.outbox.path, config.outbox.limit),
        SidecarIdentity(config.sidecar, __version__),
        factory.clock,
        factory.stats,
        inbox.take,
    )


def _add_whip(app: App, stack: AsyncExitStack) -> None:
    """The WHIP endpoint and its listener, if the configuration has one."""
    whip = app.config.whip
    if whip is None:
        return
    app.whip = WhipEndpoint(
        whip_settings(whip, app.config.webrtc),
        ice_settings(app.config.webrtc),
        partial(_admit, app),
        app.factory.clock,
        app.factory.stats,
        partial(_refused, app),
        app.factory.intake.peers,
    )
    app.whip_server = HttpServer(whip_app(app.whip), server_settings("whip", whip))
    app.whip_server.bind()
    stack.callback(app.whip_server.close)


def _admit(app: App, session: WhipSession) -> None:
    try:
        app.streams.add(app.factory.from_session(session))
    except StreamExists:
        raise StreamUnavailable(
            session.stream_id, "a stream of this id is watched already"
        ) from None


def _refused(app: App, stream_id: str, reason: UnknownReason, message: str) -> None:
    stream = app.factory.pushed(stream_id)
    app.streams.show_refused(stream, app.factory.sampler(stream), reason, message)
