"""The engine that runs a model by onnxruntime, on one thread of its own."""

import asyncio
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sidecar.classify.inference_thread import InferenceThread
from sidecar.classify.labels import CategoryMap
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.domain import ModelRef, Picture, PictureFormat
from sidecar.errors import EngineDead, EngineError

__all__ = ["EngineSettings", "OnnxEngine"]


class OnnxEngine:
    """A model loaded, warmed up and owned by one inference thread.

    The thread alone touches the session and the input arena, one batch after the
    other, so a caller that stops waiting cannot hand them to somebody else too early.
    """

    def __init__(
        self, session: OnnxSession, thread: InferenceThread, timeout_s: float
    ) -> None:
        self._session = session
        self._thread = thread
        self._timeout_s = timeout_s
        self._shape = (session.manifest.input.height, session.manifest.input.width, 3)

    @classmethod
    def load(
        cls, manifest: Manifest, settings: EngineSettings | None = None
    ) -> "OnnxEngine":
        """An engine that is ready. Blocks (and holds the GIL) while it loads.

        Raises:
            ManifestError: The file is broken or not what the manifest says.
        """
        settings = settings or EngineSettings()
        thread = InferenceThread(f"inference-{manifest.name}")
        try:
            session = thread.submit(partial(OnnxSession, manifest, settings)).result()
        except BaseException:
            thread.close()
            raise
        return cls(session, thread, settings.timeout_s)

    @property
    def ref(self) -> ModelRef:
        """Name and hash of the model."""
        return self._session.manifest.ref

    @property
    def fmt(self) -> PictureFormat:
        """What its pictures look like."""
        return self._session.manifest.format

    @property
    def categories(self) -> CategoryMap:
        """What the columns of its scores mean."""
        return self._session.manifest.categories

    @property
    def max_batch_size(self) -> int:
        """The most pictures it takes at once."""
        return self._session.max_batch_size

    @property
    def concurrency(self) -> int:
        """One thread: one batch at a time."""
        return 1

    @property
    def alive(self) -> bool:
        """Whether its thread still takes batches; if not, the process should end."""
        return self._thread.alive

    async def infer(self, batch: Sequence[Picture]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        self._check(batch)
        future = self._thread.submit(partial(self._session.run, tuple(batch)))
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.wrap_future(future)
        except TimeoutError as exc:
            told = f"the engine did not answer within {self._timeout_s:g} s"
            self._session.stop()
            self._thread.give_up(told)
            raise EngineDead(told) from exc

    def close(self) -> None:
        """See `Engine.close`; a batch in flight is broken off."""
        self._session.stop()
        self._thread.close()

    def _check(self, batch: Sequence[Picture]) -> None:
        """Refuses on the caller's side what the arena cannot hold."""
        if not 1 <= len(batch) <= self.max_batch_size:
            raise EngineError(
                f"a batch has 1 to {self.max_batch_size} pictures, not {len(batch)}"
            )
        for picture in batch:
            if picture.shape != self._shape or picture.dtype != np.uint8:
                raise EngineError(
                    f"a picture is {picture.dtype} {picture.shape} instead of"
                    f" uint8 {self._shape}"
                )
