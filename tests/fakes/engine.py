"""A small honest engine: scores from the mean colour, nothing random, no thread."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.labels import CategoryMap
from sidecar.domain import Category, ModelRef, Picture, PictureFormat
from sidecar.errors import EngineDead, EngineError

GAIN = 4.0
LABELS = CategoryMap(
    (
        ("red", Category.VIOLENCE_GRAPHIC),
        ("green", Category.SAFE),
        ("blue", Category.SEXUAL_EXPLICIT),
    )
)


@dataclass
class FakeEngine:
    """Softmax of `GAIN` times the mean of each channel in 0…1.

    Attributes:
        errors: The next batches fail with these, in order.
        gate: A batch waits until it is set.
        sizes: Of the batches begun.
        begun: Set when a batch begins; clear it to wait for the next.
    """

    ref: ModelRef = field(default=ModelRef("mean-colour", f"sha256:{'0' * 64}"))
    fmt: PictureFormat = field(default=PictureFormat(8, 8, "area"))
    categories: CategoryMap = LABELS
    max_batch_size: int = 4
    concurrency: int = 1
    errors: list[EngineError] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    sizes: list[int] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    def __post_init__(self) -> None:
        """Open until a test shuts it."""
        self.gate.set()

    @property
    def alive(self) -> bool:
        """Until it is closed."""
        return not self.closed

    async def infer(self, batch: Sequence[Picture]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        if self.closed:
            raise EngineDead("closed")
        shape = (self.fmt.height, self.fmt.width, 3)
        if not 1 <= len(batch) <= self.max_batch_size:
            raise EngineError(f"{len(batch)} pictures")
        if any(p.shape != shape or p.dtype != np.uint8 for p in batch):
            raise EngineError("a picture of another shape")
        self.sizes.append(len(batch))
        self.begun.set()
        await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        means = np.stack([p.mean(axis=(0, 1)) for p in batch]) / 255
        powers = np.exp(GAIN * means)
        scores: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
        return scores.astype(np.float32)

    def close(self) -> None:
        """See `Engine.close`."""
        self.closed = True
