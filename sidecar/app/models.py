"""The models of a configuration: found, checked against the rules, and loaded."""

import asyncio
from collections.abc import Iterator
from typing import Final

from sidecar.app.engines import engine_settings, say
from sidecar.app.remote import remote_lane, runs_elsewhere
from sidecar.app.stages import find_manifest, mqtt_settings, planner_settings
from sidecar.classify.batcher import Batcher
from sidecar.classify.ensemble import Ensemble, Lane
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_engine import OnnxEngine
from sidecar.classify.runtime import installed, require_one
from sidecar.clock import Clock
from sidecar.config import Config
from sidecar.config.engine import AUTO
from sidecar.config.policies import PolicyConfig
from sidecar.domain import Category
from sidecar.errors import ConfigError
from sidecar.publish.tls import tls_context
from sidecar.stats import Stats

Manifests = tuple[Manifest, ...]
CANARY_MODEL: Final = "testcard"


def load_manifests(config: Config) -> Manifests:
    """The manifests of the models a configuration names, in its order.

    Raises:
        ManifestError: A model is not there, or not as its manifest says.
        ConfigError: A rule, a threshold or the canary does not go with them, or two
            packages of the runtime are installed.
    """
    require_one(installed())
    found = tuple(find_manifest(n, config.models_dir) for n in config.model_names)
    require_fit(config, found)
    return found


def require_fit(config: Config, manifests: Manifests) -> None:
    """Raises ConfigError for whatever in `config` does not go with these models."""
    faults = [
        *_twice(manifests),
        *_deaf_rules(config, manifests),
        *_other_thresholds(config, manifests),
        *_no_canary(config, manifests),
        *_nobodys(config, manifests),
    ]
    if faults:
        raise ConfigError(*faults)


def _twice(manifests: Manifests) -> Iterator[str]:
    names = [manifest.name for manifest in manifests]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"models: {name!r} is the name of more than one of them; keep one"


def _given(manifests: Manifests) -> set[Category]:
    return {
        label.category
        for manifest in manifests
        for label in manifest.labels
        if label.category
    }


def _deaf_rules(config: Config, manifests: Manifests) -> Iterator[str]:
    given = _given(manifests)
    names = ", ".join(repr(manifest.name) for manifest in manifests)
    for policy in config.policies:
        for rule in policy.rules:
            if rule.category not in given:
                yield (
                    f"policy {policy.name!r}, rule {rule.name!r}: category "
                    f"{rule.category.value!r} is never given by model {names}, so the "
                    f"rule could not act; it gives "
                    f"{', '.join(sorted(given - {Category.SAFE}))}"
                )


def _other_thresholds(config: Config, manifests: Manifests) -> Iterator[str]:
    """Thresholds belong to a model: another one's scores mean something else."""
    for policy in config.policies:
        for manifest in manifests:
            heard = _heard(policy, manifest)
            ref = manifest.ref
            if (
                policy.calibrated_for
                and heard
                and ref.hash not in policy.calibrated_for
            ):
                yield (
                    f"policy {policy.name!r}: calibrated_for: its thresholds were not "
                    f"set for model {ref.name!r} of {ref.hash}, which gives "
                    f"{', '.join(heard)}; calibrate them for that model and add its "
                    "hash here, or run the model that they were set for"
                )


def _heard(policy: PolicyConfig, manifest: Manifest) -> list[str]:
    """The categories of the policy's rules that this model gives."""
    given = _given((manifest,))
    return sorted({rule.category for rule in policy.rules if rule.category in given})


def _no_canary(config: Config, manifests: Manifests) -> Iterator[str]:
    if config.canary is None:
        return
    for manifest in manifests:
        if manifest.name == CANARY_MODEL:
            if config.canary.category not in _given((manifest,)):
                yield f"canary: category: there is no card of {config.canary.category}"
            return
    names = ", ".join([*(manifest.name for manifest in manifests), CANARY_MODEL])
    yield f"canary: no model recognises its card; say models: [{names}]"


def _nobodys(config: Config, manifests: Manifests) -> Iterator[str]:
    """Names in `engine.remote.only` that are no model here, or too many for one."""
    remote = config.engine.remote
    if remote is None:
        return
    names = [manifest.name for manifest in manifests]
    for name in remote.only:
        if name not in names:
            yield (
                f"engine.remote.only: {name!r} is none of the models; "
                f"they are: {', '.join(names)}"
            )
    if remote.model_name and len(remote.only or names) > 1:
        yield (
            f"engine.remote.model_name: {remote.model_name!r} cannot be "
            f"{' and '.join(remote.only or names)} at once; serve each under its own "
            "name, or say 'only' which one is elsewhere"
        )


def check(config: Config) -> None:
    """Raises ConfigError for whatever `build` would not start with, but for the world.

    Ports, the outbox and the broker are left alone: another sidecar may be running.
    """
    load_manifests(config)
    settings = mqtt_settings(config)
    if settings.uses_tls:
        tls_context(settings.tls)


async def load_ensemble(
    config: Config, manifests: Manifests, clock: Clock, stats: Stats
) -> Ensemble:
    """The models, loaded and warmed up, off the loop; its queues are not served yet.

    Raises:
        ManifestError: A file is broken or not what its manifest says.
    """
    lanes: list[Lane] = []
    try:
        for manifest in manifests:
            lanes.append(await _lane(config, manifest, clock, stats))  # noqa: PERF401
    except BaseException:
        await Ensemble(lanes).close()
        raise
    return Ensemble(lanes)


async def _lane(config: Config, manifest: Manifest, clock: Clock, stats: Stats) -> Lane:
    if runs_elsewhere(config, manifest):
        return await remote_lane(config, manifest, clock, stats)
    engine, most = await asyncio.to_thread(_engine, config, manifest)
    say(engine.facts)
    batcher = Batcher(
        engine,
        planner_settings(config.batch, most),
        clock,
        stats,
        config.engine.max_consecutive_errors,
    )
    return Lane(engine, batcher, facts=engine.facts)


def _engine(config: Config, manifest: Manifest) -> tuple[OnnxEngine, int]:
    """The model and its largest batch; blocks while it counts, loads and measures."""
    engine = OnnxEngine.load(manifest, engine_settings(config))
    if config.batch.max_batch_size != AUTO:
        return engine, config.batch.most
    try:
        return engine, engine.brief_batch()
    except BaseException:
        engine.close()
        raise
