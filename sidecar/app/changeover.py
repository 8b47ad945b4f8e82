"""Exchanges the models while the sidecar runs; the only one who starts and ends them.

A wish is loaded beside the running models, off the loop, looks on at live samples, and
takes over if nothing speaks against it. Whatever goes wrong, the running ones stay.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from sidecar.app.models import Manifests
from sidecar.classify.comparison import Limits
from sidecar.classify.ensemble import Ensemble, Lane
from sidecar.classify.roster import Hits, Roster, Shadow
from sidecar.domain import ModelRef
from sidecar.errors import EngineDead, SidecarError
from sidecar.log import get_logger
from sidecar.stats import Stats

log = get_logger(__name__)

GRACE_S: Final = 2.0  # for samples that were decoded for the former models only

Spawn = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
Load = Callable[[Manifests], Awaitable[Ensemble]]


@dataclass(frozen=True, slots=True)
class Wish:
    """Models that are to take over.

    Attributes:
        manifests: Which, in order.
        limits: What they have to hold.
        hits: The rules that will hear a hit in their scores.
        taken: Called as they take over: puts what belongs to them into effect.
    """

    manifests: Manifests
    limits: Limits
    hits: Hits
    taken: Callable[[], None]

    @property
    def refs(self) -> tuple[ModelRef, ...]:
        """Who they are."""
        return tuple(manifest.ref for manifest in self.manifests)


class Changeover:
    """Serves the running models and, one wish at a time, those that may follow.

    Args:
        roster: Who decides.
        load: Loads and warms up models, off the loop. Raises SidecarError.
        hits: The rules that hear a hit in the running models' scores.
        stats: Counts outcomes.
        grace_s: How long the former models stay for samples decoded for them.

    Attributes:
        fault: Why the last wish was not granted; None if it was, or there was none.
        shadow: Who is looking on at present.
    """

    def __init__(
        self,
        roster: Roster,
        load: Load,
        hits: Hits,
        stats: Stats,
        grace_s: float = GRACE_S,
    ) -> None:
        self.roster = roster
        self.fault: str | None = None
        self.shadow: Shadow | None = None
        self._load = load
        self._hits = hits
        self._stats = stats
        self._grace_s = grace_s
        self._spawn: Spawn | None = None
        self._task: asyncio.Task[None] | None = None
        self._open: list[Ensemble] = [roster.current]

    def open(self, spawn: Spawn) -> None:
        """Serves the running models from now on; `spawn` starts a task."""
        self._spawn = spawn
        self._serve(self.roster.current)

    async def drain(self) -> None:
        """Drops the wish under way; the running models answer what is in flight."""
        self.cancel()
        self._spawn = None
        await self.roster.current.drain()

    async def close(self) -> None:
        """Ends every model."""
        for ensemble in tuple(self._open):
            await self._end(ensemble)

    def cancel(self) -> None:
        """The wish under way is withdrawn; what went wrong before is forgotten."""
        self.fault = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def wish(self, wish: Wish) -> asyncio.Task[None] | None:
        """Begins to grant it, in place of one under way; None once draining."""
        self.cancel()
        if self._spawn is not None:
            self._task = self._spawn(self._grant(wish), "changeover")
        return self._task

    async def _grant(self, wish: Wish) -> None:
        names = [ref.name for ref in wish.refs]
        log.info("model_loading", models=names)
        try:
            ensemble = await self._load(wish.manifests)
        except SidecarError as exc:
            self._refuse(wish, "failed", str(exc))
            return
        self._open.append(ensemble)
        taken = False
        try:
            taken = await self._try(wish, ensemble)
        finally:
            if not taken:
                await self._end(ensemble)

    async def _try(self, wish: Wish, ensemble: Ensemble) -> bool:
        """Lets it look on; whether it has taken over."""
        limits = wish.limits
        shadow = Shadow(ensemble, limits.samples, self._hits, wish.hits)
        self._serve(ensemble)
        self.roster.look_on(shadow)
        self.shadow = shadow
        log.info("model_shadowing", samples=limits.samples, within_s=limits.within_s)
        try:
            async with asyncio.timeout(limits.within_s):
                await shadow.enough.wait()
        except TimeoutError:
            pass  # then too few were compared, which is an objection
        finally:
            self.shadow = None
            self.roster.look_away(shadow)
        objection = shadow.fault or shadow.agreement.objection(limits)
        if objection is not None:
            self._refuse(wish, "refused", objection, shadow)
            return False
        former = self.roster.take_over(shadow)
        self._stats.model_swaps.labels("swapped").inc()
        log.warning("model_swapped", models=_hashes(wish), **_figures(shadow))
        wish.taken()
        if self._spawn is not None:
            self._spawn(self._retire(former), "retire-model")
        return True

    async def _retire(self, former: Ensemble) -> None:
        """Ends the former models once all that was put to them is answered."""
        await asyncio.sleep(self._grace_s)
        await self.roster.retire(former)
        await self._end(former)
        log.info("model_retired", models=[ref.name for ref in former.refs])

    async def _end(self, ensemble: Ensemble) -> None:
        """Drained and closed; its tasks end by that."""
        await ensemble.drain()
        await ensemble.close()
        if ensemble in self._open:
            self._open.remove(ensemble)

    def _refuse(
        self, wish: Wish, outcome: str, why: str, shadow: Shadow | None = None
    ) -> None:
        """The running models stay, and the operator hears why."""
        self.fault = why
        self._stats.model_swaps.labels(outcome).inc()
        figures = _figures(shadow) if shadow else {}
        log.error("model_refused", models=_hashes(wish), reason=why, **figures)

    def _serve(self, ensemble: Ensemble) -> None:
        assert self._spawn is not None
        for lane in ensemble.lanes:
            name = lane.engine.ref.name
            self._spawn(self._run(ensemble, lane), f"batcher:{name}")

    async def _run(self, ensemble: Ensemble, lane: Lane) -> None:
        """One queue, until it is drained; a dead engine matters if it decides."""
        try:
            if lane.tend is None:
                await lane.batcher.run()
                return
            await _both(lane.batcher.run(), lane.tend(), self._spawn)
        except EngineDead as exc:
            if ensemble is self.roster.current:
                raise
            log.error("model_died", model=lane.engine.ref.name, error=str(exc))
            if self.shadow is not None and self.shadow.ensemble is ensemble:
                self.shadow.fail(f"model {lane.engine.ref.name} died: {exc}")


async def _both(
    work: Coroutine[Any, Any, None],
    beside: Coroutine[Any, Any, None],
    spawn: Spawn | None,
) -> None:
    """`work` to its end, and `beside` meanwhile."""
    if spawn is None:
        beside.close()
        await work
        return
    task = spawn(beside, "engine")
    try:
        await work
    finally:
        task.cancel()


def _hashes(wish: Wish) -> dict[str, str]:
    return {ref.name: ref.hash for ref in wish.refs}


def _figures(shadow: Shadow) -> dict[str, Any]:
    found = shadow.agreement
    return {
        "samples": found.samples,
        "failed": found.failed,
        "max_difference": round(found.max_difference, 6),
        "mean_difference": round(found.mean_difference, 6),
        "disagreements": found.disagreements,
    }
