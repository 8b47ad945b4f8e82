"""One thread that runs jobs in order and never leaves a caller hanging."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from sidecar.errors import EngineDead, SidecarError

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "Future[Any]"]
_JOIN_S: Final = 10.0  # a batch takes milliseconds; a stuck one must not hold the exit


class InferenceThread:
    """A daemon thread: a native call that never returns cannot keep the process up.

    A job's `SidecarError` is its answer. Any other exception is a bug: it ends the
    thread, loudly, and every caller gets EngineDead, now and later.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()  # between `submit` and the end of the thread
        self._end: str | None = None
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Has `work` called on the thread, after everything submitted before.

        Raises:
            EngineDead: The thread was closed or has died.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._end is not None:
                raise EngineDead(self._end)
            self._jobs.put((work, future))
        return future

    @property
    def alive(self) -> bool:
        """Whether jobs are still taken."""
        return self._end is None and self._thread.is_alive()

    def close(self) -> None:
        """Answers what has not begun with EngineDead and joins; may be called twice.

        Raises:
            EngineDead: The job in hand did not end within 10 s.
        """
        self.give_up("the engine was closed")
        self._jobs.put(None)
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            raise EngineDead(f"{self._thread.name} did not end within {_JOIN_S:g} s")

    def _main(self) -> None:
        """The thread's life."""
        future: Future[Any] | None = None
        try:
            while (job := self._jobs.get()) is not None:
                work, future = job
                _run(work, future)
                del job, work  # keep no picture alive while waiting
        finally:
            bug = sys.exc_info()[1]
            told = f"the inference thread died: {bug!r}" if bug else "closed"
            self.give_up(told)
            if bug and future is not None:
                future.set_exception(EngineDead(told))

    def give_up(self, told: str) -> None:
        """Takes no more jobs; those that have not begun are answered."""
        with self._lock:
            self._end = self._end or told
        for _, future in self._take_all():
            if future.set_running_or_notify_cancel():
                future.set_exception(EngineDead(told))

    def _take_all(self) -> Iterator[_Job]:
        """Empties the queue without waiting: the thread takes from it as well."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
            if job is not None:
                yield job


def _run(work: Callable[[], Any], future: "Future[Any]") -> None:
    """One job, unless its caller has gone."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except SidecarError as exc:
        future.set_exception(exc)
    else:
        future.set_result(result)
