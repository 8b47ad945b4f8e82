"""The recorder of a running sidecar, if its configuration asks for one."""

import asyncio
import uuid
from contextlib import AsyncExitStack

from sidecar import __version__
from sidecar.app.stages import folder_settings
from sidecar.clock import Clock
from sidecar.config import Config
from sidecar.pipeline import Pipeline
from sidecar.recording.lines import Session
from sidecar.recording.recorder import Recorder
from sidecar.stats import Stats


def add_recorder(
    config: Config,
    pipeline: Pipeline,
    clock: Clock,
    stats: Stats,
    stack: AsyncExitStack,
) -> Recorder | None:
    """Records what `pipeline` sees and decides from now on, until `stack` closes."""
    if config.record is None:
        return None
    session = Session(
        id=uuid.uuid4().hex,
        epoch=clock.wall(),
        site=config.site,
        sidecar=config.sidecar,
        version=__version__,
    )
    recorder = Recorder(folder_settings(config.record), session, clock, stats)
    pipeline.add_onlooker(recorder.notebook)
    recorder.start()
    stack.push_async_callback(asyncio.to_thread, recorder.close)
    return recorder
