"""The threads: order, and no caller left hanging."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from sidecar.classify import inference_thread
from sidecar.classify.inference_thread import InferenceThreads
from sidecar.errors import EngineDead, EngineError, SidecarError


@dataclass(eq=False)
class Work:
    """A job whose answer is a future; one that is cancelled is not wanted."""

    call: Callable[[], Any]
    future: "Future[Any]" = field(default_factory=Future)

    @property
    def unwanted(self) -> bool:
        """See `Job`."""
        return self.future.cancelled()

    def work(self) -> object:
        """See `Job`."""
        return self.call()

    def answer(self, result: object, error: SidecarError | None) -> None:
        """See `Job`; a second answer would raise InvalidStateError."""
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


def submit(threads: InferenceThreads, call: Callable[[], Any]) -> "Future[Any]":
    """Has `call` called there."""
    job = Work(call)
    threads.submit(job)
    return job.future


@pytest.fixture
def thread() -> Iterator[InferenceThreads]:
    """A running thread."""
    made = InferenceThreads("inference-test")
    yield made
    made.close()


def hold_up(threads: InferenceThreads, hold: threading.Event) -> "Future[Any]":
    """A job that has begun and lasts until `hold` is set."""
    begun = threading.Event()

    def work() -> bool:
        begun.set()
        return hold.wait(5)

    future = submit(threads, work)
    assert begun.wait(5)
    return future


def test_jobs_run_in_order_on_that_thread(thread: InferenceThreads) -> None:
    """One after the other, as submitted, and nowhere else."""
    seen: list[tuple[int, str]] = []

    def note(number: int) -> None:
        seen.append((number, threading.current_thread().name))

    futures = [submit(thread, partial(note, n)) for n in range(5)]
    for future in futures:
        future.result(1)
    assert seen == [(n, "inference-test-0") for n in range(5)]


def test_so_many_jobs_run_at_once_and_no_more() -> None:
    """Two threads meet in the middle of their jobs; the third job waits."""
    threads = InferenceThreads("inference-test", 2)
    try:
        meeting, hold = threading.Barrier(2), threading.Event()

        def work() -> bool:
            meeting.wait(5)
            return hold.wait(5)

        pair = [submit(threads, work) for _ in range(2)]
        third = submit(threads, lambda: 3)
        assert threads.count == 2
        assert not any(future.done() for future in [*pair, third])
        hold.set()
        assert [future.result(5) for future in [*pair, third]] == [True, True, 3]
    finally:
        threads.close()


def test_an_error_of_ours_is_the_answer(thread: InferenceThreads) -> None:
    """A job's SidecarError reaches its caller and the thread goes on."""

    def fail() -> None:
        raise EngineError("bad batch")

    with pytest.raises(EngineError, match="bad batch"):
        submit(thread, fail).result(1)
    assert submit(thread, lambda: 7).result(1) == 7


def test_a_cancelled_job_does_not_run(thread: InferenceThreads) -> None:
    """Who left before the turn came costs nothing."""
    hold, ran = threading.Event(), threading.Event()
    first = hold_up(thread, hold)
    second = submit(thread, ran.set)
    assert second.cancel()
    hold.set()
    assert first.result(1)
    assert submit(thread, ran.is_set).result(1) is False


@pytest.mark.parametrize("count", [1, 3])
def test_a_bug_ends_the_threads_and_answers_everybody(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other exception is told loudly, and EngineDead to all who wait or come."""
    threads = InferenceThreads("inference-test", count)
    told: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args[0]))
    hold, other = threading.Event(), threading.Event()

    def bug() -> None:
        hold.wait(5)
        raise ZeroDivisionError

    running = submit(threads, bug)
    others = [hold_up(threads, other) for _ in range(count - 1)]
    waiting, cancelled = submit(threads, lambda: 1), submit(threads, lambda: 2)
    assert cancelled.cancel()
    hold.set()
    for future in (running, waiting):
        with pytest.raises(EngineDead, match="ZeroDivisionError"):
            future.result(5)
    assert not threads.alive
    with pytest.raises(EngineDead, match="ZeroDivisionError"):
        submit(threads, lambda: 3)
    other.set()
    assert all(future.result(5) for future in others)
    threads.close()
    assert told == [ZeroDivisionError]


def test_closing_answers_what_has_not_begun(thread: InferenceThreads) -> None:
    """Whoever waits when the threads are closed gets EngineDead at once."""
    hold = threading.Event()
    running, waiting = hold_up(thread, hold), submit(thread, lambda: 1)
    thread.give_up("the engine was closed")
    with pytest.raises(EngineDead, match="closed"):
        waiting.result(0.1)
    hold.set()
    assert running.result(1)


def test_a_job_that_never_ends_does_not_hold_the_exit(
    thread: InferenceThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing waits a bounded time and then says so; the thread is a daemon."""
    monkeypatch.setattr(inference_thread, "_JOIN_S", 0.01)
    hold = threading.Event()
    stuck = hold_up(thread, hold)
    with pytest.raises(EngineDead, match="did not end"):
        thread.close()
    hold.set()
    assert stuck.result(1)


@pytest.mark.parametrize(("before_s", "after_s"), [(0.005, 0.0001), (0.00002, 0.00002)])
def test_the_interpreter_is_handed_over_often(before_s: float, after_s: float) -> None:
    """No batch waits for a busy loop's turn to end; a shorter interval stays."""
    whole = sys.getswitchinterval()
    sys.setswitchinterval(before_s)
    try:
        InferenceThreads("t").close()
        assert sys.getswitchinterval() == pytest.approx(after_s)
    finally:
        sys.setswitchinterval(whole)
