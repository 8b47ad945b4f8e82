"""A short measurement at the start: how many threads and callers serve this model."""

import threading
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Final

import numpy as np

from sidecar.classify.cores import usable_cores
from sidecar.classify.graph import Prepared
from sidecar.classify.layout import Layout, candidates, choose
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.classify.providers import ON_HOST
from sidecar.log import get_logger

log = get_logger(__name__)

_LONG_ENOUGH_S: Final = 0.2
_AT_LEAST: Final = 2  # batches, of a model that takes longer than that
_BRIEF_S: Final = 0.005  # as long as one waits for company by default


def best_session(
    manifest: Manifest, settings: EngineSettings, prepared: Prepared
) -> OnnxSession:
    """The session to go on with: as set, else the fastest of those measured.

    An accelerator has one caller unless it is told otherwise: a second would only wait.

    Raises:
        ManifestError, ConfigError: As `OnnxSession` does.
    """
    layouts = candidates(
        settings.cores or usable_cores(), settings.threads, settings.callers
    )
    sessions: dict[int, OnnxSession] = {}

    def session_of(layout: Layout) -> OnnxSession:
        if layout.threads not in sessions:
            sessions[layout.threads] = OnnxSession(
                manifest, _as(settings, layout), prepared
            )
        sessions[layout.threads].add_lanes(layout.callers)
        return sessions[layout.threads]

    first = session_of(layouts[0])
    if first.got.provider not in ON_HOST:
        first.layout = _on_accelerator(first, settings)
        first.add_lanes(first.layout.callers)
        return first
    best, rates = choose(layouts, lambda one: rate(session_of(one), one.callers))
    if rates:
        log.info(
            "engine_calibrated",
            model=manifest.name,
            threads=best.threads,
            callers=best.callers,
            samples_per_s={
                f"{o.threads}x{o.callers}": round(r) for o, r in rates.items()
            },
        )
    chosen = session_of(best)
    chosen.layout = best
    return chosen


def brief_batch(session: OnnxSession) -> int:
    """The largest batch worth its wait, in pictures; blocks while it measures.

    On a CPU larger ones gain nothing but for what a batch costs by itself, and whoever
    is in one waits for all of it. An accelerator wants its batches.
    """
    if session.got.provider not in ON_HOST:
        return session.max_batch_size
    found = max(1, min(session.max_batch_size, int(_BRIEF_S * rate(session, 1))))
    log.info("batch_calibrated", model=session.manifest.name, max_batch_size=found)
    return found


def rate(session: OnnxSession, callers: int, seconds: float = _LONG_ENOUGH_S) -> float:
    """Samples a second that `callers` get out of a session, one picture at a time."""
    black = [
        np.zeros(
            (session.manifest.input.height, session.manifest.input.width, 3), np.uint8
        )
    ]
    return throughput(lambda: session.raw(black), callers, seconds)


def throughput(work: Callable[[], object], callers: int, seconds: float) -> float:
    """Calls a second, made by so many threads at once."""
    began = perf_counter()
    counts = [0] * callers

    def call(number: int) -> None:
        while counts[number] < _AT_LEAST or perf_counter() - began < seconds:
            work()
            counts[number] += 1

    threads = [threading.Thread(target=call, args=(n,)) for n in range(1, callers)]
    for thread in threads:
        thread.start()
    call(0)
    for thread in threads:
        thread.join()
    return sum(counts) / (perf_counter() - began)


def _on_accelerator(session: OnnxSession, settings: EngineSettings) -> Layout:
    """What was set, else a single caller."""
    return Layout(session.layout.threads, settings.callers or 1)


def _as(settings: EngineSettings, layout: Layout) -> EngineSettings:
    """The settings with a layout that is no longer open."""
    return replace(settings, threads=layout.threads, callers=1)
