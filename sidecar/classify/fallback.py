"""A remote engine with the same model here for when no server answers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.engine import Engine
from sidecar.classify.labels import CategoryMap
from sidecar.classify.remote_engine import RemoteEngine
from sidecar.domain import ModelRef, Picture, PictureFormat
from sidecar.errors import EngineError
from sidecar.log import get_logger
from sidecar.stats import Stats

log = get_logger(__name__)


class Fallback:
    """The servers' scores, or those of the local engine: the same file, the same hash.

    Args:
        remote: Asked first.
        local: The same model here.
        stats: Counts the batches that were run here.

    Raises:
        ValueError: They are not the same model.
    """

    def __init__(self, remote: RemoteEngine, local: Engine, stats: Stats) -> None:
        if remote.ref != local.ref:
            raise ValueError(f"{local.ref} instead of {remote.ref}")
        self._remote = remote
        self._local = local
        self._stats = stats
        self._here = False

    @property
    def ref(self) -> ModelRef:
        """Which model."""
        return self._remote.ref

    @property
    def fmt(self) -> PictureFormat:
        """What its pictures look like."""
        return self._remote.fmt

    @property
    def categories(self) -> CategoryMap:
        """What the columns of its scores mean."""
        return self._remote.categories

    @property
    def max_batch_size(self) -> int:
        """The most pictures that either takes."""
        return min(self._remote.max_batch_size, self._local.max_batch_size)

    @property
    def concurrency(self) -> int:
        """As the servers take them."""
        return self._remote.concurrency

    @property
    def alive(self) -> bool:
        """Whether the local one is: the servers come back."""
        return self._local.alive

    async def infer(self, batch: Sequence[Picture]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        if self._remote.ready:
            try:
                scores = await self._remote.infer(batch)
            except EngineError as exc:
                self._fell_back(str(exc))
            else:
                self._came_back()
                return scores
        else:
            self._fell_back("no server is up")
        scores = await self._local.infer(batch)
        self._stats.remote_batches.labels("fallback").inc()
        return scores

    def close(self) -> None:
        """Ends both."""
        self._remote.close()
        self._local.close()

    def _fell_back(self, why: str) -> None:
        if not self._here:
            log.warning("remote_fallback", reason=why)
        self._here = True

    def _came_back(self) -> None:
        if self._here:
            log.warning("remote_answers_again")
        self._here = False
