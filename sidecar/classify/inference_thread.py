"""Threads that run jobs in order and never leave a caller hanging."""

import sys
import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Final, Protocol

from sidecar.errors import EngineDead, SidecarError

# A thread that ends a batch wakes the event loop, and then needs the interpreter once
# more to begin the next. By default the loop may keep it from that for 5 ms.
_SWITCH_S: Final = 0.0001
_JOIN_S: Final = 10.0  # a batch takes milliseconds; a stuck one must not hold the exit


class Job(Protocol):
    """Something to be done once, and somebody who waits for it."""

    @property
    def unwanted(self) -> bool:
        """Whether its caller has gone: then it is passed over."""
        ...

    def work(self) -> Any:  # noqa: ANN401 (whatever the caller expects)
        """Called on one of the threads. A SidecarError is an answer."""
        ...

    def answer(self, result: Any, error: SidecarError | None) -> None:  # noqa: ANN401
        """Called exactly once, on any thread, unless it was passed over."""
        ...


class InferenceThreads:
    """Daemon threads: a native call that never returns cannot keep the process up.

    Jobs begin in the order in which they were submitted. One's `SidecarError` is its
    answer. Any other exception is a bug: it ends the threads, loudly, and every caller
    gets EngineDead, now and later.

    From the first of them on the process hands the interpreter over more often.
    """

    def __init__(self, name: str, count: int = 1) -> None:
        sys.setswitchinterval(min(_SWITCH_S, sys.getswitchinterval()))
        self._name = name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()  # between `submit` and the end of the threads
        self._end: str | None = None
        self._threads = [
            threading.Thread(target=self._main, name=f"{name}-{n}", daemon=True)
            for n in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def count(self) -> int:
        """How many jobs run at a time."""
        return len(self._threads)

    def submit(self, job: Job) -> None:
        """Has `job` done after everything submitted before has begun.

        Raises:
            EngineDead: The threads were closed or have died.
        """
        with self._lock:
            if self._end is not None:
                raise EngineDead(self._end)
            self._jobs.put(job)

    @property
    def alive(self) -> bool:
        """Whether jobs are still taken."""
        return self._end is None and all(t.is_alive() for t in self._threads)

    def close(self) -> None:
        """Answers what has not begun with EngineDead and joins; may be called twice.

        Raises:
            EngineDead: A job in hand did not end within 10 s.
        """
        self.give_up("the engine was closed")
        deadline = monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
            if thread.is_alive():
                raise EngineDead(f"{thread.name} did not end within {_JOIN_S:g} s")

    def _main(self) -> None:
        """A thread's life."""
        job: Job | None = None
        try:
            while (job := self._jobs.get()) is not None:
                _run(job)
                del job  # keep no picture alive while waiting
        finally:
            bug = sys.exc_info()[1]
            if bug is not None:
                told = f"the inference thread died: {bug!r}"
                self.give_up(told)
                if job is not None:
                    job.answer(None, EngineDead(told))

    def give_up(self, told: str) -> None:
        """Takes no more jobs; those that have not begun are answered."""
        with self._lock:
            self._end = self._end or told
        for job in self._take_all():
            if not job.unwanted:
                job.answer(None, EngineDead(told))
        for _ in self._threads:
            self._jobs.put(None)

    def _take_all(self) -> Iterator[Job]:
        """Empties the queue without waiting: the threads take from it as well."""
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return
            if job is not None:
                yield job


def _run(job: Job) -> None:
    """One job, unless its caller has gone."""
    if job.unwanted:
        return
    try:
        result = job.work()
    except SidecarError as exc:
        job.answer(None, exc)
    else:
        job.answer(result, None)
