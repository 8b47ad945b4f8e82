"""A model as onnxruntime runs it, on its callers' threads.

Everything here is synchronous: `OnnxEngine` gives it threads, as many as it has lanes.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sidecar.classify import graph, runtime
from sidecar.classify.lane import DeviceLane, Ends, HostLane, Lane, Rows
from sidecar.classify.layout import Layout
from sidecar.classify.manifest import Manifest
from sidecar.classify.opening import ORT_ERRORS, first_line, open_on
from sidecar.classify.providers import (
    DEFAULT_MEMORY,
    ON_CUDA,
    Asked,
    Got,
    Input,
    shapes_for,
)
from sidecar.domain import Picture
from sidecar.errors import ConfigError, EngineError, ManifestError

_ROUNDING: Final = 1e-4  # a softmax in float32 ends within 1e-6 of 0 and 1
_FEW: Final = 64  # scores: as floats of Python faster, 30 µs for 75 in a waking loop


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How much machine a model may use.

    Attributes:
        threads: Cores a batch; None: found out at the start. Never more than there are.
        callers: Batches at a time; None: likewise.
        max_batch_size: The largest batch, in pictures.
        timeout_s: A batch that takes longer ends the engine.
        asked: What it is to run on.
        cores: How many it may use in all; None: as many as the process may.
    """

    threads: int | None = 1
    callers: int | None = 1
    max_batch_size: int = 4
    timeout_s: float = 30.0
    asked: Asked = field(default_factory=Asked)
    cores: int | None = None

    def __post_init__(self) -> None:
        """Refuses what could never run."""
        counts = (self.threads or 1, self.callers or 1, self.max_batch_size)
        if min(counts) < 1 or 0 in {self.threads, self.callers} or self.timeout_s <= 0:
            raise ValueError(
                "threads, callers and max_batch_size ≥ 1, timeout_s above 0"
            )


class OnnxSession:
    """A loaded graph, warmed up, with a lane for each caller.

    Args:
        manifest: The model.
        settings: Threads and callers that are None count as 1 here.
        prepared: Its graph, if it was prepared before.

    Raises:
        ManifestError: The file is not what the manifest says, or does not run.
        ConfigError: No provider works that is allowed, or it has too little memory.
    """

    def __init__(
        self,
        manifest: Manifest,
        settings: EngineSettings | None = None,
        prepared: graph.Prepared | None = None,
    ) -> None:
        settings = settings or EngineSettings()
        self.manifest = manifest
        self.prepared = prepared or graph.prepare(manifest)
        self.layout = Layout(settings.threads or 1, settings.callers or 1)
        self.asked = settings.asked
        self._session, self.got = self._open(settings)
        self._ends = self._ends_of(settings)
        self.lanes: tuple[Lane, ...] = ()
        self._idle: deque[Lane] = deque()
        self.add_lanes(self.layout.callers)
        self._warm_up()

    @property
    def max_batch_size(self) -> int:
        """How many pictures a batch may have."""
        return self._ends.shapes.largest

    @property
    def gathered(self) -> int:
        """Batches whose pictures had to be copied together."""
        return sum(lane.gathered for lane in self.lanes)

    def add_lanes(self, callers: int) -> None:
        """As many lanes as there are callers; none is taken away."""
        kind = DeviceLane if self.got.provider in ON_CUDA else HostLane
        while len(self.lanes) < callers:
            lane = kind(self._session, self._ends)
            self.lanes = (*self.lanes, lane)
            self._idle.append(lane)

    def run(self, batch: Sequence[Picture]) -> NDArray[np.float32]:
        """Scores `(len(batch), labels)` in 0…1, in memory of their own.

        Raises:
            EngineError: onnxruntime failed, or the scores are no scores.
        """
        return self.checked(self.raw(batch), len(batch))

    def bare(self) -> Callable[[NDArray[np.uint8]], object]:
        """`session.run` as anybody would write it: what the stage is measured by."""
        session, name = self._session, self._ends.pixels
        return lambda pixels: session.run(None, {name: pixels})

    def raw(self, batch: Sequence[Picture]) -> Rows:
        """What the model says, unchecked; no more callers at once than lanes.

        Raises:
            EngineError: onnxruntime failed.
        """
        lane = self._idle.popleft()
        try:
            return lane.run(batch)
        except ORT_ERRORS as exc:
            raise EngineError(f"onnxruntime: {first_line(exc)}") from exc
        finally:
            self._idle.append(lane)

    def checked(self, rows: Rows, count: int) -> Rows:
        """`rows` if they are the scores of `count` pictures, rounded into 0…1.

        Raises:
            EngineError: They are no scores.
        """
        wanted = (count, len(self.manifest.labels))
        if rows.shape != wanted or rows.dtype != np.float32:
            raise EngineError(f"scores of shape {rows.shape} instead of {wanted}")
        lowest, highest = extremes(rows)
        # NaN fails both comparisons.
        if not (lowest >= -_ROUNDING and highest <= 1 + _ROUNDING):
            raise EngineError("scores are not finite numbers in 0…1")
        if lowest < 0 or highest > 1:
            np.clip(rows, 0.0, 1.0, out=rows)
        return rows

    def _open(self, settings: EngineSettings) -> tuple[Any, Got]:
        """The session, and what it runs on."""
        spec = self.manifest.input
        batch = Input(
            self.prepared.pixels, spec.height, spec.width, settings.max_batch_size
        )
        try:
            opened = open_on(
                self.prepared.data,
                settings.asked,
                runtime.available(),
                self.layout.threads,
                batch,
            )
        except EngineError as exc:
            raise self._unfit(str(exc)) from exc
        return opened.session, opened.got

    def _ends_of(self, settings: EngineSettings) -> Ends:
        """What the lanes have to know."""
        spec, provider = self.manifest.input, self.got.provider
        return Ends(
            pixels=self._session.get_inputs()[0].name,
            scores=self._session.get_outputs()[0].name,
            picture=(spec.height, spec.width, 3),
            labels=len(self.manifest.labels),
            shapes=shapes_for(provider, settings.max_batch_size),
            device_id=settings.asked.device_id,
            graphs=settings.asked.graphs and provider == "cuda",
        )

    def _warm_up(self) -> None:
        """One run of each size on each lane: no stream pays for the first."""
        black = np.zeros(self._ends.picture, np.uint8)
        for size in self._ends.shapes.sizes:
            for _ in self.lanes:
                try:
                    self.run([black] * size)
                except EngineError as exc:
                    if runtime.OUT_OF_MEMORY in str(exc):
                        raise self._too_small(size) from exc
                    raise self._unfit(
                        f"does not run on {size} pictures: {exc}"
                    ) from exc

    def _too_small(self, size: int) -> ConfigError:
        """The error about the memory that it may take."""
        limit_mb = (self.asked.memory_limit or DEFAULT_MEMORY) >> 20
        return ConfigError(
            f"engine.memory_limit_mb: {limit_mb} is too little for {size} pictures of"
            f" {self.manifest.name}; raise it, or lower batch.max_batch_size"
        )

    def _unfit(self, what: str) -> ManifestError:
        """The error about this model's file."""
        return ManifestError(
            f"{self.manifest.model_path}: {what}; export it again with a dynamic batch"
            " axis, and mend output.activation if its scores are not in 0…1"
        )


def extremes(rows: Rows) -> tuple[float, float]:
    """The least and the greatest score; NaN both if there is one."""
    if rows.size > _FEW:
        return float(rows.min()), float(rows.max())
    values: list[float] = rows.ravel().tolist()
    total = sum(values)
    return (total, total) if isnan(total) else (min(values), max(values))
