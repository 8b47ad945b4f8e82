"""What the models run on: from the configuration, and to whoever wants to know."""

from typing import Final

from sidecar.classify.cores import usable_cores
from sidecar.classify.onnx_session import EngineSettings
from sidecar.classify.providers import Asked
from sidecar.classify.roster import Roster
from sidecar.config import Config
from sidecar.config.engine import AUTO
from sidecar.domain import EngineFacts
from sidecar.log import get_logger
from sidecar.stats import Stats
from sidecar.web.health import Health

log = get_logger(__name__)

_MEBIBYTE: Final = 1 << 20


def engine_settings(config: Config) -> EngineSettings:
    """How much machine each model may use: an equal share of the cores."""
    engine = config.engine
    limit = engine.memory_limit_mb
    return EngineSettings(
        threads=None if engine.threads == AUTO else engine.threads,
        callers=None if engine.callers == AUTO else engine.callers,
        max_batch_size=config.batch.most,
        asked=Asked(
            providers=engine.providers,
            options=engine.options,
            required=engine.required,
            half=engine.fp16,
            device_id=engine.device_id,
            memory_limit=limit * _MEBIBYTE if limit else None,
            graphs=engine.cuda_graphs,
        ),
        cores=max(1, usable_cores() // len(config.model_names)),
    )


def say(facts: EngineFacts) -> None:
    """One line a model, once: what was asked for, what it got, and why not more."""
    level = log.warning if facts.why_not else log.info
    level(
        "engine",
        model=facts.model,
        asked=facts.asked,
        provider=facts.provider,
        precision=facts.precision,
        threads=facts.threads,
        callers=facts.callers,
        why_not=facts.why_not or None,
    )


class EngineBoard:
    """Shows what the models that decide run on: in the metrics and on `/readyz`."""

    def __init__(self, roster: Roster, stats: Stats, health: Health) -> None:
        self._roster = roster
        self._stats = stats
        self._health = health
        self._generation: int | None = None

    def look(self) -> None:
        """Called now and then; the models may have been exchanged."""
        if self._roster.generation == self._generation:
            return
        self._generation = self._roster.generation
        lanes = self._roster.current.lanes
        facts = tuple(lane.facts for lane in lanes if lane.facts is not None)
        self._health.engines = facts
        self._stats.engine_info.clear()
        for one in facts:
            self._stats.engine_info.labels(
                model=one.model,
                provider=one.provider,
                asked=one.asked,
                precision=one.precision,
                threads=str(one.threads),
                callers=str(one.callers),
            ).set(1)
