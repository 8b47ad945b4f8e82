"""The one thread: order, and no caller left hanging."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

import pytest

from sidecar.classify import inference_thread
from sidecar.classify.inference_thread import InferenceThread
from sidecar.errors import EngineDead, EngineError


@pytest.fixture
def thread() -> Iterator[InferenceThread]:
    """A running thread."""
    made = InferenceThread("inference-test")
    yield made
    made.close()


def hold_up(thread: InferenceThread, hold: threading.Event) -> Future[bool]:
    """A job that has begun and lasts until `hold` is set."""
    begun = threading.Event()

    def work() -> bool:
        begun.set()
        return hold.wait(5)

    future = thread.submit(work)
    assert begun.wait(5)
    return future


def test_jobs_run_in_order_on_that_thread(thread: InferenceThread) -> None:
    """One after the other, as submitted, and nowhere else."""
    seen: list[tuple[int, str]] = []

    def note(number: int) -> None:
        seen.append((number, threading.current_thread().name))

    futures = [thread.submit(partial(note, n)) for n in range(5)]
    for future in futures:
        future.result(1)
    assert seen == [(n, "inference-test") for n in range(5)]


def test_an_error_of_ours_is_the_answer(thread: InferenceThread) -> None:
    """A job's SidecarError reaches its caller and the thread goes on."""

    def fail() -> None:
        raise EngineError("bad batch")

    with pytest.raises(EngineError, match="bad batch"):
        thread.submit(fail).result(1)
    assert thread.submit(lambda: 7).result(1) == 7


def test_a_cancelled_job_does_not_run(thread: InferenceThread) -> None:
    """Who left before the turn came costs nothing."""
    hold, ran = threading.Event(), threading.Event()
    first = hold_up(thread, hold)
    second = thread.submit(ran.set)
    assert second.cancel()
    hold.set()
    assert first.result(1)
    assert thread.submit(ran.is_set).result(1) is False


def test_a_bug_ends_the_thread_and_answers_everybody(
    thread: InferenceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other exception is told loudly, and EngineDead to all who wait or come."""
    told: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: told.append(args[0]))
    hold = threading.Event()

    def bug() -> None:
        hold.wait(5)
        raise ZeroDivisionError

    running, waiting = thread.submit(bug), thread.submit(lambda: 1)
    cancelled = thread.submit(lambda: 2)
    assert cancelled.cancel()
    hold.set()
    for future in (running, waiting):
        with pytest.raises(EngineDead, match="ZeroDivisionError"):
            future.result(1)
    with pytest.raises(EngineDead, match="ZeroDivisionError"):
        thread.submit(lambda: 3)
    thread.close()
    assert told == [ZeroDivisionError]


def test_closing_answers_what_has_not_begun(thread: InferenceThread) -> None:
    """Whoever waits when the thread is closed gets EngineDead at once."""
    hold = threading.Event()
    running, waiting = hold_up(thread, hold), thread.submit(lambda: 1)
    thread.give_up("the engine was closed")
    with pytest.raises(EngineDead, match="closed"):
        waiting.result(0.1)
    hold.set()
    assert running.result(1)


def test_a_job_that_never_ends_does_not_hold_the_exit(
    thread: InferenceThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing waits a bounded time and then says so; the thread is a daemon."""
    monkeypatch.setattr(inference_thread, "_JOIN_S", 0.01)
    hold = threading.Event()
    stuck = hold_up(thread, hold)
    with pytest.raises(EngineDead, match="did not end"):
        thread.close()
    hold.set()
    assert stuck.result(1)
