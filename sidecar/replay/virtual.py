"""An event loop whose time is not the world's: it jumps to what is due next.

Everything runs on one thread, in the order in which it was asked for, so that what
comes out is the same each time. A wait costs nothing.
"""

import asyncio
import selectors
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, ParamSpec, TypeVar

from numpy import float32
from numpy.typing import NDArray

from sidecar.classify.labels import CategoryMap
from sidecar.classify.onnx_session import OnnxSession
from sidecar.clock import Clock
from sidecar.domain import ModelRef, Picture, PictureFormat

Pace = Callable[[float], None]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_P = ParamSpec("_P")
_T = TypeVar("_T")


class VirtualClock:
    """Seconds since the beginning, moved by its loop alone."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds since the beginning."""
        return self.now

    def wall(self) -> datetime:
        """As if it had begun with the epoch: no wall time is known."""
        return EPOCH + timedelta(seconds=self.now)


class _Jump(selectors.DefaultSelector):
    """Waits for nothing: moves the clock to the next timer instead."""

    def __init__(self, clock: VirtualClock, pace: Pace) -> None:
        super().__init__()
        self._clock = clock
        self._pace = pace
        self.next_at: Callable[[], float | None] = lambda: None

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        at = self.next_at()
        if at is None:
            raise RuntimeError("everything waits, and nothing is due any more")
        self._pace(at)
        self._clock.now = max(self._clock.now, at)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs on a `VirtualClock`; nothing in it may wait for another thread."""

    def __init__(self, clock: VirtualClock, pace: Pace) -> None:
        selector = _Jump(clock, pace)
        super().__init__(selector)
        self._virtual = clock
        selector.next_at = self._next_at

    def time(self) -> float:
        """The virtual instant."""
        return self._virtual.now

    def _next_at(self) -> float | None:
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return scheduled[0].when() if scheduled else None


class Inline(Executor):
    """Does the work at once, on the caller's thread."""

    def submit(
        self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Future[_T]:
        """The result, which is there already."""
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - the caller's, as of every executor
            future.set_exception(exc)
        return future


class InlineEngine:
    """A model on the caller's thread: one picture a batch, one thread, in order.

    So its scores do not depend on how many cores there are, nor on who else asks.
    """

    def __init__(self, session: OnnxSession) -> None:
        self._session = session

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
        """One."""
        return 1

    @property
    def concurrency(self) -> int:
        """One."""
        return 1

    @property
    def alive(self) -> bool:
        """There is no thread that could die."""
        return True

    async def infer(self, batch: Sequence[Picture]) -> NDArray[float32]:
        """See `Engine.infer`."""
        return self._session.run(batch)

    def close(self) -> None:
        """Nothing is left over."""


def at_once(_at: float) -> None:
    """As fast as the machine goes."""


class RealTime:
    """A second takes a second; not after `stop` is set.

    Args:
        stop: Ends every wait.
        clock: The world's.
    """

    def __init__(self, stop: Event, clock: Clock) -> None:
        self._stop = stop
        self._clock = clock
        self._began_at: float | None = None

    def __call__(self, at: float) -> None:
        """Waits until `at`, counted from the first call."""
        now = self._clock.monotonic()
        if self._began_at is None:
            self._began_at = now - at
        self._stop.wait(max(0.0, self._began_at + at - now))


def run_virtually(
    clock: VirtualClock,
    work: Any,  # noqa: ANN401 - a coroutine
    pace: Pace = at_once,
) -> None:
    """Runs `work` to its end on a loop of its own; `pace` is told before each jump."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock, pace)) as runner:
        runner.run(work)
