"""A model that servers elsewhere run, as the configuration's `engine.remote` says."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Final

import numpy as np

from sidecar.app.engines import engine_settings
from sidecar.app.stages import planner_settings
from sidecar.classify.batcher import Batcher
from sidecar.classify.endpoint import Proof, RemoteModel
from sidecar.classify.ensemble import Lane
from sidecar.classify.fallback import Fallback
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_engine import OnnxEngine
from sidecar.classify.remote_engine import RemoteEngine, RemoteSettings
from sidecar.classify.served import Served, Server
from sidecar.clock import Clock
from sidecar.config import Config
from sidecar.config.models import RemoteConfig
from sidecar.domain import Picture, PictureFormat
from sidecar.errors import ConfigError
from sidecar.stats import Stats

_SEED: Final = 20200305
_FOR_EVER: Final = sys.maxsize  # an outage elsewhere is no reason to end the process


def runs_elsewhere(config: Config, manifest: Manifest) -> bool:
    """Whether servers run this model."""
    remote = config.engine.remote
    return remote is not None and (not remote.only or manifest.name in remote.only)


async def remote_lane(
    config: Config, manifest: Manifest, clock: Clock, stats: Stats
) -> Lane:
    """The servers, asked once, and a queue before them.

    Raises:
        ConfigError: The extra is missing, or a file of `engine.remote` is of no use.
        ManifestError: A server runs something else.
    """
    remote = config.engine.remote
    assert remote is not None
    servers: list[Server] = []
    local: OnnxEngine | None = None
    if remote.prove or remote.fallback:
        local = await asyncio.to_thread(_load, config, manifest)
    try:
        servers += await _servers(remote)
        proof = await _proof(local) if local and remote.prove else None
        served = Served(remote.model_name or manifest.name, remote.version)
        engine = RemoteEngine(
            RemoteModel(manifest, served, proof),
            servers,
            RemoteSettings(
                max_batch_size=config.batch.most,
                concurrency=remote.concurrency,
                timeout_s=remote.timeout_s,
                probe_s=remote.probe_s,
            ),
            clock,
            stats,
        )
        await engine.open()
    except BaseException:
        await _close(servers, local)
        raise
    if local is not None and not remote.fallback:
        await asyncio.to_thread(local.close)
        local = None
    return _lane(config, engine, local, clock, stats)


def _lane(
    config: Config,
    engine: RemoteEngine,
    local: OnnxEngine | None,
    clock: Clock,
    stats: Stats,
) -> Lane:
    """With the local model behind it, or alone: then it may be unready."""
    used = engine if local is None else Fallback(engine, local, stats)
    settings = planner_settings(config.batch)
    batcher = Batcher(used, settings, clock, stats, _FOR_EVER)

    async def close() -> None:
        await engine.aclose()
        if local is not None:
            await asyncio.to_thread(local.close)

    ready = (lambda: engine.ready) if local is None else None
    return Lane(used, batcher, tend=engine.tend, close=close, ready=ready)


async def _servers(remote: RemoteConfig) -> list[Server]:
    """Not yet asked."""
    oip = await asyncio.to_thread(_oip)
    token = remote.token.get_secret_value() if remote.token else None
    files = oip.Files(remote.ca_file, remote.cert_file, remote.key_file)
    try:
        access = await asyncio.to_thread(oip.access, token, files)
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"engine.remote: its certificates cannot be used ({exc}); mend ca_file, "
            "cert_file or key_file"
        ) from exc
    return [oip.connect(url, access) for url in remote.urls]


def _oip() -> ModuleType:
    """The client, which comes with an extra."""
    try:
        from sidecar.classify import oip  # noqa: PLC0415 (heavy, and optional)
    except ImportError as exc:
        raise ConfigError(
            "engine.remote needs the client: install moderation-sidecar[remote], or "
            "build the image with --build-arg LOCK=requirements-remote.lock "
            f"({exc.name} is missing)"
        ) from exc
    return oip


def _load(config: Config, manifest: Manifest) -> OnnxEngine:
    """The same file here. Blocks; for a proof alone nothing is measured."""
    settings = engine_settings(config)
    remote = config.engine.remote
    if remote is not None and not remote.fallback:
        settings = replace(settings, threads=1, callers=1)
    return OnnxEngine.load(manifest, settings)


async def _proof(local: OnnxEngine) -> Proof:
    """What the file says of a few pictures, run here, one by one."""
    pictures = _pictures(local.fmt)
    rows = [(await local.infer([picture]))[0] for picture in pictures]
    return Proof(pictures, np.stack(rows))


def _pictures(fmt: PictureFormat) -> tuple[Picture, ...]:
    """Noise, and two colours that tell a swap of channels."""
    shape = (fmt.height, fmt.width, 3)
    noise = np.random.default_rng(_SEED).integers(0, 256, shape, np.uint8)
    red, blue = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    red[..., 0] = blue[..., 2] = 255
    return noise, red, blue


async def _close(servers: Sequence[Server], local: OnnxEngine | None) -> None:
    for server in servers:
        await server.close()
    if local is not None:
        await asyncio.to_thread(local.close)
