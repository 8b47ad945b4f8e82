"""Every object of a running sidecar, built in the order of the flow."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from sidecar import __version__
from sidecar.app.control import AppControl
from sidecar.app.front import open_front
from sidecar.app.heartbeat import Heartbeat
from sidecar.app.inbox import Inbox
from sidecar.app.intake import InProcess
from sidecar.app.record import add_recorder
from sidecar.app.reload import Reloader
from sidecar.app.spec import StreamExists
from sidecar.app.stages import (
    StreamFactory,
    budget_of,
    ice_settings,
    load_model,
    mqtt_settings,
    picture_arena,
    planner_settings,
    policy_set,
    server_settings,
    whip_settings,
)
from sidecar.app.streams import Streams
from sidecar.classify.batcher import Batcher
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_engine import EngineSettings, OnnxEngine
from sidecar.clock import SystemClock
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

log = get_logger(__name__)

_DECODERS: Final = max(2, os.cpu_count() or 2)


@dataclass(slots=True)
class App:
    """All parts, wired."""

    config: Config
    manifest: Manifest
    publisher: MqttPublisher
    batcher: Batcher
    owed: Owed
    pipeline: Pipeline
    streams: Streams
    factory: StreamFactory
    control_server: HttpServer
    beat: Heartbeat
    whip: WhipEndpoint | None = None
    whip_server: HttpServer | None = None
    reloader: Reloader | None = None

    def ports(self) -> dict[str, int]:
        """The bound port of each listener."""
        ports = {"control": self.control_server.port}
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
    manifest = await asyncio.to_thread(load_model, config)
    engine = await _engine(config, manifest, stack)
    batcher = Batcher(
        engine,
        planner_settings(config.batch),
        clock,
        stats,
        config.engine.max_consecutive_errors,
    )
    decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")
    stack.push_async_callback(asyncio.to_thread, decoders.shutdown)
    http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
    arena = picture_arena(config.batch, manifest.format)
    intake = InProcess(manifest.format, decoders, clock, stats, arena)
    factory = StreamFactory(config, intake, http, clock, stats)
    inbox = Inbox(factory)
    publisher = _publisher(factory, inbox)
    await publisher.open()
    owed = Owed(publisher, clock, stats)
    pipeline = Pipeline(batcher, publisher, owed, clock, stats)
    recorder = add_recorder(config, pipeline, clock, stats, stack)
    streams = Streams(
        pipeline,
        policy_set(config),
        SupervisorSettings(),
        clock,
        stats,
        budget_of(config),
    )
    inbox.streams = streams
    health = Health()
    health.watch("engine", lambda: engine.alive)
    control = AppControl(streams, pipeline, publisher, factory, clock)
    control_server = await open_front(control, health, stack)
    reloader = None
    if path is not None:
        wanted = reload or asyncio.Event()
        reloader = Reloader(path, streams, factory, manifest, wanted)
    app = App(
        config=config,
        manifest=manifest,
        publisher=publisher,
        batcher=batcher,
        owed=owed,
        pipeline=pipeline,
        streams=streams,
        factory=factory,
        control_server=control_server,
        beat=Heartbeat(publisher, batcher, owed, health, reloader, recorder),
        reloader=reloader,
    )
    _add_whip(app, stack)
    return app


async def _engine(
    config: Config, manifest: Manifest, stack: AsyncExitStack
) -> OnnxEngine:
    """The model, loaded and warmed up, off the loop."""
    settings = EngineSettings(
        threads=config.engine.threads, max_batch_size=config.batch.max_batch_size
    )
    engine = await asyncio.to_thread(OnnxEngine.load, manifest, settings)
    stack.push_async_callback(asyncio.to_thread, engine.close)
    return engine


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
