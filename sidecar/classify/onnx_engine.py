"""The engine that runs a model by onnxruntime, on threads of its own."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sidecar.classify import calibration, graph
from sidecar.classify.begin import Done, Leave
from sidecar.classify.inference_thread import InferenceThreads
from sidecar.classify.labels import CategoryMap
from sidecar.classify.lane import Rows
from sidecar.classify.manifest import Manifest
from sidecar.classify.onnx_session import EngineSettings, OnnxSession
from sidecar.domain import EngineFacts, ModelRef, Picture, PictureFormat
from sidecar.errors import EngineDead, EngineError, SidecarError

__all__ = ["EngineSettings", "OnnxEngine"]

_PIXEL: Final = np.dtype(np.uint8)


@dataclass(eq=False, slots=True)
class _Batch:
    """A batch on its way, and who is told of its end in which loop.

    Attributes:
        done: None once it was told, or its caller has gone.
        watchdog: Ends the engine if it hangs.
    """

    session: OnnxSession
    pictures: tuple[Picture, ...]
    loop: asyncio.AbstractEventLoop
    done: Done | None
    watchdog: asyncio.TimerHandle | None = None

    @property
    def unwanted(self) -> bool:
        """Whether the caller has gone."""
        return self.done is None

    def work(self) -> Rows:
        """On an inference thread."""
        return self.session.raw(self.pictures)

    def answer(self, result: Any, error: SidecarError | None) -> None:  # noqa: ANN401
        """One call into the loop, whatever the size of the batch."""
        with suppress(RuntimeError):  # the loop was closed: nobody is left to be told
            self.loop.call_soon_threadsafe(self.settle, result, error)

    def settle(self, rows: Rows | None, error: SidecarError | None) -> None:
        """In the loop: tells who is still there."""
        done = self.leave()
        if done is None:
            return
        if rows is not None:
            try:
                rows = self.session.checked(rows, len(self.pictures))
            except EngineError as exc:
                rows, error = None, exc
        done(rows, error)

    def leave(self) -> Done | None:
        """Nobody is told any more; who would have been."""
        if self.watchdog is not None:
            self.watchdog.cancel()
        done, self.done = self.done, None
        return done


class OnnxEngine:
    """A model loaded, warmed up, and run by as many threads as it has callers.

    Each thread has its lane of memory, so a caller that stops waiting cannot hand it to
    somebody else too early. Batches begin in order; while one runs, the next may wait
    here, so that no thread has to wait for the event loop.
    """

    def __init__(
        self, session: OnnxSession, threads: InferenceThreads, timeout_s: float
    ) -> None:
        self._session = session
        self._threads = threads
        self._timeout_s = timeout_s
        self._shape = (session.manifest.input.height, session.manifest.input.width, 3)

    @classmethod
    def load(
        cls, manifest: Manifest, settings: EngineSettings | None = None
    ) -> "OnnxEngine":
        """An engine that is ready. Blocks (and holds the GIL) while it loads.

        Where threads or callers are left open, a short measurement decides.

        Raises:
            ManifestError: The file is broken or not what the manifest says.
            ConfigError: No provider works that is allowed.
        """
        settings = settings or EngineSettings()
        session = calibration.best_session(manifest, settings, graph.prepare(manifest))
        count = session.layout.callers
        threads = InferenceThreads(f"inference-{manifest.name}", count)
        return cls(session, threads, settings.timeout_s)

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
        """How many batches run at the same time."""
        return self._threads.count

    @property
    def facts(self) -> EngineFacts:
        """What it runs on, and why on nothing that was wanted more."""
        session = self._session
        return EngineFacts(
            model=self.ref.name,
            asked=",".join(session.asked.providers),
            provider=session.got.provider,
            precision="fp16" if session.got.half else "fp32",
            threads=session.layout.threads,
            callers=session.layout.callers,
            why_not=session.got.why_not,
        )

    @property
    def gathered(self) -> int:
        """Batches whose pictures did not lie side by side."""
        return self._session.gathered

    @property
    def alive(self) -> bool:
        """Whether its threads still take batches; if not, the process should end."""
        return self._threads.alive

    def brief_batch(self) -> int:
        """As `calibration.brief_batch`; before the first batch only."""
        return calibration.brief_batch(self._session)

    async def infer(self, batch: Sequence[Picture]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        answer: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        leave = self.begin(batch, partial(_tell, answer))
        try:
            return await answer
        finally:
            leave()
            del batch, answer, leave  # an exception keeps this frame

    def begin(self, batch: Sequence[Picture], done: Done) -> Leave:
        """See `Begins.begin`."""
        loop = asyncio.get_running_loop()
        one = _Batch(self._session, tuple(batch), loop, done)
        try:
            self._check(batch)
            self._threads.submit(one)
        except EngineError as exc:
            loop.call_soon(one.settle, None, exc)
        else:
            one.watchdog = loop.call_later(self._timeout_s, self._overdue, one)
        return one.leave

    def close(self) -> None:
        """See `Engine.close`."""
        self._threads.close()

    def _overdue(self, batch: _Batch) -> None:
        """A call into native code does not come back: nothing more will."""
        told = f"the engine did not answer within {self._timeout_s:g} s"
        self._threads.give_up(told)
        batch.settle(None, EngineDead(told))

    def _check(self, batch: Sequence[Picture]) -> None:
        """Refuses on the caller's side what a lane cannot hold."""
        if not 1 <= len(batch) <= self.max_batch_size:
            raise EngineError(
                f"a batch has 1 to {self.max_batch_size} pictures, not {len(batch)}"
            )
        for picture in batch:
            if picture.shape != self._shape or picture.dtype != _PIXEL:
                raise EngineError(
                    f"a picture is {picture.dtype} {picture.shape} instead of"
                    f" uint8 {self._shape}"
                )


def _tell(
    answer: asyncio.Future[Rows], rows: Rows | None, error: BaseException | None
) -> None:
    if answer.done():
        return
    if rows is not None:
        answer.set_result(rows)
    else:
        answer.set_exception(error or AssertionError("neither rows nor an error"))
