"""A model as onnxruntime runs it, on the caller's thread; home of onnxruntime's calls.

Everything here is synchronous and for one thread: `OnnxEngine` gives it its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from sidecar.classify import graph
from sidecar.classify.manifest import Manifest
from sidecar.domain import Picture
from sidecar.errors import EngineError, ManifestError

_ROUNDING: Final = 1e-4  # a softmax in float32 ends within 1e-6 of 0 and 1
_QUIET: Final = 4  # onnxruntime's own log: fatal only; its errors come as exceptions

# onnxruntime's exceptions share no base and differ from version to version; its
# Python layer adds ValueError and friends.
_ORT_ERRORS: Final[tuple[type[Exception], ...]] = (
    *(
        kind
        for kind in vars(ort_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
    *(ValueError, RuntimeError, MemoryError),
)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How much machine a model may use.

    Attributes:
        threads: Cores per batch; never more than the container has.
        max_batch_size: Size of the input arena, in pictures.
        timeout_s: A batch that takes longer ends the engine.
    """

    threads: int = 1
    max_batch_size: int = 4
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuses what could never run."""
        if self.threads < 1 or self.max_batch_size < 1 or self.timeout_s <= 0:
            raise ValueError("threads and max_batch_size ≥ 1, timeout_s > 0")


class OnnxSession:
    """A loaded graph with its input arena.

    Raises:
        ManifestError: The file is not what the manifest says, or does not run.
    """

    def __init__(
        self, manifest: Manifest, settings: EngineSettings | None = None
    ) -> None:
        settings = settings or EngineSettings()
        self.manifest = manifest
        self.prepared = graph.prepare(manifest)
        self._run_options = ort.RunOptions()
        self._run_options.log_severity_level = _QUIET
        self._session = self._open(self.prepared.data, settings.threads)
        self._input = self._session.get_inputs()[0].name
        spec = manifest.input
        shape = (settings.max_batch_size, spec.height, spec.width, 3)
        self._arena = np.zeros(shape, np.uint8)
        self._warm_up()

    @property
    def max_batch_size(self) -> int:
        """How many pictures the arena holds."""
        return len(self._arena)

    def run(self, batch: Sequence[Picture]) -> NDArray[np.float32]:
        """Scores `(len(batch), labels)` in 0…1, in memory of their own.

        Each picture is copied once, into the arena; onnxruntime reads it there (96 MiB
        take as long as 3 MiB to be handed over).

        Raises:
            EngineError: onnxruntime failed, or the scores are no scores.
        """
        for place, picture in zip(self._arena, batch, strict=False):
            np.copyto(place, picture, casting="no")
        try:
            scores = self._call(len(batch))
        except _ORT_ERRORS as exc:
            raise EngineError(f"onnxruntime: {_first_line(exc)}") from exc
        wanted = (len(batch), len(self.manifest.labels))
        if scores.shape != wanted or scores.dtype != np.float32:
            raise EngineError(f"scores of shape {scores.shape} instead of {wanted}")
        # NaN fails both comparisons.
        if not (scores.min() >= -_ROUNDING and scores.max() <= 1 + _ROUNDING):
            raise EngineError("scores are not finite numbers in 0…1")
        clipped: NDArray[np.float32] = np.clip(scores, 0.0, 1.0)
        return clipped

    def stop(self) -> None:
        """Ends the run in progress, from another thread; it fails with EngineError."""
        self._run_options.terminate = True

    def _call(self, count: int) -> NDArray[np.float32]:
        """The session on the first `count` pictures of the arena."""
        feed = {self._input: self._arena[:count]}
        outputs: list[NDArray[np.float32]]
        outputs = self._session.run(None, feed, self._run_options)
        return outputs[0]

    def _open(self, data: bytes, threads: int) -> Any:  # noqa: ANN401 (untyped)
        """The session. Holds the GIL for as long as it takes."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = _QUIET
        # Spinning threads take 1.06 instead of 0.20 cores at 20 frames/s.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            return ort.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except _ORT_ERRORS as exc:
            raise self._unfit(f"onnxruntime refuses it: {_first_line(exc)}") from exc

    def _warm_up(self) -> None:
        """One run of each size that matters: 1, 2, 4 … and the largest."""
        sizes = [1]
        while sizes[-1] < self.max_batch_size:
            sizes.append(min(2 * sizes[-1], self.max_batch_size))
        for size in sizes:
            try:
                self.run(list(self._arena[:size]))
            except EngineError as exc:
                raise self._unfit(f"does not run on {size} pictures: {exc}") from exc

    def _unfit(self, what: str) -> ManifestError:
        """The error about this model's file."""
        return ManifestError(
            f"{self.manifest.model_path}: {what}; export it again with a dynamic batch"
            " axis, and mend output.activation if its scores are not in 0…1"
        )


def _first_line(exc: BaseException) -> str:
    """The first line of a foreign message, bounded."""
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:200]
