"""The past in memory, and what other policies would have done with it."""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from sidecar.clock import Clock
from sidecar.decide.policyset import PolicySet
from sidecar.domain import ActionKind
from sidecar.log import get_logger
from sidecar.pipeline import Pipeline
from sidecar.recording.column_log import ColumnLog
from sidecar.recording.columns import Columns
from sidecar.recording.diff import Difference, Moved, difference
from sidecar.recording.entry import Notebook
from sidecar.recording.past import Reach, stretches
from sidecar.recording.whatif import Fired, what_if
from sidecar.web.policy_schemas import MovedView, WhatIfView, WouldView

log = get_logger(__name__)

MOST_SAMPLES: Final = 1_000_000
PAST_S: Final = 12 * 3600.0  # how far back earlier runs are of use
_FRESH_S: Final = 5.0  # sliders move on the same past
_SHOWN: Final = 500
_BREATH_S: Final = 0.002  # for the event loop, each time some entries were read


@dataclass(slots=True)
class _Looked:
    """The past as it was looked at last, and what the old policies did there."""

    at: float
    columns: Columns
    policies: PolicySet
    fired: Sequence[Fired]


@dataclass(slots=True)
class Past:
    """The last million samples of all streams.

    Attributes:
        reach: Where earlier runs recorded theirs; None: what came before is not known.
    """

    clock: Clock
    log: ColumnLog = field(default_factory=lambda: ColumnLog(MOST_SAMPLES))
    reach: Reach | None = None
    _looked: _Looked | None = None
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def look_on(self, pipeline: Pipeline) -> None:
        """Remembers from now on."""
        pipeline.add_onlooker(Notebook(self.log.add))

    async def recall(self) -> None:
        """Takes in what earlier runs recorded, newest first, without haste."""
        if self.reach is None:
            return
        stopped = threading.Event()
        older = stretches(self.reach, lambda: stopped.wait(_BREATH_S))
        try:
            while len(self.log) < MOST_SAMPLES:
                found = await asyncio.to_thread(next, older, None)
                if found is None:
                    break
                self.log.precede(found)
                self._looked = None
        finally:
            stopped.set()
        log.info("past_recalled", samples=len(self.log))

    async def compare(self, old: PolicySet, new: PolicySet) -> WhatIfView:
        """What `new` would have done, against what `old` would have."""
        async with self._asking:  # one at a time: it takes a core for a moment
            began = time.perf_counter()
            looked = self._looked
            now = self.clock.monotonic()
            if looked is None or now - looked.at > _FRESH_S or looked.policies != old:
                known = self.log.fork()
                looked = await asyncio.to_thread(_look, now, known, old)
                self._looked = looked
            fired = await asyncio.to_thread(what_if, looked.columns, new)
            found = difference(looked.fired, fired, frozenset(ActionKind))
            took_ms = (time.perf_counter() - began) * 1000
        offset = self.clock.wall().timestamp() - now
        return _view(looked.columns, found, offset, took_ms)


def _look(now: float, log: ColumnLog, policies: PolicySet) -> _Looked:
    columns = log.snapshot()
    return _Looked(now, columns, policies, what_if(columns, policies))


def _view(
    columns: Columns, found: Difference, offset: float, took_ms: float
) -> WhatIfView:
    since = float(columns.at.min()) + offset if len(columns) else None
    return WhatIfView(
        samples=len(columns),
        streams=len(columns.streams),
        since=None if since is None else round(since, 2),
        took_ms=round(took_ms, 1),
        added=[_would(one, offset) for one in _newest(found.added)],
        added_total=len(found.added),
        removed=[_would(one, offset) for one in _newest(found.removed)],
        removed_total=len(found.removed),
        moved=[_moved(one, offset) for one in found.moved[-_SHOWN:]],
        moved_total=len(found.moved),
        same=found.same,
    )


def _newest(fired: Sequence[Fired]) -> Sequence[Fired]:
    return sorted(fired, key=lambda one: one.at, reverse=True)[:_SHOWN]


def _would(one: Fired, offset: float) -> WouldView:
    return WouldView(
        stream=one.stream,
        at=round(one.at + offset, 2),
        action=one.action.value,
        policy=one.policy,
        rule=one.rule,
        category=one.category,
        score=None if one.score is None else round(one.score, 3),
    )


def _moved(one: Moved, offset: float) -> MovedView:
    return MovedView(
        stream=one.old.stream,
        action=one.old.action.value,
        rule=one.new.rule,
        old_at=round(one.old.at + offset, 2),
        new_at=round(one.new.at + offset, 2),
    )
