"""What the batcher needs of anything that turns pictures into scores."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.labels import CategoryMap
from sidecar.domain import ModelRef, Picture, PictureFormat


class Engine(Protocol):
    """A loaded model. Several `infer` may wait at once; they are served in order.

    One that has its own threads may also offer `begin` (`Begins`), which is cheaper.

    The batcher has at most `concurrency + 1` of them waiting: those that run, and one
    ready to follow, so that the engine never waits for the event loop.
    """

    @property
    def ref(self) -> ModelRef:
        """Which model."""
        ...

    @property
    def fmt(self) -> PictureFormat:
        """What its pictures look like."""
        ...

    @property
    def categories(self) -> CategoryMap:
        """What the columns of its scores mean."""
        ...

    @property
    def max_batch_size(self) -> int:
        """The most pictures it takes at once."""
        ...

    @property
    def concurrency(self) -> int:
        """How many batches run at the same time; 1 or more."""
        ...

    @property
    def alive(self) -> bool:
        """Whether a batch may still succeed; if not, the process should end."""
        ...

    async def infer(self, batch: Sequence[Picture]) -> NDArray[np.float32]:
        """Scores of shape `(len(batch), labels)`, each in 0…1; one row per picture.

        Pictures that lie side by side in an arena need not be copied; who holds them
        meanwhile may not write to them.

        Cancelling the await leaves a batch that has begun running to its end; the
        engine's memory stays its own.

        Raises:
            EngineError: This batch failed (also: empty, too large, of another shape).
            EngineDead: No batch will succeed any more.
        """
        ...

    def close(self) -> None:
        """Ends the engine and waits for its thread; may be called twice.

        Whoever still waits gets an EngineError. Blocks until the batch in flight has
        ended: in the event loop call it when none is, or through a thread.
        """
        ...
